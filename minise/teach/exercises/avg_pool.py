"""Lesson 2: average pooling."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, x: Shape, kernel: int) -> Inputs:
    """Draw gy; return it, x's shape and the kernel. x: the shape."""
    return rng.standard_normal((*x[:2], x[2] // kernel, x[3] // kernel)), x, kernel


def right(gy: Array, shape: Shape, kernel: int) -> Array:
    """gx. y is linear in x, so it does not matter which x the tape starts from."""
    return y_and_gradients(lambda x: ops.avg_pool2d(x, kernel=kernel), gy, np.zeros(shape))[1]
