"""Lesson 5: swish with a beta for every channel."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.tape import Tensor
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, shape: Shape) -> Inputs:
    """Draw gy, x and beta. shape: of x."""
    return rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(0.5, 2, shape[1])


def swish(x: Tensor, beta: Tensor) -> Tensor:
    """x sigmoid(beta x), as a chain of ops."""
    return x * ops.sigmoid(x * ops.reshape(beta, shape=(-1, *(1,) * (x.data.ndim - 2))))


def right(gy: Array, x: Array, beta: Array) -> tuple[Array, ...]:
    """y, gx and gbeta."""
    return y_and_gradients(swish, gy, x, beta)
