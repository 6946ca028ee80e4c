"""A training step, taken again and again, and what comes of it, kept where the arrays lie until someone asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from minise.backend import Array, array_module
from minise.errors import ConfigError
from minise.kernels.threads import one_blas_thread
from minise.nn import Module
from minise.ops import softmax_cross_entropy
from minise.optim.optimizers import Optimizer
from minise.tape import Tensor

READ_EVERY = 0.1
"""How many seconds pass at least between two looks at what a GPU has done: each look makes it wait."""


def update(
    model: Module,
    optimizer: Optimizer,
    x: Array,
    y: Array,
    *,
    smoothing: float = 0.0,
    scale: Array | None = None,
    step: Callable[[], None] | None = None,
) -> tuple[Array, Array]:
    """Forward, loss, backward and update on one batch; (loss, share of right answers), both of before the update.

    scale: what the loss is multiplied by on the way back; the optimizer must know of it. step: what updates the
    parameters, if it is not the optimizer's own step.
    """
    model.zero_grad()
    with one_blas_thread:
        logits = model(Tensor(x))
        loss: Tensor = softmax_cross_entropy(logits, y, smoothing=smoothing)
        right = share_right(logits.data, y)
        loss.backward(scale)
        (step or optimizer.step)()
    return loss.data, right


def share_right(logits: Array, labels: Array) -> Array:
    """The share of the rows of logits (n, k) whose largest number, of equal ones the first, is at the label."""
    return array_module(logits).mean(logits.argmax(axis=1) == labels)


class Stepper:
    """`update` on one batch after another: on a GPU without waiting for it, and as one CUDA graph if asked for.

    half: batches are float16, so losses are scaled before they go back, and gradients by as much before they are
    used (Micikevicius et al., 2017, arXiv:1710.03740). graph: capture the step. Both only for a model on a GPU, and
    for an optimiser with a kernel there: half raises ConfigError for another, which is not captured either, since
    its learning rate would be.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        *,
        smoothing: float = 0.0,
        device: str = "cpu",
        half: bool = False,
        graph: bool = False,
    ) -> None:
        self.waits = device == "cpu"
        self.losses: Any = 0.0
        self.right: Any = 0.0
        self.steps = self.images = 0
        self.read_at = time.perf_counter()
        options: dict[str, Any] = {"smoothing": smoothing}
        whole = optimizer.kernel() is not None
        if half:
            if not whole:
                raise ConfigError(
                    f"precision: found fp16 for an optimizer that has no kernel here ({type(optimizer).__name__}),"
                    " expected fp32"
                )
            from minise.kernels.cuda.update import update_of

            options["scale"] = update_of(optimizer).scale_losses(optimizer)
        self.model, self.captured = model, graph and whole
        self.take: Any = lambda x, y: update(model, optimizer, x, y, **options)
        if self.captured:
            self.take = captured_step(model, optimizer, options)

    def __call__(self, x: Array, y: Array) -> None:
        """Take a step on the batch x (n, 3, h, w), y (n,)."""
        loss, right = self.take(x, y)
        self.losses = self.losses + loss  # new arrays: those of a captured step are written again
        self.right = self.right + right
        self.steps += 1
        self.images += len(y)

    def release(self) -> None:
        """Give back the memory of a captured step, and with it the gradients of the last; no step follows."""
        if self.captured:
            self.model.zero_grad()
            self.take.release()

    def due(self) -> bool:
        """Whether it is time to `read`: after each step on a CPU, from time to time on a GPU."""
        return self.waits or time.perf_counter() - self.read_at >= READ_EVERY

    def read(self) -> tuple[float, float, int]:
        """(loss, share of right answers, images) over the steps since the last look: means over the steps."""
        found = float(self.losses) / self.steps, float(self.right) / self.steps, self.images
        self.losses = self.right = 0.0
        self.steps = self.images = 0
        self.read_at = time.perf_counter()
        return found


def captured_step(model: Module, optimizer: Optimizer, options: dict[str, Any]) -> Any:
    """`update` as one CUDA graph. What changes from step to step is brought to the GPU ahead of each."""
    from minise.kernels.cuda.capture import CapturedStep
    from minise.kernels.cuda.update import update_of

    on_device = update_of(optimizer)

    def before() -> None:
        optimizer.steps += 1
        on_device.announce(optimizer)

    def take(x: Array, y: Array) -> tuple[Array, Array]:
        return update(model, optimizer, x, y, step=lambda: on_device.apply(optimizer), **options)

    return CapturedStep(take, before)
