"""Curves as braille dots: 2 x 4 dots a character, each curve in a panel of its own, so that no colour is needed."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

HEIGHT = 8
DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bit of each dot of a braille character, by row and column."""
GAP = 3
LABELS = 4
"""Columns left of a curve."""
LEAST = 8
"""Columns that a curve has at least; where panels side by side have fewer, they stand one below the other."""


def panels(x: NDArray[np.float64], curves: dict[str, NDArray[np.float64]], width: int) -> list[str]:
    """The lines of all panels side by side, `width` wide in all, or below each other: name, curve, axis of x."""
    every = np.concatenate(list(curves.values()))
    low, high = float(np.floor(every.min())), float(np.ceil(every.max()))
    beside = min(len(curves), max(1, (width + GAP) // (LABELS + LEAST + GAP)))
    inner = min(40, max(LEAST, (width + GAP) // beside - GAP - LABELS))
    drawn = [panel(name, x, y, (low, high), inner) for name, y in curves.items()]
    groups = [drawn[i : i + beside] for i in range(0, len(drawn), beside)]
    return [(" " * GAP).join(parts).rstrip() for group in groups for parts in zip(*group, strict=True)]


def panel(
    name: str, x: NDArray[np.float64], y: NDArray[np.float64], limits: tuple[float, float], width: int
) -> list[str]:
    """One curve, its values beside the top and the bottom line, and at 0."""
    low, high = limits
    rows = canvas(x, y, limits, width)
    zero = _row(0.0, low, high, HEIGHT)
    labels = {0: f"{high:g}", HEIGHT - 1: f"{low:g}", zero: "0"}
    lines = [f"{labels.get(i, ''):>3} {row}" for i, row in enumerate(rows)]
    origin = _column(0.0, x, width)
    axis = list(f"{x[0]:g}".ljust(width - len(f"{x[-1]:g}")) + f"{x[-1]:g}")
    axis[origin] = "0"
    return [f"    {name:<{width}}", *lines, "    " + "".join(axis)]


def canvas(
    x: NDArray[np.float64], y: NDArray[np.float64], limits: tuple[float, float], width: int
) -> list[str]:
    """The curve as lines of braille, with the axes where it is not."""
    low, high = limits
    dots = np.zeros((4 * HEIGHT, 2 * width), int)
    across = np.interp(np.linspace(x[0], x[-1], 2 * width), x, y)
    heights = [_row(float(value), low, high, 4 * HEIGHT) for value in across]
    for i, (before, height) in enumerate(itertools.pairwise([heights[0], *heights])):
        dots[min(before, height) : max(before, height) + 1, i] = 1  # so that a steep curve has no gaps
        dots[before, i] = before == height
    bits = np.einsum("rdcs,ds->rc", dots.reshape(HEIGHT, 4, width, 2), DOTS)
    zero, origin = _row(0.0, low, high, HEIGHT), _column(0.0, x, width)
    return [
        "".join(_character(bits[r, c], r == zero, c == origin) for c in range(width)) for r in range(HEIGHT)
    ]


def _row(value: float, low: float, high: float, n: int) -> int:
    return min(n - 1, max(0, int((high - value) / (high - low) * n)))


def _column(value: float, x: NDArray[np.float64], width: int) -> int:
    return round((value - float(x[0])) / float(x[-1] - x[0]) * (width - 1))


def _character(bits: int, on_row: bool, on_column: bool) -> str:
    if bits:
        return chr(0x2800 + bits)
    return "┼" if on_row and on_column else "─" if on_row else "│" if on_column else " "
