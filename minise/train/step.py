"""A training step, taken again and again, and what comes of it, kept where the arrays lie until someone asks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from minise.backend import Array, array_module, find_kernel
from minise.errors import ConfigError
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
    within: Iterable[AbstractContextManager[Any]] = (),
) -> tuple[Array, Array]:
    """Forward, loss, backward and update on one batch; (loss, share of right answers), both of before the update.

    scale: what the loss is multiplied by on the way back; the optimiser must know of it. within: contexts for what
    goes before the update, made once for all steps.
    """
    model.zero_grad()
    with ExitStack() as stack:
        for context in within:
            stack.enter_context(context)
        logits = model(Tensor(x))
        loss: Tensor = softmax_cross_entropy(logits, y, smoothing=smoothing)
        right = share_right(logits.data, y)
        loss.backward(scale)
    optimizer.step()
    return loss.data, right


def share_right(logits: Array, labels: Array) -> Array:
    """The share of the rows of logits (n, k) whose largest number, of equal ones the first, is at the label."""
    kernel = find_kernel("share_right", (logits, labels), {})
    if kernel is not None:
        right, _ = kernel.forward(logits, labels)
        return right
    return array_module(logits).mean(logits.argmax(axis=1) == labels)


def constant_weights(device: str) -> Any:
    """A context in which a model's weights do not change: kernels keep what they make of them."""
    if device == "cpu":
        return nullcontext()
    from minise.kernels.cuda.weights import ConstantWeights

    return ConstantWeights()


def aside(device: str, model: Module) -> Any:
    """A context in which the gradients of a model's parameters may be computed beside the rest of a captured step."""
    if device == "cpu":
        return nullcontext()
    from minise.kernels.cuda.side_stream import Aside

    return Aside(model.parameters())


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
        scale = None
        whole = optimizer.kernel() is not None
        if half:
            if not whole:
                raise ConfigError(
                    f"precision: found fp16 for an optimizer that has no kernel here ({type(optimizer).__name__}),"
                    " expected fp32"
                )
            from minise.kernels.cuda.update import update_of

            scale = update_of(optimizer).scale_losses(optimizer)
        self.weights = constant_weights(device)
        within = self.weights, aside(device, model)
        options: dict[str, Any] = {"smoothing": smoothing, "scale": scale, "within": within}
        self.take: Any = lambda x, y: update(model, optimizer, x, y, **options)
        self.model, self.optimizer, self.captured = model, optimizer, graph and whole
        if self.captured:
            from minise.kernels.cuda.capture import CapturedStep
            from minise.kernels.cuda.update import announce

            self.take = CapturedStep(self.take, before=lambda: announce(optimizer))

    def __call__(self, x: Array, y: Array) -> None:
        """Take a step on the batch x (n, 3, h, w), y (n,)."""
        loss, right = self.take(x, y)
        self.losses = self.losses + loss  # new arrays: those of a captured step are written again
        self.right = self.right + right
        self.steps += 1
        self.images += len(y)

    def release(self) -> None:
        """Give back the memory of a captured step, and with it the gradients of the last; no step follows."""
        if not self.waits:
            self.weights.forget()
        if self.captured:
            from minise.kernels.cuda.update import forget

            self.model.zero_grad()
            forget(self.optimizer)
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
