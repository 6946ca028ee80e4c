"""The live display: drawn at every width and in every phase, in a real terminal, at little cost."""

import dataclasses
import io
import os
import pty
import re
import select
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from cli_runs import MINISE, TINY, environment
from minise_cli.progress.live import EPOCH_ROWS, LiveRun, picture
from minise_cli.progress.live_study import LiveStudy
from minise_cli.progress.state import MOST, State
from minise_cli.render.format import (
    clock,
    interval,
    means,
    number,
    p_value,
    percent,
    scaled,
    sparkline,
    widths,
)
from rich.console import Console

from minise.runs.job import Compiling, Finished, Started, train
from minise.study import RunEnded, RunEpoch, RunStarted, StudyStarted
from minise.train import EpochDone, StepDone
from minise.train.config import TrainConfig

WIDTHS = (1, 20, 40, 60, 80, 140)
HEIGHTS = (1, 5, 15, 24, 50)


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """All events of a run of 11 epochs, so that not all of them fit the table."""
    config = TrainConfig(
        dataset="shapes10",
        model="se-convnet",
        limit_train=80,
        limit_test=40,
        epochs=11,
        batch_size=32,
        threads=1,
    )
    return list(train(config, tmp_path_factory.mktemp("live") / "run"))


def drawn(state, width=80, height=40):
    """What the terminal shows."""
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(picture(state, width, height))
    return console.file.getvalue()


def state_after(events, kind, number=1):
    """The state after the number-th event of a kind."""
    state = State()
    for event in events:
        state.take(event)
        number -= isinstance(event, kind)
        if number == 0:
            return state
    raise AssertionError(kind)


def test_a_long_training_keeps_few_losses():
    state = State()
    for step in range(1, 3 * MOST):
        state.take(StepDone(1, step, 10**6, float(step), 0.5, 0.1, step, 1.0))
    assert len(state.losses) <= MOST
    assert state.losses[-1] >= 3 * MOST - 4


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", HEIGHTS)
def test_every_phase_fits_every_terminal(events, width, height):
    state = State()
    drawn(state, width, height)
    for event in events:
        state.take(event)
        rows = drawn(state, width, height).splitlines()
        assert max(map(len, rows), default=0) <= width
        if not isinstance(event, Finished) and height >= 15:
            assert len(rows) < height


@pytest.mark.parametrize("width", [40, 80, 140])
def test_a_terminal_is_drawn_to_without_a_line_too_long(events, width):
    screen = io.StringIO()
    console = Console(file=screen, width=width, height=30, force_terminal=True, color_system="truecolor")
    with LiveRun(console) as display:
        for event in events:
            display.show(event)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert max(map(len, re.split(r"[\r\n]+", plain))) <= width
    assert "minise evaluate" in plain


def test_what_is_shown_before_the_first_step(events):
    out = drawn(state_after(events, Started))
    assert "shapes10 · 72 train · 8 val · 40 test" in out
    assert "se-convnet · 25,140 parameters · 5.61 MFLOPs" in out
    assert "felu · alpha by layer · hidden widths 1, 2, 4" in out
    assert "cpu (numba) · 1 threads" in out
    assert "epoch 1/11" in out
    assert "nan" not in out


def test_an_activation_without_a_parameter_has_no_alpha(events):
    (started,) = (event for event in events if isinstance(event, Started))
    config = dataclasses.replace(started.config, act="relu")
    out = drawn(state_after([dataclasses.replace(started, config=config)], Started))
    assert "relu · hidden widths 1, 2, 4" in out


def test_what_is_shown_in_the_middle(events):
    state = state_after(events, StepDone, 5)
    out = drawn(state)
    assert "epoch 3/11" in out
    assert "step 1/2" in out
    assert f"loss {state.step.loss:.4f}" in out
    assert f"{state.epochs[0].train_loss:.4f}" in out
    assert re.search(r"\d+:\d\d so far, \d+:\d\d left", out)


def test_phases(events):
    assert state_after(events, StepDone, 1).phase == "training"
    assert state_after(events, StepDone, 2).phase == "validating …"
    assert state_after(events, EpochDone, 1).phase == "training"
    assert state_after(events, EpochDone, 11).phase == "testing …"
    assert state_after(events, Finished).phase == "done"


def test_the_running_epoch_is_the_mean_of_its_steps(events):
    steps = [event for event in events if isinstance(event, StepDone)][:2]
    state = state_after(events, StepDone, 2)
    assert state.running().train_loss == pytest.approx(sum(step.loss for step in steps) / 2)
    first = next(event for event in events if isinstance(event, EpochDone))
    assert state.running().train_loss == pytest.approx(first.train_loss)
    assert state.running().train_acc == pytest.approx(first.train_acc)


def test_the_table_has_the_last_epochs_and_a_star(events):
    state = state_after(events, Finished)
    out = drawn(state)
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ +\d\.\d{4} ", line)]
    assert [int(row[0]) for row in rows] == list(range(12 - EPOCH_ROWS, 12))
    assert out.count("★") == (state.best().epoch > 11 - EPOCH_ROWS)
    best = max(event.val_acc for event in events if isinstance(event, EpochDone))
    assert state.best().val_acc == best
    assert f"top-1 {percent(state.finished.test.top1)}" in out


