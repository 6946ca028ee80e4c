"""The display of a running training, drawn with Rich: what is trained, how far it is, how it goes.

It is drawn from the training's own thread, and then rests a hundred times as long as that took: it costs less
than a hundredth of the training, however slow the terminal is. It is made of lines of text alone:
Rich's tables take ten times as long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Self

from minise_cli.progress.lines import is_epoch_end
from minise_cli.progress.state import State
from minise_cli.render.format import clock, count, flops, percent, sparkline, widths
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from minise.runs.job import Event, Finished, Started
from minise.train import EpochDone, StepDone

EVERY = 0.25  # seconds between two drawings, at least
SHARE = 100  # of the time, at most one part goes into drawing
EPOCH_ROWS = 8
WIDEST = 100

Part = str | tuple[str, str]
"""Words, or words and their style."""


class LiveReport:
    """Shows events on a terminal, as `with LiveReport() as report: report.show(event)`."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.state = State()
        self.live = Live(console=self.console, auto_refresh=False, vertical_overflow="crop")
        self.next = 0.0

    def __enter__(self) -> Self:
        self.live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.state.finished is None:
            self.state.phase = "stopped"
        self.draw()
        self.live.stop()

    def show(self, event: Event) -> None:
        self.state.take(event)
        if time.perf_counter() >= self.next or not isinstance(event, StepDone) or is_epoch_end(event):
            self.draw()

    def draw(self) -> None:
        began = time.perf_counter()
        self.live.update(picture(self.state, *self.console.size), refresh=True)
        now = time.perf_counter()
        self.next = now + max(EVERY, SHARE * (now - began))


def picture(state: State, width: int, height: int) -> RenderableType:
    """The whole display for a terminal of that size; in a low one, the header goes first, then the epochs."""
    started, finished = state.started, state.finished
    if started is None:
        return Text("")
    width = min(width, WIDEST)
    above = [] if finished else [*bars(state, started, width), Text(), figures(state), Text()]
    above += curves(state, width)
    below = [*summary(state, finished)] if finished else []
    room = height - 1 - len(above) - len(below) - len(HEADINGS)
    head = room > HEADER_LINES
    rows = min(EPOCH_ROWS, room - HEADER_LINES if head else room)
    table = [*epochs(state, rows, width)] if rows > 0 else []
    for line in (*above, *table):
        line.no_wrap, line.overflow = True, "ellipsis"
    top: list[RenderableType] = [header(started, width), Text()] if head else []
    return Group(*top, *above, *table, *below)


def text(*parts: Part) -> Text:
    """One line."""
    return Text.assemble(*parts)


def header(started: Started, width: int) -> Panel:
    """What is trained, on what, how, where."""
    config, model, dataset = started.config, started.model, started.dataset
    splits = {"train": started.train_images, "val": started.val_images, "test": len(dataset.test)}
    images = " · ".join(f"{count(n)} {split}" for split, n in splits.items())
    se = f" · alpha by {config.alpha} · hidden widths {widths(model.se_widths)}" if model.se_widths else ""
    resumed = f" · goes on after epoch {started.start}" if started.start else ""
    rows: dict[str, tuple[Part, ...]] = {
        "data": ((config.dataset, "bold"), f" · {images}"),
        "model": (
            (config.model, "bold"),
            f" · {count(model.parameters)} parameters · {flops(model.flops)}",
        ),
        "se": ((config.act or "none", "bold"), se),
        "recipe": (
            f"{config.optimizer} · lr {config.lr:g} {config.schedule}"
            f" · batch {config.batch_size} · seed {config.seed}",
        ),
        "device": (f"{started.device} ({started.backend}) · {started.threads} threads",),
        "run": ((str(started.run), "cyan"), resumed),
    }
    lines = (text((f"{name:<8}", "dim"), *parts) for name, parts in rows.items())
    body = Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
    return Panel(body, title="[b]minise[/b] train", title_align="left", border_style="cyan", width=width)


HEADER_LINES = 9  # with its border, and an empty line


