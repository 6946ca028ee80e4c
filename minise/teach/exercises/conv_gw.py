"""Lesson 2: the gradient of a convolution's weights."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, x: Shape, w: Shape) -> Inputs:
    """Draw gy and x; return them and w's shape. x, w: shapes."""
    y = x[0], w[0], x[2] - w[2] + 1, x[3] - w[3] + 1
    return rng.standard_normal(y), rng.standard_normal(x), w


def right(gy: Array, x: Array, shape: Shape) -> Array:
    """gw. y is linear in w, so it does not matter which w the tape starts from."""
    return y_and_gradients(lambda w: ops.conv2d(x, w), gy, np.zeros(shape))[1]