def test_a_model_without_se_and_without_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # so that the path is short
    config = TrainConfig(
        dataset="shapes10",
        model="convnet",
        limit_train=64,
        limit_test=20,
        epochs=1,
        batch_size=32,
        val_size=0,
        threads=1,
    )
    state = State()
    for event in train(config, "[run]"):
        state.take(event)
        out = drawn(state)
        assert "se      none" in out
        assert "[run]" in out
    assert state.best() is None


def test_drawing_costs_less_than_a_hundredth(events, monkeypatch):
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True)
    now, drawings = [0.0], []
    monkeypatch.setattr("minise_cli.progress.live.time.perf_counter", lambda: now[0])

    def slow(self):
        drawings.append(now[0])
        now[0] += 0.02

    display = LiveRun(console)
    monkeypatch.setattr(display.live, "update", lambda *args, **options: slow(display))
    step = next(event for event in events if isinstance(event, StepDone))
    display.show(events[0])
    for _ in range(1000):
        now[0] += 0.01
        display.show(step)
    assert len(drawings) * 0.02 < 0.011 * now[0] + 0.02


def read_terminal(args, cwd, size="80x24"):
    """What a command writes to a terminal, and its exit code."""
    columns, _, rows = size.partition("x")
    master, slave = pty.openpty()
    env = environment(TERM="xterm-256color", COLUMNS=columns, LINES=rows)
    process = subprocess.Popen(
        [*MINISE, *map(str, args)], stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env
    )
    os.close(slave)
    seen, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux: the other end is closed
                chunk = b""
            if not chunk:
                break
            seen += chunk
        elif process.poll() is not None:
            break
    os.close(master)
    return seen.decode(errors="replace"), process.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pty")
def test_in_a_real_terminal(tmp_path):
    seen, code = read_terminal(["train", *TINY, "--epochs", 2, "--run", "r"], tmp_path)
    assert code == 0, seen
    assert "\x1b[" in seen
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
    for words in ("preparing shapes10 …", "╭─ minise train", "epoch 1/2", "top-1", "minise evaluate r"):
        assert words in plain
    assert "Traceback" not in plain
    seen, code = read_terminal(["evaluate", "r"], tmp_path)
    assert code == 0, seen
    assert "\x1b[" in seen
    assert "crescent" in seen
    seen, code = read_terminal(["data", "show", "shapes10", "--rows", 1], tmp_path)
    assert code == 0, seen
    assert "▀" in seen


def test_a_study_has_a_bar_and_a_line_for_each_run_that_ended():
    screen = io.StringIO()
    planned = SimpleNamespace(name="first[0]", config=SimpleNamespace(epochs=2))
    done = SimpleNamespace(planned=planned, state="done", test_acc=0.5, seconds=75)
    with LiveStudy(Console(file=screen, width=100, height=30, force_terminal=True)) as display:
        study = SimpleNamespace(outcomes=[done, done], folder="runs/[b]")
        display.show(StudyStarted(study, todo=1))
        display.show(Compiling("numba"))
        display.show(RunStarted(planned, resumed=False))
        display.show(RunEpoch(planned, {"epoch": 1, "train_loss": 2.5, "val_acc": None}))
        whole, run = display.progress.tasks
        assert (whole.completed, whole.total, run.completed, run.total) == (1, 2, 1, 2)
        assert run.fields["words"] == "loss 2.5000"
        display.show(RunEnded(done))
        assert [task.completed for task in display.progress.tasks] == [2]
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    for words in ("runs/[b]", "compiling the numba kernels", "first[0]  test 50.00 %  1:15"):
        assert words in plain


class TestWords:
    def test_percent(self):
        assert percent(0.12345) == "12.35 %" or percent(0.12345) == "12.34 %"
        assert percent(float("nan")) == "-"

    def test_scaled(self):
        assert scaled(5_605_952, "FLOPs") == "5.61 MFLOPs"
        assert scaled(12, "B") == "12 B"
        assert scaled(170_498_071, "B") == "170 MB"

    def test_clock(self):
        seconds = (0, 59.6, 75, 3675, float("nan"), -1)
        assert [clock(s) for s in seconds] == ["0:00", "1:00", "1:15", "1:01:15", "-", "0:00"]

    def test_widths(self):
        assert widths((1, 1, 2)) == "1x2, 2"
        assert widths(()) == ""

    def test_sparkline(self):
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
        assert sparkline([], 8) == ""
        assert sparkline([float("nan"), 1.0], 8) == "▁"
        assert sparkline([2, 2], 8) == "▁▁"
        assert sparkline(range(100), 4) == "▁▃▆█"
        assert len(sparkline(range(1000), 37)) == 37

    def test_means(self):
        assert means([1, 3, 5, 7], 2) == [2, 6]
        assert means([1, 2], 5) == [1, 2]
        assert means([1, 2], 0) == []

    def test_numbers_that_are_not_known(self):
        for missing in (None, float("nan"), float("inf")):
            assert number(missing, ".2f") == percent(missing) == "-"
        assert (number(0.5, "+.2f"), p_value(0.01234), p_value(1e-9)) == ("+0.50", "0.012", "<0.001")
        assert interval(0.1, 0.9, "+.2f") == "+0.10 … +0.90"
        assert interval(float("nan"), float("nan"), ".2f") == p_value(float("nan")) == "-"
