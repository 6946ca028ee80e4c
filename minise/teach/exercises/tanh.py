"""Lesson 1: an op of one's own."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.teach.exercises.calling import pair
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _tanh(gy: Array, x: Array) -> tuple[Array, ...]:
    y = np.tanh(x)
    return y, gy * (1 - y * y)


def _two_alike(rng: np.random.Generator) -> list[Inputs]:
    """(gy, x) of several shapes."""
    return [tuple(rng.standard_normal((2, *shape))) for shape in ((3, 4), (1,), (), (2, 1, 3))]


TANH = Exercise(
    name="tanh",
    lesson=1,
    title="An op of your own: tanh",
    asks="y = tanh x, and what its backward makes of gy, as a pair for the tape of the lesson",
    signatures=("tanh_forward(x)", "tanh_backward(gy, saved)"),
    inputs=("gy", "x"),
    results=("y", "gx"),
    right=_tanh,
    calling=pair,
    checks=(
        Check(
            "the forward gives tanh x",
            _two_alike,
            (
                "Look at what the forward returns first.",
                "NumPy has this function, for whole arrays.",
                "A forward returns two things: y, and whatever the backward will need.",
            ),
        ),
        Check(
            "the backward is its derivative, times gy",
            _two_alike,
            (
                "Look at the derivative of tanh, and at what it is a function of.",
                "Write tanh as sinh / cosh and use the quotient rule; what comes out can be said with y alone.",
                "The chain rule: the gradient of the loss by x is gy times the slope dy/dx, element by element.",
            ),
            result=1,
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, x: (np.tanh(x), gy * (1 - np.tanh(x))),
            "Your slope falls with y and not with its square: compare it with tanh's at x = 0 and at x = -2.",
        ),
        Mistake(
            lambda gy, x: (np.tanh(x), gy * (1 - x * x)),
            "Your slope has x where the output belongs: what did the forward save?",
        ),
        Mistake(
            lambda gy, x: (np.tanh(x), 1 - np.tanh(x) ** 2),
            "That is the slope alone: where is what comes from above?",
        ),
        Mistake(
            lambda gy, x: (np.tanh(x), gy * np.tanh(x)),
            "You multiply by y itself: that is how exp goes back, whose slope is its own value.",
        ),
        Mistake(
            lambda gy, x: (np.tanh(x), gy * np.tanh(x) * (1 - np.tanh(x))),
            "That is sigmoid's slope, said with its output; tanh is another function.",
        ),
    ),
)
