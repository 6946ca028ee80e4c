"""Lesson 1: a value that is used twice gets the sum of two gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Answer, Inputs, Shape


def draw(rng: np.random.Generator, shape: Shape) -> Inputs:
    """Draw three gradients of this shape."""
    return tuple(rng.standard_normal((3, *shape)))


def right(g1: Array, g2: Array, g3: Array) -> tuple[Array, ...]:
    """What `calling` returns."""
    return g1, g1 + g2, g1 + g2 + g3


def calling(accumulate: Answer) -> Answer:
    """Send three gradients to three keys, and return what they hold: g1; g1 and g2; all three."""

    def answer(g1: Array, g2: Array, g3: Array) -> tuple[Any, ...]:
        gradients: dict[str, Any] = {}
        for key, g in (("a", g1), ("b", g1), ("c", g1), ("b", g2), ("c", g2), ("c", g3)):
            accumulate(gradients, key, g)
        return tuple(gradients.get(key) for key in "abc")

    return answer
