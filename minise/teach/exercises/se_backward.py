"""Lesson 3: the whole SE block, with its two paths."""

from __future__ import annotations

from functools import partial

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs, Shape
from minise.teach.exercises.se_excite import weights


def draw(rng: np.random.Generator, u: Shape, d: int) -> Inputs:
    """Draw gy, u, w1, b1, w2 and b2. u: the shape; d: the hidden width."""
    return rng.standard_normal(u), rng.standard_normal(u), *weights(rng, u[1], d)


def right(gy: Array, *arrays: Array) -> tuple[Array, ...]:
    """gu, gw1, gb1, gw2 and gb2."""
    return y_and_gradients(partial(ops.se_composed, act="relu"), gy, *arrays)[1:]
