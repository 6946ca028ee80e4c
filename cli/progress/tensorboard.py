"""The events of a training run as event files for TensorBoard, by tensorboardX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minise_cli.progress.display import Display

from minise._util.optional import optional
from minise.runs.job import Event, Finished, Started
from minise.train import EpochDone, StepDone

EPOCH_FIELDS = ("train_loss", "train_acc", "val_loss", "val_acc", "images_per_second")


class TensorBoardFiles(Display):
    """Writes the loss and the learning rate of every step, and the figures of every epoch, by the number of steps.

    Raises ConfigError where tensorboardX is not installed. Nothing is made before the run has begun.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make = optional("tensorboardX", "tensorboard", "tensorboard").SummaryWriter
        self.writer: Any = None
        self.steps = 0

    def __exit__(self, *exc: object) -> None:
        if self.writer is not None:
            self.writer.close()

    def show(self, event: Event) -> None:
        match event:
            case Started():
                self.steps = event.start * max(1, event.train_images // event.config.batch_size)
                # What an earlier part of the run wrote of steps that come again is not shown.
                again = self.steps + 1 if event.start or self.folder.exists() else None
                self.writer = self.make(str(self.folder), purge_step=again)
            case StepDone():
                self.steps = (event.epoch - 1) * event.steps + event.step
                self.add("step", loss=event.loss, lr=event.lr)
            case EpochDone():
                self.add("epoch", **{name: getattr(event, name) for name in EPOCH_FIELDS})
            case Finished():
                self.add("test", top1=event.test.top1, loss=event.test.loss)

    def add(self, group: str, **values: float | None) -> None:
        """The values that there are, at the step that was last."""
        for name, value in values.items():
            if value is not None:
                self.writer.add_scalar(f"{group}/{name}", value, self.steps)
