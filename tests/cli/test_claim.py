"""`minise claim`: plans, studies that are made, extended, interrupted and gone on with, and runs that fail."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import (
    environment,
    failed,
    lines,
    minise,
    start,
    succeeded,
    wait_for,
    waiting_after_an_epoch,
    weights,
)

from minise._util.files import alone
from minise._util.lock import locked
from minise.runs.run import Run
from minise.study.verdict import OPEN

TINY_STUDY = """
datasets = ["shapes10"]
models = ["se-convnet"]
seeds = 1
claim = "se-felu"
against = ["se-relu"]

[effect]
shapes10 = 1.0

[train]
epochs = 1
batch_size = 64
limit_train = 256
limit_test = 100
val_size = 56
microscope = 20
warmup = 0

[arms.se-relu]
act = "relu"

[arms.se-felu]
act = "felu"
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The options of a tiny study."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.toml").write_text(TINY_STUDY)
    return ("--config", "tiny.toml", "--study", "s", "--threads", "1")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny study that is done; tests take copies of it."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.toml").write_text(TINY_STUDY)
    succeeded(minise("claim", "--config", folder / "tiny.toml", "--study", folder / "s", "--threads", 1))
    return folder / "s"


def runs(folder="s"):
    return {path.name: Run.open(path) for path in sorted((Path(folder) / "runs").iterdir())}


def test_a_study_from_plan_to_verdict_and_extended(tiny):
    plan = lines(minise("claim", *tiny, "--dry-run", "--json"))[0]
    assert set(plan["states"].values()) == {"planned"}
    assert plan["seconds"] > 0
    assert not Path("s").exists()

    study, *events, verdict = lines(minise("claim", *tiny, "--json"))
    assert (study["runs"], study["todo"]) == (2, 2)
    assert [e["event"] for e in events] == ["run", "epoch", "outcome"] * 2
    assert {e["state"] for e in events if e["event"] == "outcome"} == {"done"}
    assert (verdict["verdict"], verdict["done"]) == ("not enough seeds to tell", 2)
    assert runs()["shapes10-se-convnet-se-relu-s0"].info["command"].startswith("minise")
    before = {name: weights(run.path) for name, run in runs().items()}

    study, *rest = lines(minise("claim", "--study", "s", "--threads", "1", "--seeds", 2, "--json"))
    assert (study["runs"], study["todo"]) == (4, 2)
    assert len(rest) == 7
    assert all(weights(runs()[name].path) == old for name, old in before.items())

    shown = succeeded(minise("claim", "--study", "s"))  # all is done: the verdict again
    assert "0 of 4 runs to do" in shown
    assert "se-felu - se-relu" in shown
    assert re.search(r"verdict on the claim: .*4 of 4 runs done", shown)

    failed(minise("claim", "--study", "s", "--epochs", 3), 2, "train.epochs is 3, expected 1 as it was begun")
    assert {
        size["arm"] for size in lines(minise("claim", "--study", "s", "--dry-run", "--json"))[0]["sizes"]
    } == {
        "se-relu",
        "se-felu",
    }
    assert "se-convnet" in succeeded(minise("claim", "--study", "s", "--dry-run"))


def test_a_run_that_diverges_is_an_outcome(tiny):
    text = TINY_STUDY.replace('act = "relu"\n', 'act = "relu"\nlr = 1e30\n')
    Path("tiny.toml").write_text(text)
    *_, verdict = lines(minise("claim", *tiny, "--jobs", 2, "--json"))
    assert (verdict["done"], verdict["failed"]) == (1, 1)
    assert "the loss is" in runs()["shapes10-se-convnet-se-relu-s0"].info["reason"]
    study, _ = lines(minise("claim", *tiny, "--json"))
    assert study["todo"] == 0  # it is not tried again
    assert "runs  failed" in succeeded(minise("claim", *tiny))
    shown = succeeded(minise("claim", *tiny, "--retry"))  # unless it is asked for
    assert "failed after 0 epochs: training: the loss is" in shown
    assert Path("s/runs/shapes10-se-convnet-se-relu-s0.failed/run.json").exists()


def test_a_run_in_use_stays_open_and_the_others_are_done(tiny, finished):
    """Beside it, what a process leaves that was killed before its run had begun."""
    shutil.copytree(finished, "s")
    busy, unbegun = (Path(f"s/runs/shapes10-se-convnet-se-{act}-s0") for act in ("relu", "felu"))
    Run.open(busy).update(state="interrupted")
    shutil.rmtree(unbegun)
    unbegun.mkdir()
    (unbegun / ".lock").touch()
    (unbegun / "config.toml").touch()
    with alone(busy):
        *_, verdict = lines(minise("claim", *tiny, "--json"))
        assert (verdict["done"], verdict["failed"]) == (1, 0)
    *_, verdict = lines(minise("claim", *tiny, "--json"))
    assert (verdict["done"], verdict["failed"]) == (2, 0)


