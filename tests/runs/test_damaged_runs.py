"""Run folders that hold what no training wrote: one line, whatever command reads them."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from cli_runs import failed, minise, succeeded

from minise._util.files import alone, write_atomically
from minise.analysis.microscope import BlockSummary
from minise.errors import ConfigError, RunError
from minise.report.origin import origin
from minise.runs.job import train
from minise.runs.run import Run
from minise.train import EpochDone
from minise.train.config import TrainConfig

CONFIG = TrainConfig(
    dataset="shapes10", model="se-convnet", epochs=2, limit_train=64, limit_test=8, threads=1, microscope=4
)
DEEP = "[" * 100_000
LARGE = 10**400


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run that is done, and one that stopped after its first epoch."""
    folder = tmp_path_factory.mktemp("runs")
    list(train(CONFIG, folder / "done"))
    with contextlib.closing(train(CONFIG, folder / "stopped")) as events:
        next(event for event in events if isinstance(event, EpochDone))
    return folder


@pytest.fixture
def runs(made, tmp_path, monkeypatch):
    for name in ("done", "stopped"):
        shutil.copytree(made / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(path, *keys, value):
    """Put a value deep into a JSON file, or into the first line of one."""
    first, *rest = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    content = json.loads(first)
    inside = content
    for key in keys[:-1]:
        inside = inside[key]
    inside[keys[-1]] = value
    path.write_text("\n".join([json.dumps(content), *rest]) + "\n")


@pytest.mark.parametrize("checksum", [None, 5, {}])
def test_a_checksum_that_is_none(runs, checksum):
    change(runs / "stopped/run.json", "data", "checksum", value=checksum)
    failed(minise("train", "--resume", "stopped"), 1, "run.json: data.checksum: found", "expected text")


def test_a_missing_checksum(runs):
    info = json.loads((runs / "stopped/run.json").read_text())
    del info["data"]["checksum"]
    (runs / "stopped/run.json").write_text(json.dumps(info))
    failed(minise("train", "--resume", "stopped"), 1, "was trained on data with checksum")


@pytest.mark.parametrize(("key", "value"), [("official", ["a"]), ("classes", None), ("classes", True)])
def test_data_of_another_kind(runs, key, value):
    change(runs / "done/run.json", "data", key, value=value)
    failed(minise("report", "done"), 1, f"run.json: data.{key}: found")


@pytest.mark.parametrize("key", ["test_acc", "test_loss"])
def test_a_result_that_is_too_large(runs, key):
    change(runs / "done/run.json", "result", key, value=LARGE)
    failed(minise("compare", "done", "stopped"), 1, "run.json: result: found", "expected a number")


@pytest.mark.parametrize("key", ["train_loss", "val_acc", "seconds"])
def test_a_line_that_is_too_large(runs, key):
    change(runs / "done/metrics.jsonl", key, value=LARGE)
    failed(minise("compare", "done", "stopped"), 1, f"metrics.jsonl, line 1: {key}: found")


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("run.json", ("evaluate",)),
        ("metrics.jsonl", ("compare", "stopped")),
        ("microscope.jsonl", ("report",)),
    ],
)
def test_json_that_is_nested_too_deeply(runs, file, command):
    (runs / "done" / file).write_text(DEEP)
    failed(minise(*command, "done"), 1, file, "not JSON")


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3"])
def test_numbers_of_a_type_that_numpy_lacks(runs, kind):
    size = {"BF16": 2, "F8_E4M3": 1}[kind]
    header = json.dumps({"x": {"dtype": kind, "shape": [1], "data_offsets": [0, size]}}).encode()
    for run, command in (("done", "evaluate"), ("stopped", "train")):
        file = "model" if run == "done" else "resume"
        (runs / run / f"{file}.safetensors").write_bytes(
            len(header).to_bytes(8, "little") + header + bytes(size)
        )
        flag = ("--resume",) if command == "train" else ()
        failed(minise(command, *flag, run), 1, f"{file}.safetensors")  # ml_dtypes, if it is there, knows some


def test_an_epoch_that_is_infinite(runs):
    path = runs / "stopped/resume.safetensors"
    about = json.dumps({"format": "minise-run-1", "epoch": float("inf"), "steps": 1})
    path.write_bytes(safetensors.numpy.save({"x": np.ones(1)}, {"minise": about}))
    failed(
        minise("train", "--resume", "stopped"),
        1,
        "resume.safetensors: epoch: found inf, expected a whole number",
    )


@pytest.mark.parametrize("flag", ["--limit-test", "--threads"])
def test_none_at_all_is_not_the_default(runs, flag):
    failed(minise("evaluate", "done", flag, 0), 2, "found 0" if flag == "--threads" else "limit_test", "1")


def test_weights_that_are_no_numbers_give_no_warnings(runs):
    path = runs / "done/model.safetensors"
    with safetensors.safe_open(path, framework="numpy") as file:
        state = {k: np.full_like(file.get_tensor(k), np.nan) for k in file.keys()}  # noqa: SIM118
        path.write_bytes(safetensors.numpy.save(state, file.metadata()))
    assert succeeded(minise("evaluate", "done"))


