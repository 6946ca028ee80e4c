"""The gradient checker: what the tape says against what small steps say.

A random upstream gradient gy turns any function into the scalar Σ gy · f(x). Its derivative along an input element
(or along a random direction) comes from differences in float64, or from a complex step where the function allows it.
gy must be random: with all ones, as in sum(), the worst bugs of batch norm cancel out.

Where the two differ, the step may be to blame: it was too large, or it crossed a kink. So a derivative that differs
is taken again with steps of several sizes, from both sides; at a kink any value between the two sides is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import minise.ops  # noqa: F401  operators of tensors, for the functions that are checked
from minise.backend import Array, to_numpy
from minise.errors import MiniseError
from minise.gradcheck.finite_difference import STEP, central, complex_step, examine
from minise.tape import Tensor, no_grad

TOLERANCE = 1e-6
ROUNDING = 1e-5
"""Of Σ |gy · f(x)|: derivatives smaller than that are compared as if they were as large, since small steps tell them
only to within the rounding of the sum, which is about TOLERANCE of that."""


@dataclass(frozen=True)
class Mismatch:
    """The worst of the compared derivatives. `index` is None where a direction was taken, not an element."""

    input: int
    index: tuple[int, ...] | None
    analytic: float
    numeric: float
    error: float
    label: str | None = None

    def __str__(self) -> str:
        right = f"agrees with small steps, to a relative error of {self.error:.3g}"
        return right if self.error <= TOLERANCE else self.words

    @property
    def words(self) -> str:
        """What both sides give."""
        place = "a random direction" if self.index is None else f"element {self.index}"
        return (
            f"{self.label or f'input {self.input}'}, {place}: the backward gives {self.analytic:.12g}, small steps"
            f" give {self.numeric:.12g}, relative error {self.error:.3g}"
        )


@dataclass(frozen=True)
class GradientComparison:
    """All derivatives of one function at one point.

    compared: how many; kinks: how many of them at a kink, where a value between the two sides is right.
    y: the result; analytic, numeric: the gradients of each input that was compared, unless directions were taken.
    """

    worst: Mismatch
    compared: int
    kinks: int
    y: Array = field(repr=False)
    analytic: dict[int, Array] = field(repr=False)
    numeric: dict[int, Array] = field(repr=False)


def largest(found: Iterable[Mismatch]) -> Mismatch:
    """The one with the largest error, of which what is no number is the largest; of none, one without an error."""
    none = Mismatch(-1, None, 0.0, 0.0, 0.0)
    return max(found, key=lambda m: m.error if np.isfinite(m.error) else np.inf, default=none)


class GradientError(MiniseError, AssertionError):
    """A backward that disagrees with its forward."""


def check_gradients(
    f: Callable[..., Tensor],
    inputs: Sequence[Array],
    rng: np.random.Generator,
    *,
    tolerance: float = TOLERANCE,
    directions: int | None = None,
    wrt: Sequence[int] | None = None,
) -> Mismatch:
    """Compare the gradients of `f` as `compare_gradients` does, and return the worst of them.

    Raises GradientError if its relative error is above `tolerance`.
    """
    worst = compare_gradients(f, inputs, rng, tolerance=tolerance, directions=directions, wrt=wrt).worst
    if not worst.error <= tolerance:
        raise GradientError(f"gradient: {worst.words}, expected at most {tolerance:g}")
    return worst


def compare_gradients(
    f: Callable[..., Tensor],
    inputs: Sequence[Array],
    rng: np.random.Generator,
    *,
    tolerance: float = TOLERANCE,
    directions: int | None = None,
    wrt: Sequence[int] | None = None,
    by_complex_step: bool = True,
) -> GradientComparison:
    """Compare the gradients of `f` at the point `inputs` with what small steps give.

    f: takes a Tensor for each input and gives one Tensor; called many times, so it must be deterministic.
    inputs: arrays; the float64 ones are checked, or those whose positions are in `wrt`. directions: None takes
    every element; k takes k random directions an input, for functions with many elements.
    tolerance: the relative error above which a derivative is looked at again. The relative error is the difference
    over the larger of the two, or where both are tiny, over a thousandth of the input's largest, or what rounding
    leaves of Σ |gy · f(x)|.
    by_complex_step: use it where `f` takes complex numbers, which a kernel leaves to the reference's forward.
    """
    wrt = [i for i, x in enumerate(inputs) if x.dtype == np.float64] if wrt is None else list(wrt)
    if not wrt and any(x.dtype.kind == "f" for x in inputs):
        dtypes = ", ".join(str(x.dtype) for x in inputs)
        raise GradientError(f"gradient: inputs are {dtypes}, expected float64: small steps need its digits")
    tensors = [Tensor(x, requires_grad=i in wrt) for i, x in enumerate(inputs)]
    y = f(*tensors)
    gy = rng.standard_normal(y.shape)
    y.backward(gy)
    lines = [
        line
        for i in wrt
        for line in _lines(f, inputs, i, tensors[i].grad, gy, rng, directions, by_complex_step)
    ]
    size = float(np.abs(gy * to_numpy(y.data)).sum())
    floors = {i: _floor([line for line in lines if line.input == i], size) for i in wrt}
    kinks = 0
    for line in lines:
        if _error(line.analytic, line.numeric, floors[line.input]) <= tolerance:
            continue
        slope = examine(line.g, line.scale)
        kinks += bool(slope.is_kink)
        line.numeric = slope.nearest(line.analytic)
    worst = largest(
        Mismatch(s.input, s.index, s.analytic, s.numeric, _error(s.analytic, s.numeric, floors[s.input]))
        for s in lines
    )
    arrays = [] if directions is not None else wrt
    analytic = {i: _gradient(tensors[i].grad, inputs[i]) for i in arrays}
    numeric = {
        i: np.reshape([line.numeric for line in lines if line.input == i], inputs[i].shape) for i in arrays
    }
    return GradientComparison(worst, len(lines), kinks, to_numpy(y.data), analytic, numeric)


@dataclass
class _Line:
    """A line through the point along which f is stepped: g(t) = Σ gy · f(x + t · direction)."""

    input: int
    index: tuple[int, ...] | None
    g: Callable[[Any], Any]
    scale: float
    analytic: float
    numeric: float = 0.0


def _lines(
    f: Callable[..., Tensor],
    inputs: Sequence[Array],
    i: int,
    grad: Array | None,
    gy: Array,
    rng: np.random.Generator,
    directions: int | None,
    by_complex_step: bool,
) -> list[_Line]:
    """Each element or random direction of input i, with both derivatives."""
    x, analytic = inputs[i], _gradient(grad, inputs[i])
    scale = max(1.0, float(np.abs(x).max(initial=0)))

    def along(direction: Array) -> Callable[[Any], Any]:
        def g(t: Any) -> Any:
            with no_grad():
                y = f(*[Tensor(x + t * direction if j == i else other) for j, other in enumerate(inputs)])
            return (gy * to_numpy(y.data)).sum()

        return g

    def draw() -> Array:
        direction = rng.standard_normal(x.shape)
        return direction / max(float(np.linalg.norm(direction)), 1e-300)

    is_complex = by_complex_step and _takes_complex(along(draw()), scale)
    if directions is None:
        places: list[tuple[tuple[int, ...] | None, Array]] = [
            (tuple(map(int, index)), _unit(x, index)) for index in np.ndindex(x.shape)
        ]
    else:
        places = [(None, draw()) for _ in range(directions)]
    lines = [_Line(i, at, along(d), scale, float((analytic * d).sum())) for at, d in places]
    for line in lines:
        exact = complex_step(line.g) if is_complex else None
        line.numeric = central(line.g, STEP * scale) if exact is None else float(exact)
    return lines


def _takes_complex(g: Callable[[Any], Any], scale: float) -> bool:
    """Whether the complex step along one random direction gives what central differences give."""
    exact, rough = complex_step(g), central(g, STEP * scale)
    return exact is not None and exact != 0 and abs(exact - rough) <= 1e-6 * max(abs(exact), abs(rough))


def _unit(x: Array, index: tuple[int, ...]) -> Array:
    unit = np.zeros_like(x)
    unit[index] = 1.0
    return unit


def _gradient(grad: Array | None, x: Array) -> Array:
    return np.zeros_like(x) if grad is None else to_numpy(grad)


def _floor(lines: list[_Line], size: float) -> float:
    """Derivatives of one input smaller than this are compared with this: below it small steps see only rounding."""
    largest = max((max(abs(line.analytic), abs(line.numeric)) for line in lines), default=0.0)
    return max(1e-3 * largest, ROUNDING * size / max((line.scale for line in lines), default=1.0), 1e-300)


def _error(analytic: float, numeric: float, floor: float) -> float:
    return abs(analytic - numeric) / max(abs(analytic), abs(numeric), floor)
