"""The inputs on which the three exercises of SE are tried."""

from __future__ import annotations

import numpy as np

from minise.backend import Array

SIZES = (((2, 4, 3, 5), 2), ((3, 4, 2, 2), 4), ((1, 3, 1, 1), 1), ((5, 6, 4, 1), 3))
"""Shapes of u, and the hidden width d: one case with d = c, one with a map of one pixel."""


def weights(rng: np.random.Generator, c: int, d: int) -> tuple[Array, Array, Array, Array]:
    """w1, b1, w2, b2; the positive b1 keeps some units active, however few there are."""
    w1, b1 = rng.standard_normal((d, c)), rng.uniform(0.5, 1, d)
    return w1, b1, rng.standard_normal((c, d)), rng.standard_normal(c)
