"""Lesson 2: average pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import gradients
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake

Shape = tuple[int, ...]


def _avg_gx(gy: Array, shape: Shape, kernel: int) -> Array:
    return gradients(lambda x: ops.avg_pool2d(x, kernel=kernel), gy, np.zeros(shape))[0]


def _pools(*sizes: tuple[Shape, int]) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, shape of x, kernel)."""
    return lambda rng: [
        (rng.standard_normal((*shape[:2], shape[2] // kernel, shape[3] // kernel)), shape, kernel)
        for shape, kernel in sizes
    ]


def _to_first(gy: Array, shape: Shape, kernel: int) -> Array:
    """The whole gradient at the first pixel of every window."""
    gx = np.zeros(shape)
    gx[:, :, : gy.shape[2] * kernel : kernel, : gy.shape[3] * kernel : kernel] = gy
    return gx


def _repeated(gy: Array, shape: Any, kernel: int) -> Array:
    """Without the pixels that no window reaches."""
    return gy.repeat(kernel, axis=2).repeat(kernel, axis=3) / kernel**2


AVG_POOL = Exercise(
    name="avg-pool",
    lesson=2,
    title="Average pooling",
    asks="gx of the mean over kernel x kernel windows that lie side by side; shape: that of x, (n, c, h, w)",
    signatures=("avg_pool_backward(gy, shape, kernel)",),
    inputs=("gy", "shape", "kernel"),
    results=("gx",),
    right=_avg_gx,
    checks=(
        Check(
            "a kernel of 1, which changes nothing",
            _pools(((1, 1, 2, 3), 1), ((2, 2, 1, 1), 1)),
            (
                "Look at the shape, and at what the mean of one number is.",
                "With windows of one pixel y is x.",
                "Every pixel of a window gets the same share; here it is the whole.",
            ),
        ),
        Check(
            "windows that fill the image",
            _pools(((1, 1, 4, 2), 2), ((2, 3, 6, 3), 3), ((1, 2, 2, 2), 2)),
            (
                "Look at what share of gy a pixel gets.",
                "y is a sum of the window's pixels, each times a constant: which?",
                "How much does the mean of a 2 x 2 window move when one of its pixels moves by 1?",
            ),
        ),
        Check(
            "pixels at the edge that no window reaches",
            _pools(((1, 1, 5, 4), 2), ((2, 2, 4, 7), 3)),
            (
                "Look at the right and the lower edge, where the windows do not come out even.",
                "gx has x's shape, whatever the windows reach.",
                "Begin with zeros of the right shape, and fill what the windows cover.",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, shape, kernel: _avg_gx(gy, shape, kernel) * kernel**2,
            "Every pixel gets the whole of gy: that is the backward of a sum, not of a mean.",
        ),
        Mistake(
            lambda gy, shape, kernel: _avg_gx(gy, shape, kernel) * kernel,
            "You divide by the side of a window: how many pixels has it?",
        ),
        Mistake(
            _to_first, "One pixel of each window gets everything, as in max pooling: a mean asks them all."
        ),
        Mistake(
            lambda gy, shape, kernel: _avg_gx(gy, shape, kernel) * kernel**2 / (shape[2] * shape[3]),
            "You divide by the pixels of the whole image: the mean is taken over a window.",
        ),
        Mistake(
            _repeated, "The pixels that no window reaches are missing; they have a gradient, and it is 0."
        ),
    ),
)
