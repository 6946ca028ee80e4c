"""The events of a training run as lines: JSON for programs, words where nobody looks at a terminal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, Protocol, Self

import click
from minise_cli.render.format import clock, count, flops, percent, widths

from minise._util.to_json import plain
from minise.runs.job import Compiling, Event, Finished, Started, result_of
from minise.train import EpochDone, StepDone


class Report(Protocol):
    """What a training run is shown with."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, event: Event) -> None: ...


def print_json(value: dict[str, Any]) -> None:
    """One object, one line, at once."""
    click.echo(json.dumps(plain(value), allow_nan=False))


class LineReport:
    """Prints what its table of functions makes of an event; an event without a row is passed over."""

    def __init__(self, rows: dict[type, Callable[[Any], str | dict[str, Any]]]) -> None:
        self.rows = rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def show(self, event: Any) -> None:
        row = self.rows.get(type(event))
        if row is not None:
            line = row(event)
            click.echo(line) if isinstance(line, str) else print_json(line)


def start_object(event: Started) -> dict[str, Any]:
    data = event.dataset
    return {
        "event": "start",
        "run": str(event.run),
        "config": dataclasses.asdict(event.config),
        "parameters": event.model.parameters,
        "flops": event.model.flops,
        "se_widths": list(event.model.se_widths),
        "train_images": event.train_images,
        "val_images": event.val_images,
        "test_images": len(data.test),
        "device": event.device,
        "backend": event.backend,
        "threads": event.threads,
        "epochs_done": event.start,
        "data": {"name": data.name, "checksum": data.checksum, "official": data.official},
    }


def compiling(event: Compiling) -> str:
    """What a wait for the compiler is told as."""
    return f"compiling the {event.backend} kernels for this machine: once, then they are cached"


def compile_object(event: Compiling) -> dict[str, Any]:
    return {"event": "compile", **dataclasses.asdict(event)}


def epoch_object(event: EpochDone) -> dict[str, Any]:
    return {"event": "epoch", **dataclasses.asdict(event)}


def done_object(event: Finished) -> dict[str, Any]:
    return {"event": "done", **result_of(event.test), "seconds": event.seconds, "run": str(event.run)}


class JsonReport(LineReport):
    """One JSON object a line; accuracies are fractions, null stands for what there is not."""

    def __init__(self) -> None:
        rows = {Started: start_object, Compiling: compile_object}
        super().__init__({**rows, EpochDone: epoch_object, Finished: done_object})


class TextReport(LineReport):
    """A line for the start, for each epoch and for the end; no control characters."""

    def __init__(self) -> None:
        self.epochs = 0
        rows = {Started: self.start, Compiling: compiling}
        super().__init__({**rows, EpochDone: self.epoch, Finished: self.done})

    def start(self, event: Started) -> str:
        self.epochs = event.config.epochs
        model, config = event.model, event.config
        images = f"{event.train_images} + {event.val_images} + {len(event.dataset.test)} images"
        se = f", act {config.act}, SE widths {widths(model.se_widths)}" if model.se_widths else ""
        resumed = f", from epoch {event.start + 1}" if event.start else ""
        return (
            f"{config.model} ({count(model.parameters)} parameters, {flops(model.flops)}{se}) on"
            f" {config.dataset} ({images}), {event.device} ({event.backend}), {event.threads} threads,"
            f" run {event.run}{resumed}"
        )

    def epoch(self, event: EpochDone) -> str:
        val = ""
        if event.val_loss is not None and event.val_acc is not None:
            val = f"  val loss {event.val_loss:.4f}  val {percent(event.val_acc)}"
        return (
            f"epoch {event.epoch:{len(str(self.epochs))}}/{self.epochs}"
            f"  loss {event.train_loss:.4f}  train {percent(event.train_acc)}{val}"
            f"  lr {event.lr:.4g}  {event.seconds:.1f} s  {event.images_per_second:.0f} images/s"
        )

    def done(self, event: Finished) -> str:
        test = event.test
        return (
            f"test top-1 {percent(test.top1)}  top-5 {percent(test.top5)}  loss {test.loss:.4f}"
            f"  {clock(event.seconds)}  run {event.run}"
        )


def is_epoch_end(event: Event) -> bool:
    """Whether the event is the last step of an epoch: what follows is validation, not another step."""
    return isinstance(event, StepDone) and event.step == event.steps
