"""Modules: named parameters and buffers, and the modules inside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np

from minise.backend import Array, to_device, to_numpy
from minise.errors import ShapeError
from minise.tape import Tensor


class Parameter(Tensor):
    """A tensor that learns. kind: "weight", "bias", "norm" (batch norm's two) or "alpha" (an activation's).

    Optimisers can spare some kinds from weight decay.
    """

    __slots__ = ("kind",)

    def __init__(self, data: Array, kind: str = "weight") -> None:
        super().__init__(data, requires_grad=True)
        self.kind = kind


class Buffer:
    """An array that belongs to a module's state and does not learn, such as a running mean."""

    def __init__(self, data: Array) -> None:
        self.data = data


class Module:
    """A function with state. What it holds is found among its attributes, in the order they were set:
    Parameters, Buffers, Modules, and lists of Modules. Names are joined by dots: `stages.0.conv1.weight`.
    """

    training: bool = True

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def calibrate(self, images: Array) -> None:
        """Take from training images (n, 3, h, w), normalised, what is not learnt by gradients; most have nothing."""

    def __call__(self, *inputs: Any) -> Any:
        return self.forward(*inputs)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all below it, with their names; this one's is `prefix`."""
        yield prefix, self
        for name, value in vars(self).items():
            below = f"{prefix}.{name}" if prefix else name
            if isinstance(value, Module):
                yield from value.named_modules(below)
            elif isinstance(value, list):
                for i, item in enumerate(value):
                    if isinstance(item, Module):
                        yield from item.named_modules(f"{below}.{i}")

    def _named(self, kind: type) -> Iterator[tuple[str, Any]]:
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, kind):
                    yield f"{prefix}.{name}" if prefix else name, value

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Every parameter with its name."""
        yield from self._named(Parameter)

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Every buffer with its name."""
        yield from self._named(Buffer)

    def parameters(self) -> list[Parameter]:
        """Every parameter."""
        return [p for _, p in self.named_parameters()]

    def parameter_count(self) -> int:
        """How many numbers learn."""
        return sum(p.size for p in self.parameters())

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for p in self.parameters():
            p.grad = None

    def train(self, mode: bool = True) -> Self:
        """Behave as in training: batch statistics, dropout."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Behave as after training: running statistics, no dropout."""
        return self.train(False)

    def to(self, *, device: str | None = None, dtype: Any = None) -> Self:
        """Move every parameter and buffer to "cpu" or "cuda", or to another float type; gradients go."""
        for _, holder in self._state():
            if device is not None:
                holder.data = to_device(holder.data, device)
            if dtype is not None:
                holder.data = holder.data.astype(dtype)
        self.zero_grad()
        return self

    def state_dict(self) -> dict[str, Array]:
        """NumPy copies of every parameter and buffer by name, contiguous: files are written from their bytes."""
        return {name: np.array(to_numpy(holder.data), order="C") for name, holder in self._state()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over every parameter and buffer, in this module's dtype and on its device.

        Raises ShapeError, with nothing changed, if names are missing or left over or a shape differs.
        """
        own = dict(self._state())
        missing, unknown = own.keys() - state.keys(), state.keys() - own.keys()
        for what, names in (("lacks", missing), ("has unknown", unknown)):
            if names:
                shown = ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")
                raise ShapeError(f"state: it {what} {len(names)} of the model's {len(own)} arrays: {shown}")
        for name, holder in own.items():
            if state[name].shape != holder.data.shape:
                raise ShapeError(f"state: {name} has shape {state[name].shape}, expected {holder.data.shape}")
        for name, holder in own.items():
            device = "cpu" if isinstance(holder.data, np.ndarray) else "cuda"
            holder.data = to_device(np.array(state[name], dtype=holder.data.dtype, order="C"), device)

    def _state(self) -> Iterator[tuple[str, Parameter | Buffer]]:
        yield from self.named_parameters()
        yield from self.named_buffers()


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """`model.eval()` for the length of a `with`; then each module is in the mode in which it was."""
    modes = [(module, module.training) for _, module in model.named_modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
