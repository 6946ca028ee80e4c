"""Lesson 4: FeLU, and the gradient of its alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops import ACTIVATIONS
from minise.teach.exercises.calling import op_pair
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _felu(gy: Array, x: Array, alpha: Array) -> tuple[Any, ...]:
    op = ACTIVATIONS["felu"].op
    y, saved = op.forward(x, alpha)
    return (y, *op.backward(gy, saved, (True, True)))


def _felus(alpha: float, scale: float = 1.0) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, x, alpha)."""
    return lambda rng: [
        (rng.standard_normal(shape), scale * rng.standard_normal(shape), np.array(alpha))
        for shape in ((4, 3), (1, 1), (2, 3, 2, 4))
    ]


def _at_zero(rng: np.random.Generator) -> list[Inputs]:
    return [(rng.standard_normal((1, 4)), np.array([[0.0, 1.0, -1.0, 0.0]]), np.array(0.5))]


def _parts(
    y: Callable[..., Any] = lambda right, gy, x, alpha: right[0],
    gx: Callable[..., Any] = lambda right, gy, x, alpha: right[1],
    galpha: Callable[..., Any] = lambda right, gy, x, alpha: right[2],
) -> Callable[..., tuple[Any, ...]]:
    """The right answer with some of its three results replaced."""

    def answer(gy: Array, x: Array, alpha: Array) -> tuple[Any, ...]:
        right = _felu(gy, x, alpha)
        return tuple(part(right, gy, x, alpha) for part in (y, gx, galpha))

    return answer


_LN2 = float(np.log(2))
_FORWARD_HINTS = (
    "Look at the two branches, and at which of them x = 0 takes.",
    "2^(x / ln 2) is e^x.",
    "NumPy has a function for e^x - 1 that is exact close to 0.",
)
_GX_HINTS = (
    "Look at the slope of each branch.",
    "For x <= 0, y = alpha e^x - alpha: what is left of it when x moves?",
    "At x = 0 the branch for x <= 0 counts; save x, since alpha may be negative and y's sign with it.",
)
FELU = Exercise(
    name="felu",
    lesson=4,
    title="FeLU, and the gradient of its alpha",
    asks="y = x for x > 0 and alpha (2^(x / ln 2) - 1) for x <= 0; gx; and galpha, for one alpha, of shape ()",
    signatures=("felu_forward(x, alpha)", "felu_backward(gy, saved, needs)"),
    inputs=("gy", "x", "alpha"),
    results=("y", "gx", "galpha"),
    right=_felu,
    calling=op_pair,
    checks=(
        Check("y", _felus(0.7), _FORWARD_HINTS),
        Check("y close to 0, to all digits", _felus(0.7, 1e-12), _FORWARD_HINTS),
        Check("gx", _felus(0.7), _GX_HINTS, result=1),
        Check("gx where alpha is negative", _felus(-0.4), _GX_HINTS, result=1),
        Check("gx at x = 0", _at_zero, _GX_HINTS, result=1),
        Check(
            "gx for large x",
            _felus(0.7, 1000.0),
            (
                "Look for an exponential of a large positive number.",
                "np.where computes both branches everywhere, and then takes one.",
                "Cut x off at 0 before it goes into the exponential.",
            ),
            result=1,
        ),
        Check(
            "galpha",
            _felus(0.7),
            (
                "Look at what alpha is multiplied with, and for which x.",
                "One alpha is shared by all elements: a sum over them, of shape ().",
                "dy/dalpha is e^x - 1 for x <= 0, and 0 elsewhere.",
            ),
            result=2,
        ),
    ),
    mistakes=(
        Mistake(
            _parts(
                y=lambda right, gy, x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / _LN2))
            ),
            "You have e^(x / ln 2): the base is 2, and 2^(x / ln 2) is another function.",
        ),
        Mistake(
            _parts(
                y=lambda right, gy, x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) * _LN2))
            ),
            "You have 2^x: the exponent is x / ln 2.",
        ),
        Mistake(
            _parts(y=lambda right, gy, x, alpha: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
            "alpha is missing in y: that is ELU with alpha 1.",
        ),
        Mistake(
            _parts(y=lambda right, gy, x, alpha: np.where(x > 0, x, alpha * np.exp(np.minimum(x, 0)))),
            "Your y jumps at 0: something is to be taken off the exponential.",
        ),
        Mistake(
            _parts(y=lambda right, gy, x, alpha: np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))),
            "Close to 0, e^x is 1 and a little, and the little is lost when 1 is taken off again.",
        ),
        Mistake(
            _parts(gx=lambda right, gy, x, alpha: gy * (x > 0)),
            "That is ReLU's slope: for x <= 0 FeLU is not flat, which is the point of it.",
        ),
        Mistake(
            _parts(
                gx=lambda right, gy, x, alpha: gy * np.where(x > 0, 1, alpha * np.expm1(np.minimum(x, 0)))
            ),
            "Your slope for x <= 0 is y itself: what becomes of the -1 when x moves?",
        ),
        Mistake(
            _parts(gx=lambda right, gy, x, alpha: gy * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
            "alpha is missing in your slope.",
        ),
        Mistake(
            _parts(
                gx=lambda right, gy, x, alpha: (
                    gy * np.where(right[0] > 0, 1, alpha * np.exp(np.minimum(x, 0)))
                )
            ),
            "You go by the sign of y: with a negative alpha, y is positive on both sides.",
        ),
        Mistake(
            _parts(gx=lambda right, gy, x, alpha: gy * np.where(x >= 0, 1, alpha * np.exp(np.minimum(x, 0)))),
            "At x = 0 you take the branch for x > 0: here the other one counts, as in y's definition.",
        ),
        Mistake(
            _parts(galpha=lambda right, gy, x, alpha: gy * np.expm1(np.minimum(x, 0))),
            "Your galpha has a value for every element: there is one alpha.",
        ),
        Mistake(
            _parts(galpha=lambda right, gy, x, alpha: np.asarray((gy * np.exp(x) * (x <= 0)).sum())),
            "Your galpha has e^x where alpha's factor belongs: read y's formula once more.",
        ),
        Mistake(
            _parts(galpha=lambda right, gy, x, alpha: np.asarray(np.expm1(np.minimum(x, 0)).sum())),
            "Your galpha does not know gy.",
        ),
        Mistake(
            _parts(galpha=lambda right, gy, x, alpha: np.asarray((gy * np.expm1(np.minimum(x, 0))).mean())),
            "Your galpha is a mean: alpha is shared by all elements, and moves y in all of them.",
        ),
        Mistake(
            _parts(galpha=lambda right, gy, x, alpha: np.asarray((gy * right[0]).sum())),
            "Elements with x > 0 have no alpha in them, and yours counts them.",
        ),
    ),
)