def test_an_interrupted_study_goes_on_and_ends_the_same(tiny):
    text = TINY_STUDY.replace("epochs = 1", "epochs = 3")
    text = text.replace('["se-relu"]', "[]").replace('[arms.se-relu]\nact = "relu"\n', "")
    Path("tiny.toml").write_text(text)
    process = start("claim", *tiny, env=waiting_after_an_epoch(Path.cwd()))
    first = Path("s/runs/shapes10-se-convnet-se-felu-s0")
    wait_for((first / "resume.safetensors").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "0 of 1 runs are done and kept in s; the same command goes on" in err
    assert Run.open(first).info["state"] == "interrupted"
    assert len(Run.open(first).metrics()) == 1

    _, run, *_ = lines(minise("claim", *tiny, "--json"))
    assert (run["event"], run["resumed"]) == ("run", True)
    succeeded(minise("claim", "--config", "tiny.toml", "--study", "whole", "--threads", 1))
    assert weights(first) == weights(Path("whole/runs") / first.name)


def workers():
    found = subprocess.run(
        ["pgrep", "-f", "minise.study.worker"], capture_output=True, text=True
    ).stdout.split()
    here = []
    for pid in found:
        with contextlib.suppress(FileNotFoundError):  # it has ended since
            if os.readlink(f"/proc/{pid}/cwd") == str(Path.cwd()):
                here.append(int(pid))
    return here


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_processes(tiny):
    """A worker's end is that of its run; the end of the study's process is that of all, who save their runs."""
    text = TINY_STUDY.replace("epochs = 1", "epochs = 50").replace("limit_train = 256", "limit_train = 3000")
    Path("tiny.toml").write_text(text)
    process = start("claim", *tiny)
    names = ("shapes10-se-convnet-se-relu-s0", "shapes10-se-convnet-se-felu-s0")
    first, second = (Path("s/runs") / name for name in names)
    wait_for((first / "resume.safetensors").exists)
    os.kill(workers()[0], signal.SIGKILL)
    wait_for((second / "resume.safetensors").exists)
    info = Run.open(first).info
    assert (info["state"], info["reason"]) == ("failed", "its process ended with signal 9")
    process.kill()
    process.communicate()
    wait_for(lambda: not workers())
    assert Run.open(second).info["state"] == "interrupted"
    states = lines(minise("claim", "--study", "s", "--dry-run", "--json"))[0]["states"]
    assert list(states.values()) == ["failed", "open"]


def test_a_process_that_does_not_begin_its_run(tiny, monkeypatch):
    Path("broken.py").write_text("import sys; sys.stdin.readline(); sys.exit(3)")
    import minise.study.execute as execute

    made = execute.subprocess.Popen
    monkeypatch.setattr(
        execute.subprocess, "Popen", lambda command, **kw: made([command[0], "broken.py"], **kw)
    )
    failed(minise("claim", *tiny), 1, "did not begin: its process ended with code 3")


def test_the_papers_claim_is_printed():
    assert minise("claim", "--print").output.startswith("# The paper's claim")
    own = succeeded(
        minise("claim", "--print", "--recipe", "quick", "--seeds", 2, "--arm", "se-relu", "--arm", "se-felu")
    )
    assert 'models = ["se-fastnet-slim"]' in own
    assert "seeds = [0, 1]" in own


def test_refusals(tiny):
    failed(minise("claim", *tiny, "--arm", "se-x"), 2, "arm: found 'se-x', expected some of se-relu, se-felu")
    failed(minise("claim", *tiny, "--arm", "se-relu"), 2, "expected the claim's, se-felu, among")
    failed(minise("claim", *tiny, "--model", "resnet20"), 2, "resnet20")
    Path("other").mkdir()
    Path("other/file").write_text("x")
    failed(minise("claim", "--config", "tiny.toml", "--study", "other"), 1, "other exists and holds no study")
    Path("bad.toml").write_text("seeds = [")
    failed(minise("claim", "--config", "bad.toml"), 2, "is not TOML")
    Path("tiny.toml").write_text(
        TINY_STUDY.replace('"shapes10"]', '"cifar10"]').replace("shapes10 =", "cifar10 =")
    )
    folder = ("--data-dir", "nowhere", "--mirror", "http://127.0.0.1:9/")
    failed(minise("claim", *tiny, *folder), 1, "cifar-10")
    assert not Path("s/runs").exists()


def test_looks_are_noted(tiny, finished):
    shutil.copytree(finished, "s")
    before = Path("s/looks.jsonl").read_text()
    shown = succeeded(minise("claim", "--study", "s")) + succeeded(minise("report", "s", "-o", "-"))
    assert "look 2" not in shown  # nothing is new
    assert Path("s/looks.jsonl").read_text() == before
    *_, verdict = lines(minise("claim", "--study", "s", "--seeds", 2, "--threads", 1, "--json"))
    assert [(o["seeds"], o["done"], o["verdict"]) for o in verdict["looks"]] == [(1, 2, OPEN)]
    first, second = map(json.loads, Path("s/looks.jsonl").read_text().splitlines())
    assert (first["done"], second["done"], second["seeds"]) == (2, 4, 2)
    assert "look 2; before at 1 seed (2 runs)" in succeeded(minise("claim", "--study", "s"))


def test_a_look_that_cannot_be_noted(tiny, finished):
    shutil.copytree(finished, "s")
    Path("s/looks.jsonl").unlink()
    Path("s/looks.jsonl").symlink_to("nowhere/looks.jsonl")
    result = minise("report", "s", "-o", "-")
    assert "Not enough seeds to tell" in succeeded(result)
    assert "cannot write" in result.stderr
    assert "this look at the verdict is not noted" in result.stderr
    Path("s/looks.jsonl").unlink()
    Path("s/looks.jsonl").write_text("3\n")
    result = minise("report", "s")
    assert succeeded(result) == "report in s/report.html\n"
    assert "s/looks.jsonl, line 1: found 3, expected keys and values" in result.stderr
    assert Path("s/looks.jsonl").read_text() == "3\n"


def test_two_at_once(tiny, finished):
    shutil.copytree(finished, "s")
    before = Path("s/study.toml").read_text()
    with locked(Path(".s.lock")):
        failed(minise("claim", "--study", "s", "--seeds", 4), 1, "another process works on s")
        assert "0 of 2 runs to do" in succeeded(minise("claim", "--study", "s"))  # which only reads
    assert Path("s/study.toml").read_text() == before


def test_runs_of_another_study_are_not_taken_for_its_own(tiny, finished):
    shutil.copytree(finished, "s")
    text = Path("s/study.toml").read_text()
    Path("s/study.toml").write_text(text.replace("batch_size = 64", "batch_size = 32"))
    failed(minise("claim", "--study", "s"), 2, "was trained with batch_size = 64, expected 32")


def test_the_data_are_the_same_for_all(tiny, finished):
    shutil.copytree(finished, "s")
    both = list(runs().values())
    both[0].update(data=both[0].info["data"] | {"checksum": "other" * 4})
    failed(minise("claim", "--study", "s"), 2, "was trained on data with checksum otherotherot…, expected")
    failed(minise("report", "s"), 2, "move one of them away")
    both[1].update(data=both[0].info["data"])
    words = "was trained on data with checksum otherotherot…, found"
    failed(minise("claim", "--study", "s", "--seeds", 2), 1, words)
    assert len(runs()) == 2
    assert "seeds = [0]" in Path("s/study.toml").read_text()


def test_limits_that_are_gone_are_another_study(tiny, finished):
    shutil.copytree(finished, "s")
    Path("s/study.toml").write_text(Path("s/study.toml").read_text().replace("limit_train = 256\n", ""))
    failed(minise("claim", "--study", "s"), 2, "was trained with limit_train = 256, expected None")


def test_arms_are_added(tiny, finished):
    shutil.copytree(finished, "s")
    plan = lines(minise("claim", "--study", "s", "--arm", "plain", "--dry-run", "--json"))[0]
    assert plan["states"]["shapes10-se-convnet-plain-s0"] == "planned"
    assert plan["study"]["against"] == ["se-relu", "plain"]  # as in the paper's claim
    plan = lines(minise("claim", "--study", "s", "--arm", "se-elu", "--dry-run", "--json"))[0]
    assert plan["study"]["against"] == ["se-relu"]
    failed(minise("claim", "--study", "s", "--arm", "se-x"), 2, "expected some of plain, se-relu, se-felu")


def without(monkeypatch, *modules):
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)


