"""Lesson 4: which units are silent, and which of them dead."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _count(q: Array, slope: Array) -> tuple[int, int]:
    silent = ~(q > 0).any(axis=0)
    return int(silent.sum()), int((silent & (np.abs(slope).mean(axis=0) < 1e-6)).sum())


def _units(act: str) -> Callable[[np.random.Generator], list[Inputs]]:
    """(q, slope): of some units the input is never above 0, and is 0 here and there."""

    def cases(rng: np.random.Generator) -> list[Inputs]:
        found: list[Inputs] = []
        for n, d, silent in ((6, 5, 2), (8, 4, 1), (1, 3, 3), (5, 2, 0)):
            q = rng.standard_normal((n, d)) - 0.8
            q[0] = np.abs(q[0])
            q[:, :silent] = -np.abs(q[:, :silent])
            q[0, :silent] = 0.0
            found.append((q, np.where(q > 0, 1.0, 0.0 if act == "relu" else np.exp(q))))
        return found

    return cases


_DEAD_HINTS = (
    "Look at what must hold for a silent unit besides.",
    "A unit learns from an image if its slope there is not 0.",
    "A dead unit is silent, and its slope is 0 (below 1e-6) on every image.",
)
DEAD_UNITS = Exercise(
    name="dead-units",
    lesson=4,
    title="Silent units and dead ones",
    asks="how many units are silent, and how many of them dead, from q and act'(q), both (images, units)",
    signatures=("silent_and_dead(q, slope)",),
    inputs=("q", "slope"),
    results=("silent", "dead"),
    right=_count,
    checks=(
        Check(
            "silent units",
            _units("relu"),
            (
                "Look at the axis: a unit is a column, an image a row.",
                "A unit is silent if its input is above 0 on no image; 0 is not above 0.",
                "Ask (q > 0) about every unit, over all images.",
            ),
        ),
        Check("dead units, with ReLU's slopes", _units("relu"), _DEAD_HINTS, result=1),
        Check("dead units, with FeLU's slopes", _units("felu"), _DEAD_HINTS, result=1),
    ),
    mistakes=(
        Mistake(
            lambda q, slope: (int((~(q > 0)).any(axis=0).sum()), _count(q, slope)[1]),
            "You count units that are off on some image: nearly every unit is, and that is what ReLU is for.",
        ),
        Mistake(
            lambda q, slope: (int((~(q > 0).any(axis=1)).sum()), _count(q, slope)[1]),
            "You count images, not units.",
        ),
        Mistake(
            lambda q, slope: (int((q < 0).all(axis=0).sum()), _count(q, slope)[1]),
            "You ask for inputs below 0, and miss those that are 0 here and there.",
        ),
        Mistake(
            lambda q, slope: (int((q.mean(axis=0) <= 0).sum()), _count(q, slope)[1]),
            "You ask for the mean input: one image on which a unit is active is enough for it to learn.",
        ),
        Mistake(
            lambda q, slope: (_count(q, slope)[0], _count(q, slope)[0]),
            "You take every silent unit for dead: with FeLU a silent unit has a slope, and learns.",
        ),
        Mistake(
            lambda q, slope: (_count(q, slope)[0], int((slope == 0).any(axis=0).sum())),
            "You count units whose slope is 0 on some image.",
        ),
        Mistake(
            lambda q, slope: (_count(q, slope)[0], 0),
            "Your dead units are none, whatever comes in.",
        ),
    ),
)