def test_a_run_whose_beginning_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Run.create(tmp_path / "r", CONFIG, {})
    assert not list((tmp_path / "r").iterdir())


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a POSIX shell closes the streams")
@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "<&- 1>&- 2>&-"])
def test_streams_that_are_closed(tmp_path, closed):
    command = f"{sys.executable} -m minise_cli.main models {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="rights as POSIX has them")
def test_a_file_that_is_written_again_keeps_its_rights(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new", b"x")
        (tmp_path / "old").touch(0o600)
        write_atomically(tmp_path / "old", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o600


@pytest.mark.parametrize("folder", ["d😀", "ä\x7f", 'quote"\\'])
def test_a_run_is_opened_again_whatever_its_data_folder_is_called(tmp_path, folder):
    config = dataclasses.replace(CONFIG, data_dir=str(tmp_path / folder))
    Run.create(tmp_path / "r", config, {"data": {}})
    assert Run.open(tmp_path / "r").config == config


def test_a_name_that_utf8_cannot_write_is_refused():
    with pytest.raises(ConfigError, match=r"data_dir: found .* expected text that UTF-8 can write"):
        dataclasses.replace(CONFIG, data_dir="\udcff")


def test_a_folder_in_the_place_of_the_lines(tmp_path):
    run = Run.create(tmp_path / "r", CONFIG, {})
    (run.path / "metrics.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot read"):
        run.metrics()


@pytest.mark.parametrize("field", ["channels", "slope", "between_classes"])
def test_a_block_that_lacks_something(runs, field):
    path = runs / "done/microscope.jsonl"
    recorded = [json.loads(line) for line in path.read_text().splitlines()]
    assert set(recorded[0]["blocks"][0]) == {field.name for field in dataclasses.fields(BlockSummary)}
    del recorded[0]["blocks"][0][field]
    path.write_text("".join(json.dumps(line) + "\n" for line in recorded))
    failed(minise("report", "done"), 1, "microscope.jsonl, line 1", field)


def test_the_folder_of_a_study_is_told_from_a_run(tmp_path):
    run = tmp_path / "study" / "runs" / "first"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    with pytest.raises(
        RunError, match=r"study has no readable run.json: .*; it holds runs, such as .*first$"
    ):
        Run.open(tmp_path / "study")


@pytest.mark.parametrize("file", ["metrics.jsonl", "microscope.jsonl"])
@pytest.mark.parametrize("torn", [b'{"epoch": 2, "train_l', '{"epoch": 2, "\u00e4'.encode()[:-1], b"\0\0\0"])
def test_a_last_line_that_is_cut_off_is_left_out(runs, file, torn):
    whole = (runs / "done" / file).read_bytes()
    for run in ("done", "stopped"):
        with (runs / run / file).open("ab") as lines:
            lines.write(torn)
    for command in (
        ("evaluate", "stopped"),
        ("compare", "done", "stopped"),
        ("report", "done", "-o", "r.html"),
    ):
        result = minise(*command)
        assert succeeded(result)
        assert "Traceback" not in result.stderr
        if file == "metrics.jsonl" or command[0] == "report":
            assert f"{file}: its last line is cut off, and left out" in result.stderr
    assert succeeded(minise("train", "--resume", "stopped"))
    resumed = (runs / "stopped" / file).read_bytes()
    assert resumed.count(b"\n") == whole.count(b"\n") == 2
    (runs / "done" / file).write_bytes(torn + b"\n" + whole)
    failed(minise("report", "done"), 1, file, "not JSON")


def test_a_copy_that_cannot_be_written_is_not_running(runs, monkeypatch):
    info = json.loads((runs / "stopped/run.json").read_text())
    (runs / "stopped/run.json").write_text(json.dumps(info | {"state": "running"}))
    (runs / "stopped/.lock").touch()
    before = Path.open

    def read_only(path, mode="r", *args, **options):
        if set(mode) & set("wax+"):
            raise PermissionError(13, "Permission denied", str(path))
        return before(path, mode, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", read_only)
        assert Run.open("stopped").state == "stopped"
    with alone(runs / "stopped"):
        assert Run.open("stopped").state == "running"


def test_data_that_are_closed_to_this_user_are_looked_for_elsewhere(tmp_path, monkeypatch):
    run = Run.create(tmp_path / "r", dataclasses.replace(CONFIG, data_dir=str(tmp_path)), {"data": {}})
    assert run.data_dir == str(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert run.data_dir is None


def test_what_went_on_with_a_run_is_recorded(runs):
    info = json.loads((runs / "stopped/run.json").read_text())
    old = info["versions"] | {"numpy": "1.0"}
    info |= {"hardware": info["hardware"] | {"backend": "another", "threads": 7}, "resumed_with": [old]}
    (runs / "stopped/run.json").write_text(json.dumps(info))
    assert succeeded(minise("train", "--resume", "stopped"))
    first, here = Run.open("stopped").info["resumed_with"]
    assert first == old
    assert here["versions"] == info["versions"]
    assert here["hardware"]["threads"] == 1
    rows = dict(origin("stopped", Run.open("stopped").info))
    assert "backend another, threads 7; " in rows["machine"]
    assert "threads 1" in rows["machine"]
    assert "numpy 1.0" in rows["versions"]
