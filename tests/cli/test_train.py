"""`minise train`: its lines, its JSON, its run folder, and where its options come from."""

import contextlib
import dataclasses
import json
import re
import sys
import time
from pathlib import Path

import pytest
from cli_runs import TINY, failed, lines, measured, minise, succeeded, weights
from minise_cli.options import CHOICES, GROUPS

from minise._util.to_json import plain
from minise.runs import job
from minise.runs.job import train
from minise.runs.run import Run
from minise.train import EpochDone
from minise.train.config import TrainConfig

START = {
    *("event", "run", "config", "parameters", "flops", "se_widths", "train_images", "val_images"),
    *("test_images", "device", "backend", "threads", "epochs_done", "data"),
}
EPOCH = {
    *("event", "epoch", "train_loss", "train_acc", "val_loss", "val_acc", "lr", "seconds"),
    "images_per_second",
}
DONE = {"event", "test_acc", "test_top5", "test_loss", "test_images", "seconds", "run"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_plain_lines():
    result = minise("train", *TINY, "--epochs", 2, "--run", "r")
    first, one, two, last = succeeded(result).splitlines()
    assert re.match(r"se-convnet \(25,140 parameters, 5.61 MFLOPs, act felu, SE widths 1, 2, 4\) on", first)
    assert "shapes10 (231 + 25 + 100 images), cpu (numba), 1 threads, run r" in first
    assert re.match(r"epoch 1/2  loss \d\.\d{4}  train [\d.]+ %  val loss [\d.]+  val [\d.]+ %  lr ", one)
    assert two.startswith("epoch 2/2")
    assert re.match(r"test top-1 [\d.]+ %  top-5 [\d.]+ %  loss [\d.]+  \d+:\d\d  run r", last)
    assert result.stdout.isprintable() or "\x1b" not in result.stdout
    assert result.stderr == ""


def test_compilation_is_shown_as_such(monkeypatch):
    monkeypatch.setattr("minise.kernels.numba.register.compiled", lambda: False)
    _, second, *_ = succeeded(minise("train", *TINY, "--run", "r")).splitlines()
    assert second == "compiling the numba kernels for this machine: once, then they are cached"
    _, event, *_ = lines(minise("train", *TINY, "--run", "s", "--json"))
    assert event == {"event": "compile", "backend": "numba"}


def test_json_lines():
    result = minise("train", *TINY, "--json", "--run", "r", "--val-size", 0)
    start, epoch, done = lines(result)
    assert set(start) == START
    assert start["event"] == "start"
    assert start["config"]["act"] == "felu"
    assert start["se_widths"] == [1, 2, 4]
    assert (start["train_images"], start["val_images"], start["test_images"]) == (256, 0, 100)
    assert len(start["data"]["checksum"]) == 64
    assert set(epoch) == EPOCH
    assert (epoch["event"], epoch["epoch"], epoch["val_loss"], epoch["val_acc"]) == ("epoch", 1, None, None)
    assert 0 <= epoch["train_acc"] <= 1
    assert set(done) == DONE
    assert 0 <= done["test_acc"] <= done["test_top5"] <= 1
    assert result.stderr == ""


def test_json_errors_go_to_stderr():
    result = minise("train", *TINY, "--json", "--lr", "-1")
    failed(result, 2, "lr")
    assert result.stdout == ""


def test_run_folder_by_default_and_by_name():
    succeeded(minise("train", *TINY))
    (found,) = Path("runs").iterdir()
    assert re.fullmatch(r"shapes10-se-convnet-\d{8}-\d{6}", found.name)
    run = Run.open(found)
    assert run.info["state"] == "done"
    assert run.config.limit_train == 256


def test_default_folders_are_unique(tmp_path):
    """Also where another training begins in the same second: whoever makes a folder has it."""
    from minise_cli.commands.train import own_folder

    folders = {own_folder(TrainConfig(act="relu")) for _ in range(3)}
    assert len(folders) == 3
    assert all(f.is_dir() and f.name.startswith("cifar10-se-resnet20-relu-") for f in folders)


def test_a_training_that_does_not_begin_leaves_no_folder(tmp_path):
    failed(minise("train", *TINY, "--limit-train", 10**7), 2, "limit_train")
    assert not list(Path("runs").glob("*"))


def test_two_processes_do_not_work_on_one_run(tmp_path):
    config = TrainConfig(dataset="shapes10", model="se-convnet", epochs=2, limit_train=64, limit_test=8)
    with contextlib.closing(train(config, "r")) as events:
        next(event for event in events if isinstance(event, EpochDone))
        failed(minise("train", "--resume", "r"), 1, "another process works on r, expected none")
        failed(minise("train", *TINY, "--run", "r"), 1, "r exists and is not empty")
    succeeded(minise("train", "--resume", "r"))
    assert [line["epoch"] for line in Run.open("r").metrics()] == [1, 2]
    assert not Path("r/.lock").exists()


@pytest.mark.parametrize("option", ["epochs", "batch-size", "seed", "limit-train", "threads", "microscope"])
def test_numbers_that_nothing_holds_get_one_line(option):
    failed(minise("train", *TINY, f"--{option}", 10**400), 2, option.replace("-", "_"), "expected at most 63")
    Path("c.toml").write_text(f"{option} = 1{'0' * 400}")
    failed(minise("train", "--config", "c.toml"), 2, option.replace("-", "_"), "expected at most 63")


def test_a_key_that_is_given_twice_gets_one_line():
    Path("c.toml").write_text("batch-size = 8\nbatch_size = 9")
    failed(
        minise("train", "--config", "c.toml"), 2, "found both batch-size and batch_size, expected one of them"
    )


@pytest.mark.parametrize("content", ["seed = " + "7" * 5000, "x = " + "[" * 5000])
def test_toml_that_python_cannot_read_gets_one_line(content):
    Path("c.toml").write_text(content)
    failed(minise("train", "--config", "c.toml"), 2, "c.toml is not TOML")


def test_a_training_that_diverges_in_its_last_step_fails(tmp_path):
    options = ("--limit-train", 64, "--batch-size", 64, "--val-size", 0, "--lr", 1e300, "--run", "r")
    done = minise("train", "--dataset", "shapes10", "--model", "se-convnet", "--epochs", 1, *options)
    failed(done, 1, "the loss of the test images is nan after the last step")
    assert Run.open("r").info["state"] == "failed"


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "mine").write_text("dear to me")
    failed(minise("train", *TINY, "--run", "r"), 1, "r exists and is not empty", "--run")
    (tmp_path / "f").write_text("a file")
    failed(minise("train", *TINY, "--run", "f"), 1, "f exists")
    failed(minise("train", *TINY, "--run", "f/below"), 1, "f/below")
    assert (tmp_path / "r" / "mine").read_text() == "dear to me"


