"""Lesson 1: the gradient of a broadcast is a sum over the copies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise.backend import Array
from minise.ops.basic import unbroadcast
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _stretching(
    *pairs: tuple[tuple[int, ...], tuple[int, ...]],
) -> Callable[[np.random.Generator], list[Inputs]]:
    return lambda rng: [(rng.standard_normal(big), small) for big, small in pairs]


def _added_axes(g: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes that broadcasting puts in front."""
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


def _first_copy(g: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of one of the copies."""
    g = g[(0,) * (g.ndim - len(shape))]
    return g[tuple(slice(size) for size in shape)]


UNBROADCAST = Exercise(
    name="unbroadcast",
    lesson=1,
    title="The gradient of a broadcast",
    asks="bring g, the gradient of something that was broadcast from `shape`, back to `shape`",
    signatures=("unbroadcast(g, shape)",),
    inputs=("g", "shape"),
    results=("the gradient",),
    right=unbroadcast,
    checks=(
        Check(
            "nothing was broadcast",
            _stretching(((2, 3), (2, 3)), ((), ()), ((1, 4), (1, 4))),
            (
                "Look at what happens where g has the shape already.",
                "An axis of size 1 that was of size 1 before has not been stretched.",
                "Compare g.shape with shape, axis by axis, before you do anything.",
            ),
        ),
        Check(
            "axes were added in front",
            _stretching(((2, 3), (3,)), ((2, 3), ()), ((4, 2, 3), (2, 3))),
            (
                "Look at the axes that g has and `shape` has not.",
                "Broadcasting lines shapes up at their right ends: the axes that are new stand in front.",
                "y = x copied m times: what is dy/dx, if the loss looks at every copy?",
            ),
        ),
        Check(
            "an axis of size 1 was stretched",
            _stretching(((2, 3), (2, 1)), ((4, 3), (1, 3)), ((2, 3), (1, 1))),
            (
                "Look at the axes that are of size 1 in `shape` and larger in g.",
                "The axis must stay, with size 1.",
                "NumPy's reductions take `keepdims`.",
            ),
        ),
        Check(
            "both at once",
            _stretching(((4, 2, 3), (2, 1)), ((4, 2, 3), (1, 3)), ((5, 4, 1, 3), (1, 1, 3))),
            (
                "Each case works alone: look at the numbers of the axes after the first step.",
                "When the axes in front are gone, the others have moved up.",
                "Do the axes in front first; then g and `shape` have equally many axes.",
            ),
        ),
    ),
    mistakes=(
        Mistake(_added_axes, "Axes that were added are right; axes that were stretched keep their size."),
        Mistake(
            lambda g, shape: g,
            "You hand g on as it is: an op must give its input a gradient of the input's own shape.",
        ),
        Mistake(
            lambda g, shape: unbroadcast(g, shape) / (g.size / max(1, int(np.prod(shape)))),
            "You average over the copies. Change x by 1, and every copy changes by 1: what does the loss see?",
        ),
        Mistake(_first_copy, "You take the gradient of one copy: the loss depends on x through all of them."),
        Mistake(
            lambda g, shape: _added_axes(g, shape).sum(
                axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i - len(shape)] != 1)
            ),
            "A stretched axis is gone: its size in `shape` is 1, which is not nothing.",
        ),
    ),
)