def bars(state: State, started: Started, width: int) -> Iterator[Text]:
    """How far the epoch and the run are."""
    step, total = state.step, started.config.epochs
    done, _, _ = state.done()
    number = f"epoch {step.epoch if step else started.start + 1}/{total}"
    part = step.step / step.steps if step else 0.0
    room = width - len(number) - 36
    if state.phase != "training":
        now: Part = (state.phase, "yellow")
    else:
        now = f"step {step.step}/{step.steps}, {clock(state.epoch_left())} left" if step else ""
    yield text(f"{number}  ", *bar(part, room, "green"), now)
    left = (clock(state.seconds_left()), "bold")
    yield text(
        "run".ljust(len(number) + 2),
        *bar(done / total, room, "cyan"),
        state.clock,
        " so far, ",
        left,
        " left",
    )


def bar(part: float, room: int, style: str) -> tuple[Part, ...]:
    """A bar of `room` characters, `part` of it full; nothing where there is no room."""
    if room < 5:
        return ()
    full = round(part * room)
    return ("━" * full, style), ("━" * (room - full), "bright_black"), "  "


def figures(state: State) -> Text:
    """Where the training stands in this step."""
    step = state.step
    if step is None:
        return Text()
    values = {
        "loss": f"{step.loss:.4f}",
        "accuracy": percent(step.accuracy),
        "lr": f"{step.lr:.4g}",
        "images/s": count(round(step.images / step.seconds)) if step.seconds else "-",
    }
    return Text("   ").join(text((f"{name} ", "dim"), (value, "bold")) for name, value in values.items())


def curves(state: State, width: int) -> Iterator[Text]:
    """The loss by step and the validation accuracy by epoch, with the first and the last value."""
    accuracies = [e.val_acc for e in state.epochs if e.val_acc is not None]
    room = max(4, width - 28)
    for name, values, show, style in (
        ("loss", state.losses.values, "{:.3f}".format, "magenta"),
        ("val", accuracies, percent, "green"),
    ):
        if not values:
            yield text((f"{name:<6}", "dim"))
            continue
        line = sparkline(values, room)
        yield text(
            (f"{name:<6}", "dim"),
            (f"{line:<{room}}", style),
            f"  {show(values[0])} → ",
            (show(values[-1]), "bold"),
        )


COLUMNS = {"epoch": 6, "loss": 9, "train": 10, "val": 10, "val loss": 10, "lr": 11, "images/s": 10, "time": 8}
"""Name -> width. Where they do not all fit, the last ones are left out."""
HEADINGS = ("", "epochs")


def epochs(state: State, rows: int, width: int) -> Iterator[Text]:
    """The last epochs and the running one; a star marks the best validation accuracy."""
    best, running = state.best(), state.running()
    yield Text()
    yield text((_columns({name: name for name in COLUMNS}, width), "dim"))
    for event in [*state.epochs, *([running] if running else [])][-rows:]:
        line = text((_columns(_cells(event), width), "yellow" if event is running else ""))
        yield line.append(" ★", "green") if event is best else line


def _columns(cells: dict[str, str], width: int) -> str:
    line = ""
    for name, room in COLUMNS.items():
        if len(line) + room + 2 > width:  # 2 for the star
            break
        line += f"{cells[name]:>{room}}"
    return line


def _cells(event: EpochDone) -> dict[str, str]:
    return {
        "epoch": str(event.epoch),
        "loss": f"{event.train_loss:.4f}",
        "train": percent(event.train_acc),
        "val": "-" if event.val_acc is None else percent(event.val_acc),
        "val loss": "-" if event.val_loss is None else f"{event.val_loss:.4f}",
        "lr": f"{event.lr:.3g}",
        "images/s": count(round(event.images_per_second)),
        "time": clock(event.seconds),
    }


def summary(state: State, finished: Finished) -> Iterator[Text]:
    """The result, and what to do with it."""
    test, best = finished.test, state.best()
    yield Text()
    yield text(
        ("test  ", "dim"),
        (f"top-1 {percent(test.top1)}", "bold green"),
        f"   top-5 {percent(test.top5)}   loss {test.loss:.4f}",
        (f"   {count(test.images)} images", "dim"),
    )
    if best is not None:
        last = state.epochs[-1].val_acc or 0.0
        yield text(
            ("val   ", "dim"),
            f"last {percent(last)}   best {percent(best.val_acc or 0.0)} in epoch {best.epoch}",
            ("   (the last one is what was tested)", "dim"),
        )
    yield text(("time  ", "dim"), state.clock)
    yield text(("next  ", "dim"), (f"minise evaluate {finished.run}", "cyan"))
