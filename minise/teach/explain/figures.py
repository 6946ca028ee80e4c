"""The plots of a lesson for its page."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.report.theme import COOL, INK, RULE, WARM, Plot, finish, panel
from minise.teach.explain.lesson import Graph

LINES = ((COOL, "-"), (WARM, (0, (5, 2))), (INK, (0, (1.5, 2))))
"""Colour and dashes of the first, the second and the third curve."""
NAMED_AT = 0.12
"""Where along x the curves have their names: that is where they differ."""


def curves(plot: Graph, name: str) -> Plot:
    """All curves in one plot, named at their left ends. name: what its ids start with."""
    figure, axes = panel(560, 270, x="x")
    axes.axhline(0, color=RULE, linewidth=1)
    axes.axvline(0, color=RULE, linewidth=1)
    at = round(NAMED_AT * len(plot.x))
    for i, (label, y) in enumerate(plot.curves.items()):
        colour, dashes = LINES[i % len(LINES)]
        axes.plot(plot.x, _broken(y), color=colour, linestyle=dashes)
        below = i % 2 == 1
        axes.annotate(
            label,
            (float(plot.x[at]), float(y[at])),
            xytext=(0, -6 if below else 6),
            textcoords="offset pixels",
            va="top" if below else "bottom",
            ha="center",
            color=colour,
        )
    axes.set_xlim(float(plot.x[0]), float(plot.x[-1]))
    axes.margins(y=0.12)
    return finish(figure, name, plot.title, plot.words)


def _broken(y: Array) -> Array:
    """The curve with a gap where it jumps."""
    jumps = np.append(np.abs(np.diff(y)) > np.ptp(y) / 2, False)
    return np.where(jumps, np.nan, y)
