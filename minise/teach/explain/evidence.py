"""What a lesson's numbers are held against: every value that the tape sees, and small steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from minise.backend import Array
from minise.gradcheck.finite_difference import central
from minise.tape import Call, Tensor, watch
from minise.teach.explain.lesson import Value, difference

CLOSE = 1e-6
"""Up to here, beside the largest number of an array or 1, small steps are trusted: as in the gradient checker."""


def verdict(value: Value) -> tuple[bool, str]:
    """Whether the tape and small steps agree with a value, and how far they are from it."""
    others = (("the tape", value.tape), ("small steps", value.steps))
    found = [(name, difference(value.array, other)) for name, other in others if other is not None]
    words = " · ".join(f"{name}: {'the same' if off == 0 else f'{off:.0e} apart'}" for name, off in found)
    scale = max(1.0, float(np.max(np.abs(value.array), initial=0)))
    return all(off < CLOSE * scale for _, off in found), words


def on_tape(
    f: Callable[..., Tensor], inputs: Sequence[Array], gy: Array
) -> tuple[Array, list[Call], list[Array]]:
    """y = f(*inputs), the calls of all ops in order, forward and then back from gy, and the inputs' gradients."""
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    calls: list[Call] = []
    with watch(calls.append):
        y = f(*tensors)
        y.backward(gy)
    found = [tensor.grad for tensor in tensors if tensor.grad is not None]
    assert len(found) == len(tensors)
    return y.data, calls, found


def evidence(
    f: Callable[..., Tensor], inputs: Mapping[str, Array], gy: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """y and the gradient gx of every input x of f by the tape, and the gradients by small steps."""
    arrays, names = list(inputs.values()), [f"g{name}" for name in inputs]
    y, _, gradients = on_tape(f, arrays, gy)
    steps = small_steps(lambda *moved: f(*moved).data, arrays, gy)
    return {"y": y, **dict(zip(names, gradients, strict=True))}, dict(zip(names, steps, strict=True))


def small_steps(f: Callable[..., Array], inputs: Sequence[Array], gy: Array) -> list[Array]:
    """d(Σ gy · f(*inputs)) / d(each input) by central differences of fourth order."""

    def derivative(i: int, at: tuple[int, ...]) -> float:
        def value(h: float) -> float:
            moved = [np.array(x) for x in inputs]
            moved[i][at] += h
            return float((gy * f(*moved)).sum())

        return central(value)

    return [
        np.array([derivative(i, at) for at in np.ndindex(x.shape)]).reshape(x.shape)
        for i, x in enumerate(inputs)
    ]
