"""What is known about a running training: filled by its events, read by whoever shows it."""

from __future__ import annotations

import time

from minise.runs.job import Compiling, Event, Finished, Started
from minise.runs.run import Run
from minise.train import EpochDone, StepDone

MOST = 4096


class State:
    """phase: what is going on now; losses: of one step in `every`, at most MOST; images, loss_sum, right:
    of the running epoch so far; began: when this session did.
    """

    def __init__(self) -> None:
        self.started: Started | None = None
        self.step: StepDone | None = None
        self.finished: Finished | None = None
        self.epochs: list[EpochDone] = []
        self.losses: list[float] = []
        self.steps, self.every = 0, 1
        self.loss_sum = self.right = 0.0
        self.images = 0
        self.phase = "preparing …"
        self.began = time.perf_counter()

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self.started, self.began = event, time.perf_counter()
                if event.start:  # a resumed run shows what it has done before
                    self.epochs = [EpochDone(**line) for line in Run.open(event.run).metrics()]
            case Compiling():
                self.phase = "compiling kernels, once on this machine …"
            case StepDone():
                self.take_step(event)
            case EpochDone():
                self.epochs.append(event)
                self.images = 0
                last = self.started is not None and event.epoch == self.started.config.epochs
                self.phase = "testing …" if last else "training"
            case Finished():
                self.finished, self.phase = event, "done"

    def take_step(self, event: StepDone) -> None:
        if self.step is None:  # what was prepared before is no part of the pace
            self.began = time.perf_counter() - event.seconds
        if event.step == 1:
            self.loss_sum, self.right, self.images = 0.0, 0.0, 0
        n = event.images - self.images
        self.step, self.images = event, event.images
        self.loss_sum += event.loss * n
        self.right += event.accuracy * n
        self.steps += 1
        if self.steps % self.every == 0:
            self.losses.append(event.loss)
        if len(self.losses) > MOST:
            self.losses, self.every = self.losses[1::2], 2 * self.every
        validates = self.started is not None and self.started.val_images > 0
        self.phase = "validating …" if is_epoch_end(event) and validates else "training"

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.began

    def done(self) -> tuple[float, float, float]:
        """Epochs done: in all, with the part of the running one; at the start of this session; to do."""
        if self.started is None:
            return 0.0, 0.0, 1.0
        start, total = self.started.start, self.started.config.epochs
        if self.step is None:
            return start, start, total
        return self.step.epoch - 1 + self.step.step / self.step.steps, start, total

    def seconds_left(self) -> float:
        """By the pace of this session so far, validation included; NaN before there is one."""
        done, start, total = self.done()
        return self.elapsed / (done - start) * (total - done) if done > start else float("nan")

    def running(self) -> EpochDone | None:
        """The epoch that is running, as far as it has come; None between two."""
        if self.step is None or not self.images:
            return None
        step, n = self.step, self.images
        loss, right = self.loss_sum / n, self.right / n
        pace = n / step.seconds if step.seconds else 0.0
        return EpochDone(step.epoch, loss, right, None, None, step.lr, step.seconds, pace)

    def epoch_left(self) -> float:
        """Seconds until the epoch's last step; NaN before its first."""
        step = self.step
        return step.seconds / step.step * (step.steps - step.step) if step else float("nan")

    def best(self) -> EpochDone | None:
        """The epoch with the highest validation accuracy, the first of equals."""
        validated = [e for e in self.epochs if e.val_acc is not None]
        return max(validated, key=lambda e: e.val_acc or 0, default=None)


def is_epoch_end(event: Event) -> bool:
    """Whether the event is the last step of an epoch: what follows is validation, not another step."""
    return isinstance(event, StepDone) and event.step == event.steps
