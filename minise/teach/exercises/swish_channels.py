"""Lesson 5: swish with a beta for every channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise import ops
from minise.backend import Array
from minise.ops.activation import sigmoid_forward
from minise.teach.exercises.by_tape import gradients
from minise.teach.exercises.calling import op_pair
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _column(beta: Array, x: Array) -> Array:
    return beta.reshape(-1, *(1,) * (x.ndim - 2))


def _swish(gy: Array, x: Array, beta: Array) -> tuple[Any, ...]:
    """By the tape, from a chain of ops."""
    column = _column(beta, x)
    gx, gbeta = gradients(lambda x, beta: x * ops.sigmoid(x * beta), gy, x, column)
    return x * sigmoid_forward(x * column)[0], gx, gbeta.reshape(beta.shape)


def _channels(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, x, beta)."""
    return lambda rng: [
        (rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(0.5, 2, shape[1]))
        for shape in shapes
    ]


_rows = _channels((4, 3), (1, 2), (3, 3), (5, 1))
_maps = _channels((2, 3, 4, 2), (1, 2, 1, 1), (3, 3, 3, 3))


def _swish_parts(
    y: Callable[..., Any] | None = None,
    gx: Callable[..., Any] | None = None,
    gbeta: Callable[..., Any] | None = None,
) -> Callable[..., tuple[Any, ...]]:
    """The right answer with some of its results replaced: by functions of gy, x, beta (as a column) and s."""

    def answer(gy: Array, x: Array, beta: Array) -> tuple[Any, ...]:
        column = _column(beta, x)
        s, _ = sigmoid_forward(column * x)
        right = _swish(gy, x, beta)
        return tuple(
            r if f is None else f(gy, x, column, s) for r, f in zip(right, (y, gx, gbeta), strict=True)
        )

    return answer


def _over_map(g: Array) -> Array:
    """The sum over all axes but that of the channels."""
    return g.sum(axis=(0, *range(2, g.ndim)))


_GBETA_HINTS = (
    "Look at which elements one beta is in.",
    "beta[c] is in every element of channel c: of all images, and of the whole map.",
    "dy/dbeta is x times the sigmoid's slope times x.",
)
SWISH_CHANNELS = Exercise(
    name="swish-channels",
    lesson=5,
    title="Swish with a beta for every channel",
    asks="y = x sigmoid(beta x) with beta (c,) for x (n, c) or (n, c, h, w); gx; and gbeta (c,)",
    signatures=("swish_forward(x, beta)", "swish_backward(gy, saved, needs)"),
    inputs=("gy", "x", "beta"),
    results=("y", "gx", "gbeta"),
    right=_swish,
    calling=op_pair,
    checks=(
        Check(
            "y of rows (n, c)",
            _rows,
            (
                "Look at the formula, and at the axis of the channels.",
                "The channels are x's axis 1.",
                "For (n, c), beta (c,) broadcasts by itself.",
            ),
        ),
        Check(
            "y of maps (n, c, h, w)",
            _maps,
            (
                "Look at how beta lines up with x.",
                "Shapes are lined up at their right ends: (c,) would meet w.",
                "Give beta two axes of size 1 behind; with x.ndim - 2 of them it fits both cases.",
            ),
        ),
        Check(
            "gx",
            _channels((4, 3), (2, 3, 4, 2)),
            (
                "Look at how often x stands in the formula.",
                "The product rule has two terms; inside the sigmoid stands beta x.",
                "With s = sigmoid(beta x), the slope of s in x is that of the sigmoid, times beta.",
            ),
            result=1,
        ),
        Check("gbeta of rows", _rows, _GBETA_HINTS, result=2),
        Check("gbeta of maps", _maps, _GBETA_HINTS, result=2),
    ),
    mistakes=(
        Mistake(
            _swish_parts(y=lambda gy, x, beta, s: x * sigmoid_forward(x)[0]),
            "beta is missing in y.",
        ),
        Mistake(_swish_parts(y=lambda gy, x, beta, s: s), "Your y does not have the factor x."),
        Mistake(
            _swish_parts(gx=lambda gy, x, beta, s: gy * s),
            "You have one term of the product rule, and take the sigmoid for a constant.",
        ),
        Mistake(
            _swish_parts(gx=lambda gy, x, beta, s: gy * (s + x * s * (1 - s))),
            "Inside the sigmoid stands beta x: the chain rule brings out a factor that is missing.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: _over_map(gy * x * s * (1 - s))),
            "A factor x is missing in gbeta: x stands before the sigmoid, and beside beta.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: gy * x * x * s * (1 - s)),
            "Your gbeta has a value for every element: beta has one for every channel.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: np.asarray((gy * x * x * s * (1 - s)).sum())),
            "You add up over the channels too: each has a beta of its own.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: (gy * x * x * s * (1 - s)).sum(axis=0)),
            "You add up over the images alone: a beta is in its whole map.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: _over_map(gy * x * x * s * (1 - s)) / len(x)),
            "Your gbeta is the right one divided by n. If the loss is a mean over the images, gy has that already.",
        ),
        Mistake(
            _swish_parts(gbeta=lambda gy, x, beta, s: _over_map(x * x * s * (1 - s))),
            "Your gbeta does not know gy.",
        ),
    ),
)
