"""Lesson 3: back through the scale of an SE block."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake
from minise.teach.exercises.se_cases import SIZES


def _scale(gy: Array, u: Array, s: Array) -> tuple[Array, Array]:
    return (gy * u).sum(axis=(2, 3)), gy * s[:, :, None, None]


def _scaled(rng: np.random.Generator) -> list[Inputs]:
    """(gy, u, s)."""
    return [
        (rng.standard_normal(shape), rng.standard_normal(shape), rng.uniform(0.1, 0.9, shape[:2]))
        for shape, _ in SIZES
    ]


SE_SCALE = Exercise(
    name="se-scale",
    lesson=3,
    title="Step 1: back through the scale",
    asks="of y = s·u, channel by channel: gs, the gradient of the gate, and the direct part of u's",
    signatures=("scale_backward(gy, u, s)",),
    inputs=("gy", "u", "s"),
    results=("gs", "the direct part of gu"),
    right=_scale,
    checks=(
        Check(
            "gs, the gradient of the gate",
            _scaled,
            (
                "Look at how many pixels share one gate.",
                "y[n, c, i, j] = s[n, c] u[n, c, i, j]: write dL/ds[n, c] as a sum over all that s[n, c] is in.",
                "Multiply first, pixel by pixel; then add up over the pixels.",
            ),
        ),
        Check(
            "the direct part of gu",
            _scaled,
            (
                "Look at what u[n, c, i, j] is multiplied with.",
                "For now, take the gate s for a constant.",
                "s is (n, c): with two axes of size 1 behind, it broadcasts over the map.",
            ),
            result=1,
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, u, s: (gy * u, _scale(gy, u, s)[1]),
            "Your gs has a value for every pixel, but the gate is one number for a whole channel of an image.",
        ),
        Mistake(
            lambda gy, u, s: ((gy * u).mean(axis=(2, 3)), _scale(gy, u, s)[1]),
            "Your gs is a mean: it is z that is a mean over the map, and s that is shared by it.",
        ),
        Mistake(
            lambda gy, u, s: (u.sum(axis=(2, 3)), _scale(gy, u, s)[1]),
            "Your gs does not know gy. With gy all ones nobody would notice.",
        ),
        Mistake(
            lambda gy, u, s: (gy.sum(axis=(2, 3)), _scale(gy, u, s)[1]),
            "Your gs does not know u: how much y moves with the gate depends on what is gated.",
        ),
        Mistake(
            lambda gy, u, s: (gy.sum(axis=(2, 3)) * u.mean(axis=(2, 3)), _scale(gy, u, s)[1]),
            "You add up before you multiply. With gy all ones nobody would notice.",
        ),
        Mistake(
            lambda gy, u, s: (_scale(gy, u, s)[0], gy),
            "The gate is missing in the direct part: u reaches y only as far as the gate is open.",
        ),
        Mistake(
            lambda gy, u, s: (_scale(gy, u, s)[0], gy * u),
            "The direct part has u where the gate belongs.",
        ),
    ),
)
