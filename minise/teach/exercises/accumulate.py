"""Lesson 1: a value that is used twice gets the sum of two gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _walk(accumulate: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    """An answer that sends three gradients to three keys: one of them gets g1, one g1 and g2, one all three."""

    def answer(g1: Array, g2: Array, g3: Array) -> tuple[Any, ...]:
        gradients: dict[str, Any] = {}
        for key, g in (("a", g1), ("b", g1), ("c", g1), ("b", g2), ("c", g2), ("c", g3)):
            accumulate(gradients, key, g)
        return tuple(gradients.get(key) for key in "abc")

    return answer


def _three_alike(rng: np.random.Generator) -> list[Inputs]:
    return [tuple(rng.standard_normal((3, *shape))) for shape in ((2, 3), (1,), (4,))]


ACCUMULATE = Exercise(
    name="accumulate",
    lesson=1,
    title="The diamond: a value that is used twice",
    asks="put the gradient g for `key` into the dictionary `gradients`, where others for the same key may be already",
    signatures=("accumulate(gradients, key, g)",),
    inputs=("g1", "g2", "g3"),
    results=("what one consumer sends", "what two consumers send", "what three consumers send"),
    right=lambda g1, g2, g3: (g1, g1 + g2, g1 + g2 + g3),
    calling=_walk,
    checks=(
        Check(
            "one consumer: its gradient is kept as it is",
            _three_alike,
            (
                "Look at what happens to a key that has no gradient yet, and to the arrays that come in.",
                "An op may hand the very same array to two inputs: whoever changes it, changes it for both.",
                "`a += g` changes the array a; `a = a + g` makes a new one.",
            ),
        ),
        Check(
            "two consumers: nothing is lost",
            _three_alike,
            (
                "Look at what happens to the gradient that is there already.",
                "y depends on x through both consumers; write the total derivative of f(u(x), v(x)).",
                "The total derivative has a term for every path from y to x, and all terms count.",
            ),
            result=1,
        ),
        Check(
            "three consumers: nothing is lost",
            _three_alike,
            (
                "Two consumers are right and three are not: follow the third.",
                "Every call after the first must treat what is there alike.",
                "What stands in the dictionary is all that has come so far.",
            ),
            result=2,
        ),
    ),
    mistakes=(
        Mistake(
            lambda g1, g2, g3: (g1, g2, g3),
            "The last consumer's gradient overwrites what the others sent: that is the diamond bug.",
        ),
        Mistake(
            lambda g1, g2, g3: (g1, g1, g1),
            "Only the first consumer's gradient is kept; the others are dropped.",
        ),
        Mistake(
            lambda g1, g2, g3: (g1, (g1 + g2) / 2, ((g1 + g2) / 2 + g3) / 2),
            "You take means: does y react less to x because x is used twice?",
        ),
    ),
)
