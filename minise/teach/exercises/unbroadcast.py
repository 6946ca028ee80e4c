"""Lesson 1: the gradient of a broadcast is a sum over the copies."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.ops import basic
from minise.teach.exercises.exercise import Inputs, Shape


def draw(rng: np.random.Generator, g: Shape, shape: Shape) -> Inputs:
    """Draw a gradient of shape g; `shape` is what it was broadcast from."""
    return rng.standard_normal(g), shape


def right(g: Array, shape: Shape) -> Array:
    """The function that minise's ops use."""
    return basic.unbroadcast(g, shape)
