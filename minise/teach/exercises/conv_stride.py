"""Lesson 2: the gradient of a convolution's input, with a stride."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, x: Shape, w: Shape, stride: int) -> Inputs:
    """Draw gy and w; return them, x's shape and the stride. x, w: shapes."""
    y = x[0], w[0], (x[2] - w[2]) // stride + 1, (x[3] - w[3]) // stride + 1
    return rng.standard_normal(y), rng.standard_normal(w), x, stride


def right(gy: Array, w: Array, shape: Shape, stride: int) -> Array:
    """gx. y is linear in x, so it does not matter which x the tape starts from."""
    return y_and_gradients(lambda x: ops.conv2d(x, w, stride=stride), gy, np.zeros(shape))[1]
