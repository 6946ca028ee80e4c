"""The events of a training run as event files for TensorBoard, by tensorboardX."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from minise._util.optional import optional
from minise.runs.job import Event, Finished, Started
from minise.train import EpochDone, StepDone

EPOCH_FIELDS = ("train_loss", "train_acc", "val_loss", "val_acc", "images_per_second")


class BoardReport:
    """Writes the loss and the learning rate of every step, and the figures of every epoch, by the number of steps.

    Raises ConfigError where tensorboardX is not installed. Nothing is made before the run has begun.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make = optional("tensorboardX", "tensorboard", "tensorboard").SummaryWriter
        self.writer: Any = None
        self.steps = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def show(self, event: Event) -> None:
        if isinstance(event, Started):
            self.writer = self.make(str(self.folder))
        elif isinstance(event, StepDone):
            self.steps = (event.epoch - 1) * event.steps + event.step
            self.writer.add_scalar("step/loss", event.loss, self.steps)
            self.writer.add_scalar("step/lr", event.lr, self.steps)
        elif isinstance(event, EpochDone):
            for name in EPOCH_FIELDS:
                value = getattr(event, name)
                if value is not None:
                    self.writer.add_scalar(f"epoch/{name}", value, self.steps)
        elif isinstance(event, Finished):
            self.writer.add_scalar("test/top1", event.test.top1, self.steps)
            self.writer.add_scalar("test/loss", event.test.loss, self.steps)
