"""The gradient checker: what the tape says against what small steps say.

A random upstream gradient gy turns any function into the scalar Σ gy · f(x). Its derivative along an input
element (or along a random direction) comes from a central difference of fourth order,

    f'(x) ≈ (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h        error O(h⁴)

in float64. gy must be random: with all ones, as in sum(), the worst bugs of batch norm cancel out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from minise.backend import Array, to_numpy
from minise.errors import MiniseError
from minise.tape import Tensor, no_grad

STENCIL = ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0))


@dataclass(frozen=True)
class Mismatch:
    """The worst of the compared derivatives. `index` is None where a direction was taken, not an element."""

    input: int
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float

    def __str__(self) -> str:
        place = "a random direction" if self.index is None else f"element {self.index}"
        return (
            f"input {self.input}, {place}: the backward gives {self.analytic:.12g}, small steps give"
            f" {self.numeric:.12g}, relative error {self.error:.3g}"
        )


class GradientError(MiniseError, AssertionError):
    """A backward that disagrees with its forward."""


def check_gradients(
    f: Callable[..., Tensor],
    inputs: Sequence[Array],
    rng: np.random.Generator,
    *,
    tolerance: float = 1e-6,
    step: float = 1e-3,
    directions: int | None = None,
    wrt: Sequence[int] | None = None,
) -> Mismatch:
    """Compare the gradients of `f` with central differences, and return the worst of them.

    f: takes a Tensor for each input and gives one Tensor; called many times, so it must be deterministic.
    inputs: arrays; the float64 ones are checked, or those whose positions are in `wrt`.
    Keep them 2·step away from kinks. directions: None checks every element; k checks k random directions an
    input, for functions with many. The relative error of one derivative is its difference over the larger
    of the two, or over a thousandth of the largest gradient of all, where both are tiny.
    Raises GradientError if the worst relative error is above `tolerance`.
    """
    wrt = [i for i, x in enumerate(inputs) if x.dtype == np.float64] if wrt is None else list(wrt)
    tensors = [Tensor(x, requires_grad=i in wrt) for i, x in enumerate(inputs)]
    y = f(*tensors)
    gy = rng.standard_normal(y.shape)
    y.backward(gy)
    analytic = {i: tensors[i].grad for i in wrt}
    found = [
        pair
        for i in wrt
        for pair in _compare(f, inputs, i, _gradient(analytic[i], inputs[i]), gy, rng, step, directions)
    ]
    scale = max((max(abs(m.analytic), abs(m.numeric)) for m in found), default=0.0)
    worst = max(
        (_with_error(m, floor=max(1e-3 * scale, 1e-6)) for m in found),
        key=lambda m: m.error if np.isfinite(m.error) else np.inf,
        default=Mismatch(-1, None, 0.0, 0.0, 0.0),
    )
    if not worst.error <= tolerance:
        raise GradientError(f"gradient: {worst}, expected at most {tolerance:g}")
    return worst


def _gradient(grad: Array | None, x: Array) -> Array:
    return np.zeros_like(x) if grad is None else to_numpy(grad)


def _compare(
    f: Callable[..., Tensor],
    inputs: Sequence[Array],
    i: int,
    grad: Array,
    gy: Array,
    rng: np.random.Generator,
    step: float,
    directions: int | None,
) -> list[Mismatch]:
    """Analytic and numeric derivatives of input i, without their errors."""

    def value(x: Array) -> float:
        with no_grad():
            y = f(*[Tensor(x if j == i else other) for j, other in enumerate(inputs)])
        return float((gy * to_numpy(y.data)).sum())

    def derivative(direction: Array) -> float:
        values = sum(weight * value(inputs[i] + k * step * direction) for k, weight in STENCIL)
        return values / (12 * step)

    if directions is not None:
        draws = [rng.standard_normal(inputs[i].shape) for _ in range(directions)]
        units = [d / max(float(np.linalg.norm(d)), 1e-300) for d in draws]
        return [Mismatch(i, None, float((grad * d).sum()), derivative(d), 0.0) for d in units]
    found = []
    for index in np.ndindex(inputs[i].shape):
        unit = np.zeros_like(inputs[i])
        unit[index] = 1.0
        found.append(Mismatch(i, index, float(grad[index]), derivative(unit), 0.0))
    return found


def _with_error(m: Mismatch, floor: float) -> Mismatch:
    error = abs(m.analytic - m.numeric) / max(abs(m.analytic), abs(m.numeric), floor)
    return Mismatch(m.input, m.index, m.analytic, m.numeric, error)
