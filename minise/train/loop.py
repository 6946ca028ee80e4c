"""The training loop and the evaluation: generators and functions that return data and draw nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minise._util.decode import Count
from minise.backend import Array, array_module, to_device, to_numpy
from minise.errors import MiniseError
from minise.kernels.threads import one_blas_thread
from minise.nn import Module
from minise.nn.module import evaluating
from minise.optim.optimizers import Optimizer
from minise.optim.schedules import Schedule
from minise.tape import Tensor, no_grad
from minise.train.metrics import Evaluation, score
from minise.train.step import Stepper, update
from minise.train.tta import VIEWS

Batch = tuple[Array, Array]


class EpochBatches(Protocol):
    """Batches of (x float (n, 3, 32, 32), y integers (n,)), the same ones whenever an epoch is asked for again."""

    def __len__(self) -> int: ...

    def epoch(self, number: int) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class StepDone:
    """After a step. loss, accuracy: of its batch, before its update; on a GPU, which does not stop after each
    step, the means since the last such event. images, seconds: since the epoch began.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    accuracy: float
    lr: float
    images: int
    seconds: float


@dataclass(frozen=True)
class EpochDone:
    """After an epoch (counted from 1). train_loss, train_acc: means over its batches as they were trained on;
    val_loss, val_acc: of the held-out images, None where there are none; images_per_second: of training alone.
    """

    epoch: Count
    train_loss: float
    train_acc: float
    val_loss: float | None
    val_acc: float | None
    lr: float
    seconds: float
    images_per_second: float


class DivergedError(MiniseError):
    """A loss that is no longer a number."""


def check_finite(loss: float, when: str, *, of: str = "") -> None:
    """Raise DivergedError unless the loss is a number; when, of: for the message."""
    if not math.isfinite(loss):
        raise DivergedError(
            f"training: the loss{of} is {loss} {when}, expected a number: lower --lr or lengthen --warmup"
        )


def fit(
    model: Module,
    batches: EpochBatches,
    optimizer: Optimizer,
    schedule: Schedule,
    *,
    epochs: int,
    validation: EpochBatches | None = None,
    smoothing: float = 0.0,
    tta: str = "none",
    device: str = "cpu",
    half: bool = False,
    graph: bool = False,
    start: int = 0,
) -> Iterator[StepDone | EpochDone]:
    """Train epochs start + 1 to `epochs`, yielding after every step and every epoch; on a GPU not after every step.

    half, graph: as for `Stepper`.

    The learning rate of a step is schedule(number of steps before it, over all epochs). Nothing is printed or
    written; whoever stops asking for more stops the training. Raises DivergedError when the loss is no number.
    """
    stepper = Stepper(model, optimizer, smoothing=smoothing, device=device, half=half, graph=graph)
    try:
        for epoch in range(start + 1, epochs + 1):
            model.train()
            began = time.perf_counter()
            loss_sum = right = 0.0
            images = 0
            for step in _steps(stepper, batches, optimizer, schedule, epoch, device):
                loss_sum += step.loss * (step.images - images)
                right += step.accuracy * (step.images - images)
                images = step.images
                yield step
            seconds = time.perf_counter() - began
            val = None if validation is None else evaluate(model, validation.epoch(0), tta=tta, device=device)
            if val is not None:
                check_finite(val.loss, f"after epoch {epoch}", of=" of the held-out images")
            yield EpochDone(
                epoch,
                loss_sum / images,
                right / images,
                val.loss if val else None,
                val.top1 if val else None,
                optimizer.lr,
                seconds,
                images / seconds,
            )
    finally:
        stepper.release()


def _steps(
    stepper: Stepper, batches: EpochBatches, optimizer: Optimizer, schedule: Schedule, epoch: int, device: str
) -> Iterator[StepDone]:
    """Train on an epoch's batches."""
    began = time.perf_counter()
    steps, images = len(batches), 0
    for step, (x, y) in enumerate(batches.epoch(epoch), start=1):
        optimizer.lr = schedule((epoch - 1) * steps + step - 1)
        stepper(to_device(x, device), to_device(y, device))
        if step == steps or stepper.due():
            loss, accuracy, count = stepper.read()
            check_finite(loss, f"at epoch {epoch}, step {step} of {steps}, learning rate {optimizer.lr:.4g}")
            images += count
            seconds = time.perf_counter() - began
            yield StepDone(epoch, step, steps, loss, accuracy, optimizer.lr, images, seconds)


def train_step(
    model: Module, optimizer: Optimizer, x: Array, y: Array, *, smoothing: float = 0.0
) -> tuple[float, float]:
    """Forward, loss, backward and update on one batch; returns (loss, accuracy) from before the update."""
    loss, right = update(model, optimizer, x, y, smoothing=smoothing)
    return float(loss), float(right)


def evaluate(
    model: Module, batches: Iterable[Batch], *, tta: str = "none", device: str = "cpu"
) -> Evaluation:
    """Score the model on every image of the batches: `score` of what `predict` returns."""
    return score(*predict(model, batches, tta=tta, device=device))


def predict(
    model: Module, batches: Iterable[Batch], *, tta: str = "none", device: str = "cpu"
) -> tuple[Array, Array]:
    """The model's logits (n, k) for every image of the batches, in eval mode and off the tape, and the labels (n,).

    tta (test-time augmentation): a name in `VIEWS`, for the mean of the logits of several views of each image.
    The model's mode is restored.
    """
    logits, labels = [], []
    with evaluating(model), no_grad():
        for x, y in batches:
            x = to_device(x, device)
            contiguous = array_module(x).ascontiguousarray
            with one_blas_thread:
                views = VIEWS[tta](x)
                seen = [weight * to_numpy(model(Tensor(contiguous(view))).data) for weight, view in views]
            logits.append(sum(seen[1:], seen[0]))
            labels.append(to_numpy(y))
    return np.concatenate(logits), np.concatenate(labels)