def test_a_verdict_needs_no_page_and_a_study_no_verdict(tiny, finished, monkeypatch):
    shutil.copytree(finished, "s")
    without(monkeypatch, "jinja2")
    result = minise("claim", "--study", "s")
    assert "verdict on the claim" in succeeded(result)
    assert "pip install 'minise[report]'" in result.stderr
    without(monkeypatch, "scipy", "scipy.stats")
    result = minise("claim", "--study", "s", "--json")
    *_, verdict = lines(result)
    assert verdict["verdict"] is None
    assert "scipy" in verdict["reason"]
    assert "the runs can do without" in result.stderr  # said before them


def test_nothing_is_claimed(tiny, finished):
    shutil.copytree(finished, "s")
    text = Path("s/study.toml").read_text().replace("shapes10 = 1.0", "cifar10 = 1.0")
    Path("s/study.toml").write_text(text)
    result = minise("claim", "--study", "s")
    assert "\nnothing is claimed   2 of 2 runs done" in succeeded(result)
    assert "no gain is claimed on shapes10" in result.stderr
    Path("s/study.toml").write_text(text.replace("[effect]\ncifar10 = 1.0\n", ""))
    result = minise("claim", "--study", "s")  # a plain study
    assert "\nnothing is claimed   2 of 2 runs done" in succeeded(result)
    assert result.stderr == ""
    assert ">se-relu and se-felu</h1>" in Path("s/report.html").read_text()


