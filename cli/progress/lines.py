"""Events as lines: JSON for programs, words where nobody looks at a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from minise_cli.progress.display import Display
from minise_cli.render.console import is_screen, print_json
from minise_cli.render.format import clock, count, flops, percent, widths

from minise.runs.job import Compiling, Event, Finished, Started, result_of
from minise.study import Outcome, RunEnded, RunEpoch, RunStarted, StudyEvent, StudyStarted
from minise.train import EpochDone


def display_for(as_json: bool, *, study: bool = False) -> Display:
    """What suits the reader of a training or a study: a program, a file, or somebody at a screen."""
    if as_json:
        return JsonLines()
    if not is_screen():
        return TextLines()
    if study:
        from minise_cli.progress.live_study import LiveStudy as Live
    else:
        from minise_cli.progress.live import LiveRun as Live  # type: ignore[assignment]
    return Live()


def start_object(event: Started) -> dict[str, Any]:
    data = event.dataset
    said = {name: value for name, value in vars(event).items() if name not in ("model", "dataset", "start")}
    return {
        "event": "start",
        **said,
        **vars(event.model),
        "test_images": len(data.test),
        "epochs_done": event.start,
        "data": {"name": data.name, "checksum": data.checksum, "official": data.official},
    }


def study_object(event: StudyStarted) -> dict[str, Any]:
    study = event.study
    return {"event": "study", "folder": study.folder, "runs": len(study.outcomes), "todo": event.todo}


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    more = {"planned": outcome.planned.name, "dead_share": outcome.dead_share}
    return {"event": "outcome", **vars(outcome), **more}


OBJECTS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Started: start_object,
    Compiling: lambda event: {"event": "compile"} | {k: v for k, v in vars(event).items() if v is not None},
    EpochDone: lambda event: {"event": "epoch", **vars(event)},
    Finished: lambda event: {
        "event": "done",
        **result_of(event.test),
        "seconds": event.seconds,
        "run": event.run,
    },
    StudyStarted: study_object,
    RunStarted: lambda event: {"event": "run", "run": event.planned.name, "resumed": event.resumed},
    RunEpoch: lambda event: {"event": "epoch", "run": event.planned.name, **event.line},
    RunEnded: lambda event: outcome_object(event.outcome),
}
"""Event -> what JSON says of it; an event without a row is passed over."""


class JsonLines(Display):
    """One JSON object per line; accuracies are fractions, null stands for what there is not."""

    def show(self, event: Event | StudyEvent) -> None:
        if row := OBJECTS.get(type(event)):
            print_json(row(event))


class TextLines(Display):
    """A line for the start, for each epoch or run, and for the end; no control characters."""

    def __init__(self) -> None:
        self.total = self.ended = 0
        """Epochs of the training, or runs of the study, and how many of these have ended."""

    def show(self, event: Event | StudyEvent) -> None:
        if words := self.words(event):
            click.echo(words)

    def words(self, event: Event | StudyEvent) -> str | None:
        match event:
            case Started():
                self.total = event.config.epochs
                return start_words(event)
            case Compiling():
                return compiling(event)
            case EpochDone():
                return epoch_words(event, self.total)
            case Finished():
                test = event.test
                return (
                    f"test top-1 {percent(test.top1)}  top-5 {percent(test.top5)}  loss {test.loss:.4f}"
                    f"  {clock(event.seconds)}  run {event.run}"
                )
            case StudyStarted():
                self.total = event.todo
                return f"study {event.study.folder}: {event.todo} of {len(event.study.outcomes)} runs to do"
            case RunEnded():
                self.ended += 1
                return f"{self.ended:{len(str(self.total))}}/{self.total}  {outcome_words(event.outcome)}"
            case _:
                return None


def start_words(event: Started) -> str:
    """What is trained, on what, where."""
    model, config = event.model, event.config
    images = f"{event.train_images} + {event.val_images} + {len(event.dataset.test)} images"
    se = f", act {config.act}, SE widths {widths(model.se_widths)}" if model.se_widths else ""
    resumed = f", from epoch {event.start + 1}" if event.start else ""
    return (
        f"{config.model} ({count(model.parameters)} parameters, {flops(model.flops)}{se}) on"
        f" {config.dataset} ({images}), {event.device} ({event.backend}), {event.threads} threads,"
        f" run {event.run}{resumed}"
    )


def compiling(event: Compiling) -> str:
    """What a wait for the compiler is told as."""
    kept = "once, then they are cached"
    if event.temporary is not None:
        kept = f"into {event.temporary}, for this time, since no cache can be written; NUMBA_CACHE_DIR can name one"
    return f"compiling the {event.backend} kernels for this machine: {kept}"


def epoch_words(event: EpochDone, epochs: int) -> str:
    """The figures of one of so many epochs."""
    validated = event.val_loss is not None
    val = f"  val loss {event.val_loss:.4f}  val {percent(event.val_acc)}" if validated else ""
    return (
        f"epoch {event.epoch:{len(str(epochs))}}/{epochs}"
        f"  loss {event.train_loss:.4f}  train {percent(event.train_acc)}{val}"
        f"  lr {event.lr:.4g}  {event.seconds:.1f} s  {event.images_per_second:.0f} images/s"
    )


def outcome_words(outcome: Outcome) -> str:
    """How a run of a study ended."""
    if outcome.test_acc is not None:
        return f"{outcome.planned.name}  test {percent(outcome.test_acc)}  {clock(outcome.seconds)}"
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.planned.name}  {outcome.state} after {outcome.epochs} epochs{reason}"
