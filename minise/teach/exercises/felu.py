"""Lesson 4: FeLU, and the gradient of its alpha."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, shape: Shape, alpha: float, scale: float = 1.0, zeros: int = 0) -> Inputs:
    """Draw gy and x; return them and alpha. scale: the standard deviation of x; zeros: how many elements are 0."""
    gy, x = rng.standard_normal(shape), scale * rng.standard_normal(shape)
    x.flat[:zeros] = 0
    return gy, x, np.array(alpha)


def right(gy: Array, x: Array, alpha: Array) -> tuple[Array, ...]:
    """y, gx and galpha."""
    return y_and_gradients(ops.felu, gy, x, alpha)
