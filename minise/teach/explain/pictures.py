"""Small real inputs: pictures of shapes10 as thumbnails, in numbers of one decimal."""

from __future__ import annotations

from functools import cache

import numpy as np

from minise.backend import Array
from minise.data.shapes10 import CLASSES, MEAN, STD, generate
from minise.ops.pool import avg_pool2d_forward

PICTURES = 64
SIDE = 8
"""Pixels of a picture that one pixel of a thumbnail stands for, along each side."""


@cache
def thumbnails() -> tuple[Array, tuple[str, ...]]:
    """The first test images of shapes10, standardised, as float64 (n, 3, 4, 4), and what they show."""
    split = generate("test", PICTURES)
    pixels = split.images / 255
    x = (pixels - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    small, _ = avg_pool2d_forward(x, kernel=SIDE)
    small.flags.writeable = False
    return small, tuple(CLASSES[label] for label in split.labels)


def decimals(x: Array, digits: int = 1) -> Array:
    """x rounded, without -0."""
    return np.round(x, digits) + 0.0


def drawn(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    """Normal numbers of one decimal, none of them 0: a product with each of them shows."""
    x = decimals(scale * rng.standard_normal(shape))
    return np.where(x == 0, 0.1, x)
