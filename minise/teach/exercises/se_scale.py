"""Lesson 3: back through the scale of an SE block."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.tape import Tensor
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, u: Shape) -> Inputs:
    """Draw gy, u and the gate s. u: the shape."""
    return rng.standard_normal(u), rng.standard_normal(u), rng.uniform(0.1, 0.9, u[:2])


def right(gy: Array, u: Array, s: Array) -> tuple[Array, ...]:
    """gs, and the direct part of gu."""

    def scale(s: Tensor, u: Tensor) -> Tensor:
        return u * ops.reshape(s, shape=(*s.shape, 1, 1))

    return y_and_gradients(scale, gy, s, u)[1:]
