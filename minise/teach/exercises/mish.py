"""Lesson 5: mish, from its formula alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops.activation import sigmoid_forward
from minise.teach.exercises.calling import op_pair
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _mish_slopes(x: Array) -> tuple[Array, Array, Array]:
    """Softplus of x, its tanh t, and dt/dx."""
    softplus = np.logaddexp(0, x)
    t = np.tanh(softplus)
    return softplus, t, (1 - t * t) * sigmoid_forward(x)[0]


def _mish(gy: Array, x: Array) -> tuple[Array, Array]:
    _, t, slope = _mish_slopes(x)
    return x * t, gy * (t + x * slope)


def _alike(scale: float = 1.0, dtype: Any = np.float64) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, x) of several shapes."""
    return lambda rng: [
        (rng.standard_normal(shape).astype(dtype), (scale * rng.standard_normal(shape)).astype(dtype))
        for shape in ((3, 4), (1, 1), (2, 3, 2, 4))
    ]


def _mish_gx(slope: Callable[[Array], Array]) -> Callable[..., tuple[Array, Array]]:
    """The right y, and gx with another slope."""
    return lambda gy, x: (_mish(gy, x)[0], gy * slope(x))


MISH = Exercise(
    name="mish",
    lesson=5,
    title="Mish, from the formula alone",
    asks="y = x tanh(softplus x), where softplus x = ln(1 + e^x); and gx",
    signatures=("mish_forward(x)", "mish_backward(gy, saved, needs)"),
    inputs=("gy", "x"),
    results=("y", "gx"),
    right=_mish,
    calling=op_pair,
    checks=(
        Check(
            "y",
            _alike(),
            (
                "Look at the formula, from the inside out.",
                "First softplus, then its tanh, then times x.",
                "ln is NumPy's log; log1p(t) is ln(1 + t).",
            ),
        ),
        Check(
            "gx",
            _alike(),
            (
                "Look at how often x stands in the formula.",
                "y = x t: the product rule has two terms, and t is a function of x.",
                "dt/dx is the slope of tanh at softplus x, times that of softplus: which you know by another name.",
            ),
            result=1,
        ),
        Check(
            "gx for x far from 0",
            _alike(500.0),
            (
                "Look at e^x for x = 1000.",
                "ln(e^0 + e^x) can be had without e^x: NumPy has a function for it.",
                "Of the sigmoid's two forms, 1 / (1 + e^-x) and e^x / (1 + e^x), each overflows on one side.",
            ),
            result=1,
        ),
        Check(
            "float32 stays float32",
            _alike(dtype=np.float32),
            (
                "Look at what makes a float64 of it.",
                "An array of float32 times a Python number stays float32; times an array of float64 it does not.",
                "Make no array without a dtype.",
            ),
            result=1,
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, x: (np.tanh(_mish_slopes(x)[0]), _mish(gy, x)[1]),
            "Your y does not have the factor x.",
        ),
        Mistake(
            lambda gy, x: (x * sigmoid_forward(x)[0], _mish(gy, x)[1]),
            "That is swish, mish's elder sister: x sigmoid x.",
        ),
        Mistake(
            lambda gy, x: (x * _mish_slopes(x)[0], _mish(gy, x)[1]),
            "The tanh is missing in y.",
        ),
        Mistake(
            _mish_gx(lambda x: _mish_slopes(x)[1]),
            "You have one term of the product rule, and take t for a constant.",
        ),
        Mistake(
            _mish_gx(lambda x: x * _mish_slopes(x)[2]),
            "You have one term of the product rule, and take the factor x for a constant.",
        ),
        Mistake(
            _mish_gx(lambda x: _mish_slopes(x)[1] + x * (1 - _mish_slopes(x)[1] ** 2)),
            "Softplus has a slope of its own: the chain goes through it.",
        ),
        Mistake(
            _mish_gx(lambda x: _mish_slopes(x)[1] + x * sigmoid_forward(x)[0]),
            "The slope of tanh is missing.",
        ),
    ),
)
