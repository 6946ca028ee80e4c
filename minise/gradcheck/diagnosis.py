"""What is probably wrong with a gradient that is wrong, from what it is and what it should be.

`CAUSES` is a table of usual mistakes. Each gives the words that fit one wrong gradient, and never mentions a size,
only an axis: so the words that fit several cases of other shapes are the likeliest cause.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array

CLOSE = 1e-5
FACTORS = {
    2.0: "2",
    0.5: "1/2",
    float(np.log(2)): "ln 2",
    1 / float(np.log(2)): "1 / ln 2",
    float(np.pi): "π",
}


@dataclass(frozen=True)
class Evidence:
    """A case in which the gradient of input `i` was wrong. y: the result; found, right: all gradients."""

    i: int
    y: Array
    found: dict[int, Array]
    right: dict[int, Array]
    inputs: Sequence[Any]

    @property
    def a(self) -> Array:
        return self.found[self.i]

    @property
    def n(self) -> Array:
        return self.right[self.i]


def likeliest_cause(evidence: Sequence[Evidence]) -> str | None:
    """The words that fit most of the cases, the first in the table among equals; None if none fits half of them."""
    counts = Counter(words for e in evidence for words in dict.fromkeys(_words(e)))
    best = max(counts.values(), default=0)
    return next((w for w, n in counts.items() if n == best), None) if 2 * best >= len(evidence) else None


def _words(e: Evidence) -> Iterator[str]:
    for cause in CAUSES:
        yield from cause(e)


def same(a: Array, b: Array) -> bool:
    """Equal shapes and, within rounding and small steps, values."""
    if a.shape != b.shape:
        return False
    largest = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return bool(np.abs(a - b).max(initial=0) <= CLOSE * largest)


def nothing(e: Evidence) -> Iterator[str]:
    """The gradient is 0 everywhere."""
    if not e.a.any():
        yield f"no gradient arrives at input {e.i}: the backward leaves a path out"


def sign(e: Evidence) -> Iterator[str]:
    """The gradient is the negative of the right one."""
    if same(e.a, -e.n):
        yield "the sign"


def rounding(e: Evidence) -> Iterator[str]:
    """The gradient is right but for a few digits."""
    if 0 < np.abs(e.a - e.n).max(initial=0) <= 1e-4 * np.abs(e.n).max(initial=0):
        yield "it is right but for rounding: something may be computed in float32"


def size_factor(e: Evidence) -> Iterator[str]:
    """The gradient is the right one times, or over, the sizes of some axes."""
    factor = _factor(e)
    if factor is None:
        return
    if e.y.size < e.n.size and abs(factor / (e.n.size / e.y.size) - 1) < CLOSE:
        yield f"a missing 1 / m, where m is how many elements of input {e.i} go into one of the result"
    for j, shape in _shapes(e):
        for axes in _subsets(len(shape)):
            m = float(np.prod([shape[axis] for axis in axes]))
            for value, words in ((m, "a missing"), (1 / m, "a wrong")):
                if m > 1 and abs(factor / value - 1) < CLOSE:
                    yield f"{words} 1 / m, where m is the size of {_axes(axes)} of input {j}"


def constant_factor(e: Evidence) -> Iterator[str]:
    """The gradient is the right one times a number."""
    factor = _factor(e)
    if factor is None:
        return
    near = [words for value, words in FACTORS.items() if abs(abs(factor) / value - 1) < CLOSE]
    number = near[0] if near else f"{abs(factor):.6g}"
    yield f"it is {'-' if factor < 0 else ''}{number} times the right one"
    yield "a constant factor, another one in each case: such as an option that was left out"


def other_gradient(e: Evidence) -> Iterator[str]:
    """The gradient is that of another input."""
    yield from (f"it is the gradient of input {j}" for j, n in e.right.items() if j != e.i and same(e.a, n))


def elementwise_factor(e: Evidence) -> Iterator[str]:
    """Each element is the right one times, or over, the element of an input or of the result there."""
    named = [(f"input {j}", x) for j, x in enumerate(e.inputs) if isinstance(x, np.ndarray)]
    factors = [(words, x) for words, x in (*named, ("the result", e.y)) if _fits(x, e.n.shape)]
    for words, x in factors:
        if x.size < 2:
            continue
        for power, what in ((x, words), (x * x, f"the square of {words}")):
            if same(e.a * power, e.n):
                yield f"a missing factor: {what}"
            if same(e.a, e.n * power):
                yield f"a factor too much: {what}"
    for (words, x), (other, z) in itertools.permutations(factors, 2):
        if x.size > 1 and same(e.a * z, e.n * x):
            yield f"a wrong factor: {words} in the place of {other}"


def mask(e: Evidence) -> Iterator[str]:
    """The gradient is right where the right one is not 0, and not 0 where that is."""
    zero = e.n == 0
    if zero.any() and not zero.all() and same(np.where(zero, 0, e.a), e.n):
        yield "it is not 0 where the right one is: a mask is missing"


def half_right(e: Evidence) -> Iterator[str]:
    """The gradient is right where an input has one sign and wrong where it has the other."""
    wrong = ~np.isclose(e.a, e.n, rtol=CLOSE, atol=CLOSE * np.abs(e.n).max(initial=0))
    for j, x in enumerate(e.inputs):
        if isinstance(x, np.ndarray) and x.shape == wrong.shape and x.size > 1:
            for words, there in (("negative", x < 0), ("positive", x > 0)):
                if wrong.any() and not wrong[~there].any() and there.sum() > 1 and (~there).sum() > 1:
                    yield f"it is wrong only where input {j} is {words}"


def missing_term(e: Evidence) -> Iterator[str]:
    """What is missing is the same for all elements along some axes."""
    difference = e.n - e.a
    for axes in sorted(_subsets(e.n.ndim), key=len, reverse=True):
        m = np.prod([e.n.shape[axis] for axis in axes])
        spread = np.broadcast_to(difference.mean(axis=axes, keepdims=True), e.n.shape)
        alone = np.broadcast_to(e.a.mean(axis=axes, keepdims=True), e.n.shape)
        if m > 1 and same(difference, spread) and not same(e.a, alone):
            yield f"a term is missing or wrong that is the same along {_axes(axes)}: a path through their sum or mean"


def sums_to_zero(e: Evidence) -> Iterator[str]:
    """The right gradient sums to 0 over some axes, and this one does not: a mean was taken for a constant."""
    for axes in sorted(_subsets(e.n.ndim), key=len):
        m = np.prod([e.n.shape[axis] for axis in axes])
        total, found = e.n.sum(axis=axes), e.a.sum(axis=axes)
        if (
            m > 1
            and np.abs(total).max() <= CLOSE * np.abs(e.n).max()
            and np.abs(found).max() > 1e-2 * np.abs(e.a).max()
        ):
            yield f"the right gradient sums to 0 over {_axes(axes)}: statistics over them were taken for constants"


def orthogonal(e: Evidence) -> Iterator[str]:
    """The right gradient does not stretch its input about the mean, and this one does: a variance was a constant."""
    if not (e.i < len(e.inputs) and np.shape(e.inputs[e.i]) == e.n.shape and e.n.any()):
        return
    for axes in sorted(_subsets(e.n.ndim), key=len):
        centred = e.inputs[e.i] - e.inputs[e.i].mean(axis=axes, keepdims=True)
        right, found = (np.abs((g * centred).sum(axis=axes)).max() for g in (e.n, e.a))
        most = np.abs(e.n * centred).sum(axis=axes).max()
        if np.prod([e.n.shape[axis] for axis in axes]) > 2 and right <= 1e-3 * most and found > 1e-2 * most:
            yield f"the variance over {_axes(axes)} was taken for a constant"


def summed(e: Evidence) -> Iterator[str]:
    """The gradient is a sum or mean of the right one along some axes."""
    for axes in _subsets(e.n.ndim):
        m = np.prod([e.n.shape[axis] for axis in axes])
        for words, part in (
            ("mean", e.n.mean(axis=axes, keepdims=True)),
            ("sum", e.n.sum(axis=axes, keepdims=True)),
        ):
            if m > 1 and not same(e.a, e.n) and same(e.a, np.broadcast_to(part, e.n.shape)):
                yield f"it is the {words} of the right one over {_axes(axes)}: a wrong axis"


def moved(e: Evidence) -> Iterator[str]:
    """The elements are right and lie elsewhere."""
    for axis in range(e.n.ndim):
        if e.n.shape[axis] > 1 and same(e.a, np.flip(e.n, axis)):
            yield f"its elements are in the reverse order along axis {axis}"
    for order in itertools.permutations(range(e.n.ndim)):
        if order != tuple(range(e.n.ndim)) and same(e.a, e.n.transpose(order)):
            yield "its axes are in another order: a transposition too much or too little"
    if e.a.size > 2 and same(np.sort(e.a, axis=None), np.sort(e.n, axis=None)):
        yield "its elements are the right ones in other places"


CAUSES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    nothing,
    sign,
    rounding,
    mask,
    half_right,
    size_factor,
    other_gradient,
    elementwise_factor,
    summed,
    moved,
    missing_term,
    sums_to_zero,
    orthogonal,
    constant_factor,
)


def _fits(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether x broadcasts to the shape."""
    sizes = zip(reversed(x.shape), reversed(shape), strict=False)
    return x.ndim <= len(shape) and all(m in (1, n) for m, n in sizes)


def _factor(e: Evidence) -> float | None:
    """k with found = k · right, if there is one and it is neither 0 nor 1."""
    below = float((e.n * e.n).sum())
    k = float((e.a * e.n).sum()) / below if below else 0.0
    return k if e.n.size and k and abs(k - 1) > CLOSE and same(e.a, k * e.n) else None


def _shapes(e: Evidence) -> Iterator[tuple[int, tuple[int, ...]]]:
    for j, x in enumerate(e.inputs):
        if isinstance(x, np.ndarray):
            yield j, x.shape


def _subsets(n: int) -> list[tuple[int, ...]]:
    return [axes for k in range(1, n + 1) for axes in itertools.combinations(range(n), k)]


def _axes(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"
