"""A training that is stopped, by a user or by the machine, leaves a run that can be tested and gone on with."""

import errno
import json
import os
import signal

import pytest
from cli_runs import (
    TINY,
    environment,
    failed,
    lines,
    measured,
    minise,
    start,
    succeeded,
    wait_for,
    waiting_after_an_epoch,
    weights,
)

from minise._util.files import alone
from minise.runs import run as checkpoint
from minise.runs.run import Run
from minise.train.step import update

THREE = (*TINY, "--epochs", "3")
STEPS = 3  # of an epoch: 231 images, 64 a step


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of three epochs that nothing interrupted."""
    run = tmp_path_factory.mktemp("interrupt") / "whole"
    succeeded(minise("train", *THREE, "--run", run))
    return run


def stop_at(monkeypatch, step, error):
    """Let the training raise `error` in place of that step (counted from 1)."""
    steps = iter(range(1, 1000))

    def stopping(*args, **options):
        if next(steps) == step:
            raise error
        return update(*args, **options)

    monkeypatch.setattr("minise.train.step.update", stopping)


def test_ctrl_c_says_where_the_run_is_and_how_to_go_on(tmp_path, monkeypatch):
    stop_at(monkeypatch, STEPS + 2, KeyboardInterrupt)
    result = minise("train", *THREE, "--run", "r", "--json")
    assert result.exit_code == 130
    assert result.stderr == (
        "interrupted: the run is kept in r: `minise evaluate r` tests it, `minise train --resume r` goes on\n"
    )
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == ["start", "epoch"]
    assert Run.open(tmp_path / "r").info["state"] == "interrupted"
    tested = minise("evaluate", "r", "--json")
    assert tested.stderr == "warning: r: the run was interrupted, after 1 of 3 epochs\n"
    assert lines(tested)[0]["state"] == "interrupted"


@pytest.mark.parametrize("step", [2, STEPS + 2, 2 * STEPS + 1])
def test_resumed_is_bit_for_bit_uninterrupted(step, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, step, KeyboardInterrupt)
        assert minise("train", *THREE, "--run", "a").exit_code == 130
    resumed = lines(minise("train", "--resume", "a", "--json"))
    assert resumed[0]["epochs_done"] == (step - 1) // STEPS
    assert [line["epoch"] for line in resumed[1:-1]] == list(range(resumed[0]["epochs_done"] + 1, 4))
    a = tmp_path / "a"
    assert weights(a) == weights(whole)
    assert measured(a) == measured(whole)
    assert len(measured(a)) == 3
    assert Run.open(a).info["result"] == Run.open(whole).info["result"]
    assert not (a / "resume.safetensors").exists()


def test_a_recipe_is_resumed_bit_for_bit(tmp_path, monkeypatch):
    """With Muon's state, a whitening that does not learn, and images that are mirrored in every other epoch."""
    options = (*THREE, "--recipe", "default", "--model", "se-fastnet")
    succeeded(minise("train", *options, "--run", "whole"))
    with monkeypatch.context() as patch:
        stop_at(patch, STEPS + 2, KeyboardInterrupt)
        assert minise("train", *options, "--run", "a").exit_code == 130
    succeeded(minise("train", "--resume", "a"))
    assert weights(tmp_path / "a") == weights(tmp_path / "whole")
    assert measured(tmp_path / "a") == measured(tmp_path / "whole")


def test_resume_takes_no_other_options(monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, STEPS + 1, KeyboardInterrupt)
        minise("train", *THREE, "--run", "r")
    for flags, word in (
        (("--lr", 1), "--lr"),
        (("--epochs", 10), "--epochs"),  # although it is the default
        (("--run", "s"), "--run"),
        (("--config", "c"), "--config"),
        (("--no-flip",), "--flip"),
    ):
        failed(minise("train", "--resume", "r", *flags), 2, word)
    succeeded(minise("train", "--resume", "r", "--threads", 1))  # where it computes may change
    failed(minise("train", "--resume", "r"), 1, "r is done")


def test_resume_of_no_run_is_one_line(tmp_path):
    failed(minise("train", "--resume", "nothing"), 1, "nothing is not a folder")
    (tmp_path / "empty").mkdir()
    failed(minise("train", "--resume", "empty"), 1, "run.json")


def test_before_the_run_exists_nothing_is_left(tmp_path, monkeypatch):
    def load(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("minise.runs.job.load", load)
    result = minise("train", *TINY, "--run", "r")
    assert result.exit_code == 130
    assert result.stderr == "interrupted: the training had not begun; no run was made\n"
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_middle_is_one_line_and_the_run_can_be_resumed(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, STEPS + 2, MemoryError("Unable to allocate 1 TiB"))
        failed(minise("train", *THREE, "--run", "r"), 1, "memory", "1 TiB")
    assert Run.open(tmp_path / "r").info["state"] == "failed"
    succeeded(minise("evaluate", "r"))
    succeeded(minise("train", "--resume", "r"))


def test_a_full_disk_is_one_line_and_leaves_the_files_before(whole, tmp_path, monkeypatch):
    saves = []
    replace = os.replace

    def full(source, target):
        saves.append(str(target))
        if sum("resume" in name for name in saves) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.os, "replace", full)
        failed(minise("train", *THREE, "--run", "r"), 1, "cannot write", "No space left on device")
    assert not [path for path in (tmp_path / "r").iterdir() if path.name.startswith(".")]
    succeeded(minise("evaluate", "r"))
    resumed = lines(minise("train", "--resume", "r", "--json"))
    assert resumed[0]["epochs_done"] == 1
    assert weights(tmp_path / "r") == weights(whole)


def test_a_disk_that_is_full_from_the_start_is_one_line(monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    failed(minise("train", *TINY, "--run", "r"), 1, "No space left on device")


def read_until(process, words):
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(process.stderr.read())


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_signal_stops_a_real_process(number, code, tmp_path):
    process = start(
        *("train", *TINY, "--epochs", 500, "--run", "r"), cwd=tmp_path, env=environment(PYTHONUNBUFFERED="1")
    )
    read_until(process, "epoch   1/500")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert err.startswith("interrupted: the run is kept in r: ")
    assert err.count("\n") == 1
    run = Run.open(tmp_path / "r")
    assert run.info["state"] == "interrupted"
    succeeded(minise("evaluate", "r"))


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_a_reader_that_leaves_stops_the_training_in_order(tmp_path):
    process = start("train", *TINY, "--epochs", 500, "--run", "r", "--json", cwd=tmp_path)
    read_until(process, '"epoch"')
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()
    assert Run.open(tmp_path / "r").info["state"] == "interrupted"


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_killed_without_warning_it_can_be_resumed(whole, tmp_path):
    process = start(*("train", *THREE, "--run", "r"), cwd=tmp_path, env=waiting_after_an_epoch(tmp_path))
    wait_for((tmp_path / "r" / "resume.safetensors").exists)
    process.kill()
    process.communicate(timeout=60)
    run = Run.open(tmp_path / "r")
    assert (run.info["state"], run.state) == ("running", "stopped")
    assert "1 of 3 stopped" in succeeded(minise("compare", run.path, env={"COLUMNS": "200"}))
    tested = minise("evaluate", run.path)
    assert "the run stopped without a word (--resume goes on with it), after 1 of 3 epochs" in tested.stderr
    with alone(run.path):
        assert run.state == "running"
    succeeded(minise("train", "--resume", "r"))
    assert weights(tmp_path / "r") == weights(whole)
