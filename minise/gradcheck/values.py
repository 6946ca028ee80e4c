"""How inputs are filled with numbers, by a seeded generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array

Rng = np.random.Generator
Shape = tuple[int, ...]


def signed(rng: Rng, shape: Shape, *, gap: float = 0.0) -> Array:
    """Normal values, pushed at least `gap` away from 0."""
    x = rng.standard_normal(shape)
    return np.asarray(x + gap * np.sign(x))


def distinct(rng: Rng, shape: Shape) -> Array:
    """Values of both signs, any two of them 0.1 apart or more."""
    size = int(np.prod(shape, dtype=int))
    return 0.1 * (rng.permutation(size) - size / 2 + 0.3).reshape(shape)


def positive(rng: Rng, shape: Shape) -> Array:
    """Values from 0.2 to 1.2."""
    return np.asarray(0.2 + rng.random(shape))


def any_size(rng: Rng, shape: Shape) -> Array:
    """Normal numbers times 0.1, 1 or 10."""
    return np.asarray(rng.choice([0.1, 1.0, 10.0]) * signed(rng, shape))


def ties(rng: Rng, shape: Shape) -> Array:
    """Whole numbers around 0: zeros, and equal ones."""
    return np.asarray(np.rint(1.5 * rng.standard_normal(shape)))


VALUES: dict[str, Callable[[Rng, Shape], Array]] = {
    "signed": any_size,
    "positive": positive,
    "distinct": distinct,
    "ties": ties,
}
"""How inputs are filled: normal numbers of several sizes, numbers from 0.2 to 1.2, numbers of which no two are close,
or whole ones, many of them equal, which are where kinks are.
"""


class SameEveryTime:
    """A generator that starts again at every call: small steps must not meet another mask."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def random(self, shape: Shape) -> Array:
        return np.random.default_rng(self.seed).random(shape)


def is_float(x: Any) -> bool:
    """Whether it is an array of floating-point numbers."""
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
