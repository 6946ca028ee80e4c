"""`minise evaluate`: what it prints, and what it makes of runs that are not as they should be."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
from cli_runs import TINY, failed, lines, minise, succeeded
from minise_cli.commands.evaluate import doubts
from minise_cli.render import evaluation as draw

from minise.data import DATASETS, Dataset, Split
from minise.data.shapes10 import CLASSES
from minise.runs.job import train
from minise.runs.reopen import evaluate_run
from minise.runs.run import Run
from minise.train.config import TrainConfig
from minise.train.metrics import Evaluation


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished run."""
    run = tmp_path_factory.mktemp("evaluate") / "run"
    succeeded(minise("train", *TINY, "--run", run))
    return run


@pytest.fixture
def run(made, tmp_path):
    """A copy of it to spoil."""
    return shutil.copytree(made, tmp_path / "run")


def test_json(made):
    result = minise("evaluate", made, "--json")
    (found,) = lines(result)
    assert set(found) == {
        *("event", "run", "state", "top1", "top5", "loss", "images", "per_class", "confusion", "classes")
    }
    assert (found["event"], found["state"], found["images"]) == ("evaluation", "done", 100)
    assert found["classes"] == list(CLASSES) == list(found["per_class"])
    confusion = np.array(found["confusion"])
    assert confusion.shape == (10, 10)
    assert confusion.sum() == 100
    assert found["top1"] == pytest.approx(np.trace(confusion) / 100)
    assert result.stderr == ""


def test_it_is_the_figure_of_the_training(made):
    (found,) = lines(minise("evaluate", made, "--json"))
    result = Run.open(made).info["result"]
    assert (found["top1"], found["top5"]) == (result["test_acc"], result["test_top5"])
    assert found["loss"] == pytest.approx(result["test_loss"])


def test_the_table_has_every_class_and_the_figures(made):
    out = succeeded(minise("evaluate", made))
    test = evaluate_run(made).test
    assert f"top-1 {100 * test.top1:.2f} %" in out
    for name in CLASSES:
        assert f"\n{name} " in out
    assert max(map(len, out.splitlines()[1:])) <= 80
    assert "\x1b" not in out


def test_another_number_of_test_images(made):
    assert lines(minise("evaluate", made, "--json", "--limit-test", 7))[0]["images"] == 7


def test_a_class_without_images_is_null(made):
    (found,) = lines(minise("evaluate", made, "--json", "--limit-test", 1))
    assert sorted(map(str, found["per_class"].values()))[1:] == ["None"] * 9


def test_a_data_folder_that_is_gone_is_looked_for_elsewhere(run, tmp_path):
    config = run / "config.toml"
    config.write_text(config.read_text() + f'data_dir = "{tmp_path}/gone"\n')
    succeeded(minise("evaluate", run))


def spoil_json(run):
    (run / "run.json").write_text("{")


def spoil_format(run):
    (run / "run.json").write_text('{"format": "other"}')


def bare_format(run):
    (run / "run.json").write_text(json.dumps({"format": "minise-run-1"}))


def spoil_config(run):
    (run / "config.toml").write_text("epochs = [")


def spoil_key(run):
    (run / "config.toml").write_text("epoch = 3")


def drop_json(run):
    (run / "run.json").unlink()


def drop_config(run):
    (run / "config.toml").unlink()


def drop_model(run):
    (run / "model.safetensors").unlink()


def cut_model(run):
    path = run / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def garble_model(run):
    (run / "model.safetensors").write_bytes(b"\xff" * 1000)


def empty_model(run):
    (run / "model.safetensors").write_bytes(b"")


def other_model(run):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("se-convnet", "se-resnet20"))


def other_width(run):
    config = run / "config.toml"
    config.write_text(config.read_text().replace("reduction = 16", "reduction = 2"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_json, ["run.json is not JSON"]),
        (spoil_format, ["run.json", "format"]),
        (bare_format, ["run.json: state is missing"]),
        (spoil_config, ["config.toml", "TOML"]),
        (spoil_key, ["config.toml", "'epoch'"]),
        (drop_json, ["run.json"]),
        (drop_config, ["config.toml"]),
        (drop_model, ["model.safetensors is missing"]),
        (cut_model, ["model.safetensors"]),
        (garble_model, ["model.safetensors"]),
        (empty_model, ["model.safetensors"]),
        (other_model, ["model.safetensors", "does not fit"]),
        (other_width, ["model.safetensors", "does not fit"]),
    ],
)
def test_a_spoilt_run_is_one_line(spoil, words, run):
    spoil(run)
    failed(minise("evaluate", run), 1, *words)


def test_what_a_reader_should_know(made):
    tested = evaluate_run(made)
    assert doubts(tested) == []
    other = dataclasses.replace(tested, same_data=False)
    assert "another checksum" in doubts(other)[0]
    own = dataclasses.replace(tested, dataset=dataclasses.replace(tested.dataset, official=False))
    assert "not the official files" in doubts(own)[0]


def test_no_run_at_all_is_one_line(tmp_path):
    failed(minise("evaluate", tmp_path / "nothing"), 1, "not a folder")
    failed(minise("evaluate", tmp_path), 1, "run.json")


def evaluation(classes):
    """Everything right but for a few mistakes; the last class without images."""
    confusion = np.diag([50] * (classes - 1) + [0])
    confusion[3, 5] = 20
    confusion[7, 2] = 9
    return Evaluation(0.5, 0.9, 0.99, confusion)


def test_a_hundred_classes_are_told_by_the_extremes(capsys):
    names = [f"class{i}" for i in range(100)]
    draw.draw_evaluation("title", evaluation(100), names)
    out = capsys.readouterr().out
    worst, best, pairs = (out.index(words) for words in ("worst classes", "best classes", "taken for"))
    assert worst < out.index("class3 ") < pairs
    assert best < pairs
    assert out[pairs:].split()[4:8] == ["class3", "class5", "20", "70"]
    assert "nan" not in out
    assert max(map(len, map(str.rstrip, out.splitlines()))) <= 80


def test_pairs_are_sorted_and_without_the_diagonal():
    pairs = [(pair.times, pair.truth, pair.answer) for pair in evaluation(10).confused_pairs]
    assert pairs == [(20, 3, 5), (9, 7, 2)]


def test_the_matrix_glows_where_it_is_hot():
    cells = [draw._heat(n, 100, right=False).style.bgcolor.triplet.red for n in (0, 5, 50, 100)]
    assert cells == sorted(cells)
    assert cells[0] < cells[1] < cells[3]


def test_inspect_looks_on_fewer_images_where_there_are_fewer(tmp_path, monkeypatch):
    def rare(request):
        few = Split(np.zeros((25, 3, 32, 32), np.uint8), np.arange(25) % 3)
        figures = np.full(3, 0.5, np.float32), np.full(3, 0.2, np.float32)
        return Dataset(request.name, few, few, ("a", "b", "c"), *figures, "x", None, "made up")

    monkeypatch.setitem(DATASETS, "rare", dataclasses.replace(DATASETS["shapes10"], load=rare))
    config = TrainConfig(dataset="rare", model="se-convnet", epochs=1, val_size=0, threads=1)
    list(train(config, tmp_path / "r"))
    assert lines(minise("inspect", tmp_path / "r", "--json"))
    failed(minise("inspect", tmp_path / "r", "--images", 26), 2, "limit_test 26: rare has only 25")
