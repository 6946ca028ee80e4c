"""Lesson 4: which units are silent, and which of them dead."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Inputs


def draw(rng: np.random.Generator, images: int, units: int, silent: int, act: str) -> Inputs:
    """Draw q and the slopes of "relu" or "felu". The first units are silent: below 0, and 0 on the first image."""
    q = rng.standard_normal((images, units)) - 0.8
    q[0] = np.abs(q[0])
    q[:, :silent] = -np.abs(q[:, :silent])
    q[0, :silent] = 0.0
    return q, np.where(q > 0, 1.0, 0.0 if act == "relu" else np.exp(q))


def right(q: Array, slope: Array) -> tuple[int, int]:
    """How many units are silent, and how many dead, counted one by one."""
    silent = [unit for unit in range(q.shape[1]) if max(q[:, unit]) <= 0]
    return len(silent), len([unit for unit in silent if max(np.abs(slope[:, unit])) < 1e-6])