def test_the_same_seed_twice_is_the_same_run(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        succeeded(minise("train", *TINY, "--seed", seed, "--run", name))
    a, b, c = (tmp_path / name for name in "abc")
    assert weights(a) == weights(b) != weights(c)
    assert measured(a) == measured(b) != measured(c)
    assert Run.open(a).info["result"] == Run.open(b).info["result"]


class TestConfig:
    def test_flags_override_the_file_which_overrides_defaults(self, tmp_path):
        (tmp_path / "c.toml").write_text('epochs = 2\nbatch-size = 32\nact = "relu"\nflip = false\n')
        result = minise(
            *("train", "--config", "c.toml", "--json", "--run", "r", "--dataset", "shapes10"),
            *("--model", "se-convnet", "--limit-train", 100, "--limit-test", 50, "--epochs", 1, "--flip"),
        )
        config = lines(result)[0]["config"]
        assert config["epochs"] == 1  # a flag, although it is nobody's default
        assert config["batch_size"] == 32
        assert config["act"] == "relu"
        assert config["flip"] is True  # given, although it is the default
        assert config["momentum"] == 0.9

    def test_a_flag_that_equals_its_default_still_overrides(self, tmp_path):
        (tmp_path / "c.toml").write_text("epochs = 0\n")
        failed(minise("train", "--config", "c.toml"), 2, "epochs")
        (tmp_path / "c.toml").write_text('dataset = "mnist"\nepochs = 10\n')
        failed(minise("train", "--config", "c.toml", "--dataset", "cifar10", "--lr", 0), 2, "lr")

    def test_the_config_of_a_run_makes_the_same_run(self, tmp_path):
        succeeded(minise("train", *TINY, "--run", "a"))
        succeeded(minise("train", "--config", "a/config.toml", "--run", "b"))
        a, b = tmp_path / "a", tmp_path / "b"
        assert weights(a) == weights(b)
        assert (a / "config.toml").read_text() == (b / "config.toml").read_text()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("epoch = 3", ["c.toml", "'epoch'"]),
            ("epochs = '3'", ["epochs", "whole number"]),
            ("flip = 1", ["flip", "true or false"]),
            ("tta = true", ["tta: found True", "one of none, flip, shift"]),
            ("optimizer = 'muon'\nmomentum = 0", ["nesterov", "momentum = 0"]),
            ("epochs = ", ["c.toml", "not TOML"]),
            ("[train]\nepochs = 3", ["c.toml", "'train'"]),
            ("\xff", ["c.toml", "not TOML"]),
        ],
    )
    def test_wrong_files_are_one_line(self, content, words, tmp_path):
        (tmp_path / "c.toml").write_bytes(content.encode("latin1"))
        failed(minise("train", "--config", "c.toml"), 2, *words)

    def test_a_missing_file_is_one_line(self):
        failed(minise("train", "--config", "c.toml"), 2, "c.toml", "No such file")

    def test_the_data_folder_becomes_absolute(self, tmp_path):
        from minise_cli.options import merged_config

        assert merged_config({"data_dir": "here"}, None).data_dir == str(tmp_path / "here")


