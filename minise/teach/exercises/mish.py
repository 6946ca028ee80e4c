"""Lesson 5: mish, from its formula alone."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.tape import Tensor
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, shape: Shape, scale: float = 1.0, dtype: str = "float64") -> Inputs:
    """Draw gy and x. scale: the standard deviation of x."""
    gy, x = rng.standard_normal(shape), scale * rng.standard_normal(shape)
    return gy.astype(dtype), x.astype(dtype)


def mish(x: Tensor) -> Tensor:
    """x tanh(softplus x), as a chain of ops; softplus x = relu(x) + ln(1 + e^-|x|), which never overflows."""
    positive, negative = ops.relu(x), ops.relu(-x)
    return x * ops.tanh(positive + ops.log(1 + ops.exp(-(positive + negative))))


def right(gy: Array, x: Array) -> tuple[Array, ...]:
    """y and gx."""
    return y_and_gradients(mish, gy, x)
