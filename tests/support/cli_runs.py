"""What the tests of the command line share: tiny runs, and what every error looks like."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import safetensors.numpy
from click.testing import CliRunner, Result
from minise_cli.main import cli

TINY = (
    *("--dataset", "shapes10", "--model", "se-convnet", "--epochs", "1", "--batch-size", "64"),
    *("--limit-train", "256", "--limit-test", "100", "--threads", "1", "--warmup", "0"),
)
MINISE = (sys.executable, "-m", "minise_cli.main")


def minise(*args: object, **options) -> Result:
    """`minise args`, in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], **options)


def succeeded(result: Result) -> str:
    """The stdout of a command that ended well."""
    assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
    return result.stdout


def lines(result: Result) -> list[dict]:
    """The JSON objects on stdout, one a line, and nothing else there."""

    def refuse(token):
        raise AssertionError(f"{token} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in succeeded(result).splitlines()]


def failed(result: Result, code: int, *words: str) -> None:
    """One clear line on stderr that has all the words, the exit code, and no traceback."""
    assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
    assert isinstance(result.exception, SystemExit)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert result.stderr.count("error: ") == 1
    assert [line for line in result.stderr.splitlines() if not line.startswith("warning: ")] == [last]
    for word in words:
        assert word in last, last


def environment(**extra: str) -> dict[str, str]:
    """For a subprocess: no download, no colours, no data of the machine that runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MINISE", "XDG", "COLUMNS", "LINES"))}
    return kept | {"HOME": "/nonexistent", "MINISE_MIRROR": "http://127.0.0.1:9/"} | extra


WAITING = """
import time
from minise.runs.run import Run

def save_and_wait(*args, save=Run.save_resume):
    save(*args)
    time.sleep(600)

Run.save_resume = save_and_wait
"""


def waiting_after_an_epoch(folder: Path) -> dict[str, str]:
    """The environment of a process whose trainings stand still as soon as an epoch is saved: `folder` says how."""
    (folder / "sitecustomize.py").write_text(WAITING)
    return environment(PYTHONPATH=str(folder))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def start(*args: object, **options) -> subprocess.Popen:
    """`minise args` in a process of its own, which Ctrl-C reaches even where the tests run in the background."""
    options = {
        "preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        "env": environment(),
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    } | options
    return subprocess.Popen([*MINISE, *map(str, args)], **options)


def weights(run: Path) -> dict[str, bytes]:
    """The arrays of a run's model, bit by bit. (The order of a safetensors file's metadata varies.)"""
    state = safetensors.numpy.load_file(run / "model.safetensors")
    return {name: a.tobytes() for name, a in state.items()}


def measured(run: Path) -> list[dict]:
    """A run's metrics without its times."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k not in ("seconds", "images_per_second")} for line in lines]
