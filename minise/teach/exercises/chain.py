"""Lesson 4: what reaches the biases of a chain of neurons."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Inputs


def draw(rng: np.random.Generator, neurons: int, dead: int | None = None) -> Inputs:
    """Draw the weights, the slopes and the error. dead: the neuron whose slope is 0."""
    slopes = rng.uniform(0.2, 1, neurons)
    if dead is not None:
        slopes[dead] = 0
    return rng.standard_normal(neurons), slopes, float(rng.standard_normal())


def right(weights: Array, slopes: Array, error: float) -> Array:
    """dC/db_i = error · slope_i · Π_(j > i) weight_j slope_j"""
    factors = weights * slopes
    return np.array([error * slope * factors[i + 1 :].prod() for i, slope in enumerate(slopes)])