class TestOptions:
    def test_there_is_one_for_every_field(self):
        named = [name for fields in GROUPS.values() for name in fields]
        assert sorted(named) == sorted(field.name for field in dataclasses.fields(TrainConfig))

    def test_every_choice_and_default_is_in_the_help(self):
        out = " ".join(succeeded(minise("train", "--help")).split()).replace("- ", "-")
        for choices in CHOICES.values():
            assert ", ".join(choices) in out
        for group in GROUPS:
            assert f"{group}:" in out
        assert "0.1 for sgd, 0.001 for adamw" in out


class TestData:
    def test_data_that_cannot_be_had_is_one_line(self, tmp_path, monkeypatch):
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        args = ("train", "--data-dir", tmp_path / "d", "--mirror", "http://127.0.0.1:9/", "--run", "r")
        failed(minise(*args), 1, "http://127.0.0.1:9/cifar-10-python.tar.gz")
        assert not (tmp_path / "r").exists()

    def test_more_images_than_there_are_is_one_line(self):
        failed(minise("train", *TINY, "--limit-train", 60_000), 2, "limit_train", "60000")

    def test_all_images_for_validation_is_one_line(self):
        failed(minise("train", *TINY, "--val-size", 256), 2, "256")

    def test_a_data_set_that_is_not_the_official_one_is_warned_of(self, monkeypatch):
        load = job.load
        monkeypatch.setattr(
            "minise.runs.job.load", lambda *a, **k: dataclasses.replace(load(*a, **k), official=False)
        )
        result = minise("train", *TINY, "--json", "--run", "r")
        assert [line["event"] for line in lines(result)] == ["start", "epoch", "done"]
        assert result.stderr == (
            "warning: shapes10: not the official files; results on them are not comparable with others'\n"
        )


def test_divergence_is_one_line_and_the_run_says_so(tmp_path):
    result = minise("train", *TINY, "--lr", "1e30", "--epochs", 3, "--run", "r")
    failed(result, 1, "loss", "--lr")
    assert Run.open(tmp_path / "r").info["state"] == "failed"


def test_cuda_without_a_gpu_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    failed(minise("train", *TINY, "--device", "cuda"), 1, "cuda", "--device cpu")


def test_float16_without_a_gpu_is_one_line(tmp_path):
    options = ("--device", "cpu", "--precision", "fp16", "--run", "r")
    failed(minise("train", *TINY, *options), 2, "precision", "fp16", "expected fp32", "--device cuda")
    assert not (tmp_path / "r").exists()


def test_what_is_not_a_number_is_null():
    values = {"a": float("nan"), "b": [float("inf"), 1.5, {"c": (2, "x")}]}
    assert json.dumps(plain(values)) == '{"a": null, "b": [null, 1.5, {"c": [2, "x"]}]}'


def test_tensorboard_forgets_the_steps_that_a_resumed_run_repeats(tmp_path):
    pytest.importorskip("tensorboardX")
    from minise_cli.progress.tensorboard import TensorBoardFiles
    from tensorboardX.proto.event_pb2 import Event

    def begin(start):
        files = TensorBoardFiles(tmp_path / "tb")
        config = TrainConfig(batch_size=10)
        files.show(job.Started(tmp_path, config, None, None, 45, 0, "cpu", "numpy", 1, start))
        files.__exit__()
        content = max((tmp_path / "tb").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
        events = []
        while content:
            size = int.from_bytes(content[:8], "little")
            events.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
        return [event.step for event in events if event.HasField("session_log")]

    assert begin(0) == []
    time.sleep(1.1)  # a file is named by the second
    assert begin(2) == [9]