DAMAGE = {
    "run.json": ['{"format": "minise-run-1", "state": "done", "data": {}}', None, "[]", "{}", "null"],
    "metrics.jsonl": ["{}\n", "3\n", "x\n", '{"epoch": 1, "train_loss": "low"}\n'],
    "microscope.jsonl": [
        "{}\n",
        '{"epoch": 1, "blocks": [1]}\n',
        '{"epoch": 1, "blocks": [{"dead": "x"}]}\n',
    ],
    "config.toml": ["model = 3", "[", "epochs = 9"],
    "test.safetensors": ["", "x" * 100],
}
"""File -> what stands in it. None: the result is text."""


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_runs(tiny, finished, name):
    """Each command shows what it can, or ends with one line; none of it is a bug."""
    shutil.copytree(finished, "s")
    run = Path("s/runs/shapes10-se-convnet-se-relu-s0")
    for content in DAMAGE[name]:
        if content is None:
            info = json.loads((finished / "runs" / run.name / name).read_text())
            content = json.dumps(info | {"result": {"test_acc": "high", "test_loss": 1}})
        (run / name).write_text(content)
        for command in (
            ("claim", "--study", "s"),
            ("compare", run),
            ("inspect", run),
            ("report", run),
            ("report", "s"),
        ):
            result = minise(*command)
            assert result.exit_code in (0, 1, 2), (command, content, result.exception)
            assert "has a bug" not in result.stderr, (command, content, result.stderr)
            assert result.stderr.count("error: ") == (result.exit_code > 0), (command, content, result.stderr)


def test_compare(finished):
    paths = [run.path for run in runs(finished).values()]
    shown = succeeded(minise("compare", *paths))
    assert "to first" in shown
    felu, relu = lines(minise("compare", *paths, "--json"))
    assert (felu["config"]["act"], relu["config"]["act"]) == ("felu", "relu")
    assert felu["test_acc"] == json.loads((paths[0] / "run.json").read_text())["result"]["test_acc"]
    failed(minise("compare", paths[0], "nowhere"), 1, "nowhere is not a folder")
    failed(minise("compare"), 2, "RUN")


def test_event_files_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter  # noqa: F401

    options = (
        "--dataset",
        "shapes10",
        "--model",
        "se-convnet",
        "--epochs",
        1,
        "--batch-size",
        64,
        "--warmup",
        0,
    )
    more = (
        "--limit-train",
        256,
        "--limit-test",
        50,
        "--threads",
        1,
        "--run",
        tmp_path / "r",
        "--tensorboard",
    )
    succeeded(minise("train", *options, *more))
    (file,) = (tmp_path / "r" / "tensorboard").iterdir()
    tags, data = set(), file.read_bytes()
    while data:  # a record: its length in 8 bytes, 4 of checksum, itself, 4 of checksum
        size = int.from_bytes(data[:8], "little")
        tags |= {value.tag for value in Event.FromString(data[12 : 12 + size]).summary.value}
        data = data[16 + size :]
    assert {"step/loss", "epoch/train_loss", "epoch/val_acc", "test/top1"} <= tags


def test_a_run_imports_what_its_study_imports(tiny):
    """Not what lies in the current folder: there, `random.py` is a script and `minise` a clone."""
    Path("random.py").write_text("raise SystemExit('executed')")
    Path("minise").mkdir()
    script = f"import sys; sys.path[:] = {sys.path!r}; from minise_cli.main import main; main()"
    command = [sys.executable, "-P", "-c", script, "claim", *tiny]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr
    assert {run.info["state"] for run in runs().values()} == {"done"}
