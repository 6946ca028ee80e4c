"""The display of a running training, drawn with Rich: what is trained, how far it is, how it goes.

It is drawn from the training's own thread, and then rests a hundred times as long as that took: it costs less
than a hundredth of the training, however slow the terminal is. It is made of lines of text alone:
Rich's tables take ten times as long.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Self

from minise_cli.progress.display import Display
from minise_cli.progress.state import State, is_epoch_end
from minise_cli.render.console import console
from minise_cli.render.format import clock, count, flops, number, percent, sparkline, widths
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from minise.ops import ACTIVATIONS
from minise.runs.job import Event, Finished, Started
from minise.train import StepDone

EVERY = 0.25  # seconds between two drawings, at least
SHARE = 100  # of the time, at most one part goes into drawing
EPOCH_ROWS = 8
WIDEST = 100

Part = str | tuple[str, str]
"""Words, or words and their style."""
text = Text.assemble
"""Makes one line of parts."""


class LiveRun(Display):
    """Shows events on a terminal, as `with LiveRun() as display: display.show(event)`."""

    def __init__(self, out: Console | None = None) -> None:
        self.console = out or console()
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


def header(started: Started, width: int) -> Panel:
    """What is trained, on what, how, where."""
    config, model, dataset = started.config, started.model, started.dataset
    splits = {"train": started.train_images, "val": started.val_images, "test": len(dataset.test)}
    images = " · ".join(f"{count(n)} {split}" for split, n in splits.items())
    learns = config.act in ACTIVATIONS and ACTIVATIONS[config.act].start is not None
    alpha = f" · alpha by {config.alpha}" if learns else ""
    se = f"{alpha} · hidden widths {widths(model.se_widths)}" if model.se_widths else ""
    resumed = f" · goes on after epoch {started.start}" if started.start else ""
    rows: dict[str, tuple[Part, ...]] = {
        "data": ((config.dataset, "bold"), f" · {images}"),
        "model": ((config.model, "bold"), f" · {count(model.parameters)} parameters · {flops(model.flops)}"),
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
    epoch = f"epoch {step.epoch if step else started.start + 1}/{total}"
    part = step.step / step.steps if step else 0.0
    room = width - len(epoch) - 36
    if state.phase != "training":
        now: Part = (state.phase, "yellow")
    else:
        now = f"step {step.step}/{step.steps}, {clock(state.epoch_left())} left" if step else ""
    yield text(f"{epoch}  ", *bar(part, room, "green"), now)
    left = (clock(state.seconds_left()), "bold")
    so_far = f"{clock(state.elapsed)} so far, "
    yield text(f"{'run':<{len(epoch)}}  ", *bar(done / total, room, "cyan"), so_far, left, " left")


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
        ("loss", state.losses, "{:.3f}".format, "magenta"),
        ("val", accuracies, percent, "green"),
    ):
        line = text((f"{name:<6}", "dim"))
        if values:
            first, last = show(values[0]), show(values[-1])
            line.append(f"{sparkline(values, room):<{room}}", style).append(f"  {first} → ").append(
                last, "bold"
            )
        yield line


COLUMNS = {
    "epoch": (6, lambda epoch: str(epoch.epoch)),
    "loss": (9, lambda epoch: f"{epoch.train_loss:.4f}"),
    "train": (10, lambda epoch: percent(epoch.train_acc)),
    "val": (10, lambda epoch: percent(epoch.val_acc)),
    "val loss": (10, lambda epoch: number(epoch.val_loss, ".4f")),
    "lr": (11, lambda epoch: f"{epoch.lr:.3g}"),
    "images/s": (10, lambda epoch: count(round(epoch.images_per_second))),
    "time": (8, lambda epoch: clock(epoch.seconds)),
}
"""Name -> width, and what it says of an epoch. Where they do not all fit, the last ones are left out."""
HEADINGS = ("", "epochs")


def epochs(state: State, rows: int, width: int) -> Iterator[Text]:
    """The last epochs and the running one; a star marks the best validation accuracy."""
    ends = itertools.accumulate(room for room, _ in COLUMNS.values())
    columns = {
        name: COLUMNS[name] for name, end in zip(COLUMNS, ends, strict=True) if end + len(" ★") <= width
    }
    best, running = state.best(), state.running()
    yield Text()
    yield text(("".join(f"{name:>{room}}" for name, (room, _) in columns.items()), "dim"))
    for epoch in [*state.epochs, *([running] if running else [])][-rows:]:
        cells = "".join(f"{cell(epoch):>{room}}" for room, cell in columns.values())
        line = text((cells, "yellow" if epoch is running else ""))
        yield line.append(" ★", "green") if epoch is best else line


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
    yield text(("time  ", "dim"), clock(state.elapsed))
    yield text(("next  ", "dim"), (f"minise evaluate {finished.run}", "cyan"))
