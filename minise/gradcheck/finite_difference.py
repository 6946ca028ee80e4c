"""The derivative at 0 of a function g of one number, from its values alone.

    central    (8 (g(h) - g(-h)) - (g(2h) - g(-2h))) / 12h        error O(h⁴)
    one-sided  ±(4 g(±h) - g(±2h) - 3 g(0)) / 2h                  error O(h²)
    complex    Im g(ih) / h, with h so small that h² vanishes     exact, for an analytic g that takes complex numbers

Large steps err by what is left out, small ones by rounding. `examine` takes a ladder of them and believes the rung on
which three neighbours agree best; where the two sides agree with themselves and not with each other, g has a kink.
Source of the complex step: Squire and Trapp, SIAM Review 40, 1998.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

STENCIL = ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0))
STEP = 1e-3
LADDER = tuple(1e-2 * 0.25**k for k in range(8))  # 1e-2 down to 6e-7
TINY = 1e-20
KINK = 1e3
"""By how much the sides of a kink are further apart than either is unsure of itself."""

Function = Callable[[float], float]


@dataclass(frozen=True)
class Slope:
    """The derivative of g at 0; left and right differ at a kink, where the value is their mean."""

    left: float
    right: float

    @property
    def value(self) -> float:
        return (self.left + self.right) / 2

    @property
    def is_kink(self) -> bool:
        return self.left != self.right

    def nearest(self, derivative: float) -> float:
        """The value from left to right that is nearest to a derivative: at a kink, any between is one."""
        low, high = sorted((self.left, self.right))
        return min(max(derivative, low), high)


def central(g: Function, h: float = STEP) -> float:
    """g'(0) by four values."""
    return sum(weight * g(k * h) for k, weight in STENCIL) / (12 * h)


def complex_step(g: Callable[[complex], complex]) -> float | None:
    """g'(0) by one value, or None where g does not take complex numbers."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return g(1j * TINY).imag / TINY
    except Exception:  # whatever it does with complex numbers, it is not made for them
        return None


def examine(g: Function, scale: float = 1.0) -> Slope:
    """g'(0) with steps of several sizes, times `scale`, and whether there is a kink at 0."""
    start = g(0.0)

    def side(sign: int, h: float) -> float:
        return sign * (4 * g(sign * h) - g(2 * sign * h) - 3 * start) / (2 * h)

    rough, fine = central(g, scale * STEP), central(g, scale * STEP / 4)
    size = max(abs(rough), abs(fine))
    ends = (side(-1, scale * STEP / 4), side(1, scale * STEP / 4))
    if abs(rough - fine) <= 1e-8 * size and all(abs(end - fine) <= 1e-5 * size for end in ends):
        return Slope(fine, fine)  # smooth as far as the steps reach: no ladder is needed
    middle, _ = _settle(lambda h: central(g, h), scale)
    left, left_doubt = _settle(lambda h: side(-1, h), scale)
    right, right_doubt = _settle(lambda h: side(1, h), scale)
    if abs(left - right) > KINK * max(left_doubt, right_doubt, 1e-9 * max(abs(left), abs(right), 1e-3)):
        return Slope(left, right)
    return Slope(middle, middle)


def _settle(estimate: Function, scale: float) -> tuple[float, float]:
    """(the estimate on which three neighbours on the ladder agree best, how far they are apart)."""
    values = [estimate(h * scale) for h in LADDER]
    triples = zip(values, values[1:], values[2:], strict=False)
    agreed = [(max(a, b, c) - min(a, b, c), b) for a, b, c in triples]  # one pair may agree by luck
    doubt, value = min(((d, b) for d, b in agreed if math.isfinite(d)), default=(math.inf, math.nan))
    return value, doubt
