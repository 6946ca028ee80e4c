"""How plots look: Matplotlib draws them in sentinel colours, and the page's CSS says what those are.

So a plot is light on a light page and dark on a dark one, its text is text in the page's font, and no id in it
collides with another plot's. One unit of length is a CSS pixel.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator, ScalarFormatter

INK, MUTED, RULE, PAPER, COOL, WARM = (f"#0102{i:02x}" for i in range(6))
ARM_COLOURS = tuple(f"#0103{i:02x}" for i in range(8))
VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", COOL: "cool", WARM: "warm"}
VARIABLES |= {colour: f"arm-{i}" for i, colour in enumerate(ARM_COLOURS)}
"""Sentinel colour -> CSS variable."""
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "minise",
    "text.parse_math": False,
    "figure.dpi": 72,
    "font.size": 11,
    "text.color": INK,
    "axes.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 1,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "lines.solid_joinstyle": "round",
    "patch.linewidth": 0,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 4,
    "ytick.major.size": 0,
    "xtick.major.width": 1,
}
NICE = (1, 2, 5, 10)
"""What the steps between ticks may be."""
LEVELS, STEPS = 24, 6
"""Of opacity in a heat map, and in its scale."""
CELLS = "cells"
"""The class of a heat map's cells in the CSS."""
LONG = re.compile(r"(\.\d\d)\d+")
BOX = re.compile(r"M (\S+) (\S+) L (\S+) \2 L \3 (\S+) L \1 \4 (?:L \1 \2 )?z ?")
"""A rectangle as Matplotlib writes it; heat maps have thousands."""
GEOMETRY = ("d", "x", "y", "transform", "width", "height")


@dataclass(frozen=True)
class Plot:
    """A plot for a page: its title, and an <svg> element that says in words what it shows."""

    title: str
    svg: str


def style() -> AbstractContextManager[None]:
    """Inside, Matplotlib draws as `STYLE` says, whatever the user has configured."""
    return matplotlib.style.context(STYLE, after_reset=True)


def panel(
    width: float,
    height: float,
    *,
    left: float = 44,
    right: float = 14,
    top: float = 12,
    bottom: float = 38,
    x: str = "",
    y: str = "",
) -> tuple[Figure, Axes]:
    """An empty plot of so many pixels, with margins, so that panels side by side are aligned."""
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def whole_epochs(axes: Axes, epochs: Sequence[int]) -> None:
    """Ticks at whole epochs, and room for the only one."""
    first, last = min(epochs), max(epochs)
    axes.set_xlim(first - 0.5, last + 0.5) if first == last else axes.set_xlim(first, last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=NICE))


def points(epochs: Sequence[int]) -> str:
    """The marker of a curve: a point for each epoch where there are few."""
    return "o" if len(epochs) <= 15 else ""


def percents(axis: Axis) -> None:
    """Show the ticks of an axis, which are per cent, with their sign."""
    axis.set_major_formatter(_Percents(useOffset=False))


class _Percents(ScalarFormatter):
    """As many digits as the steps between the ticks need."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{super().__call__(x, pos)} %"


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float = 14) -> None:
    """Name lines at their right ends, (x, y, words, colour), moved apart so that no name covers another."""
    axes.get_xlim(), axes.get_ylim()  # Matplotlib puts off what it can: now the limits are those of the lines
    placed = []
    for x, y, words, colour in (end for end in ends if math.isfinite(end[1])):
        at = axes.transData.transform((x, y))
        placed.append((float(at[0]), float(at[1]), words, colour))
    placed.sort(key=lambda end: end[1])
    heights = [y for _, y, _, _ in placed]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    top = float(axes.bbox.y1) + 4
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], top)
        top = heights[i] - gap
    for (x, _, words, colour), y in zip(placed, heights, strict=True):
        axes.text(x + 7, y, words, color=colour, va="center", transform=None)


def cells(
    axes: Axes, values: Any, colour: str, *, low: float = 0.0, high: float = 1.0, gap: float = 0.0
) -> None:
    """A heat map of values (rows, columns), the first row at the top: the higher, the more of the colour.

    Equal neighbours in a row are one cell where there is no gap. What is NaN is left out.
    """
    values = np.asarray(values, float)
    levels = np.clip((values - low) / ((high - low) or 1), 0, 1) * LEVELS
    rounded = np.where(np.isfinite(levels), np.rint(np.nan_to_num(levels)), 0).astype(int)
    boxes: dict[int, list[tuple[float, float, float, float]]] = {}
    for r, row in enumerate(rounded.tolist()):
        c = 0
        for level, group in itertools.groupby(row):
            n = len(list(group))
            edges = [(c + i, c + i + 1) for i in range(n)] if gap else [(c, c + n)]
            boxes.setdefault(level, []).extend(
                (a + gap / 2, r + gap / 2, b - gap / 2, r + 1 - gap / 2) for a, b in edges
            )
            c += n
    for level in sorted(boxes.keys() - {0}):
        paths = [Path([(a, t), (c, t), (c, b), (a, b), (a, t)], closed=True) for a, t, c, b in boxes[level]]
        whole = Path.make_compound_path(*paths)
        axes.add_patch(
            PathPatch(whole, facecolor=colour, alpha=0.06 + 0.94 * level / LEVELS, linewidth=0, gid=CELLS)
        )
    axes.set_xlim(0, values.shape[1])
    axes.set_ylim(values.shape[0], 0)
    axes.grid(False)
    axes.tick_params(length=0)


def scale(figure: Figure, colour: str, low: str, high: str, *, right: float = 14, top: float = 4) -> None:
    """The scale of a heat map, at the top right of the plot: from the words for the lowest to the highest."""
    width, height = figure.get_figwidth() * 72, figure.get_figheight() * 72
    room = 7 * len(high) + 6
    axes = figure.add_axes(
        ((width - right - room - 72) / width, (height - top - 10) / height, 72 / width, 8 / height)
    )
    cells(axes, [np.arange(1, STEPS + 1) / STEPS], colour, gap=0.12)
    axes.set_axis_off()
    axes.text(-0.4, 0.5, low, ha="right", va="center", color=MUTED, fontsize=10)
    axes.text(STEPS + 0.4, 0.5, high, ha="left", va="center", color=MUTED, fontsize=10)


def finish(figure: Figure, name: str, title: str, words: str) -> Plot:
    """The figure as a Plot. name: what its ids start with, so unique in a page; words: what the plot shows."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that Matplotlib has no font for: the page's may
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(stream.getvalue())
    _adapt(root, name)
    box = root.get("viewBox", "0 0 1 1")
    width = box.split()[2]
    for child in [
        child for child in root if child.tag in ("metadata", "defs") and child.find("style") is not None
    ]:
        root.remove(child)
    root.attrib.clear()
    about = {"role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    root.attrib.update({"viewBox": box, "style": f"--width: {float(width):g}px", **about})
    for i, (tag, text) in enumerate((("title", title), ("desc", words))):
        element = ET.Element(tag, {"id": f"{name}-{tag}"})
        element.text = text
        root.insert(i, element)
    return Plot(title, ET.tostring(root, encoding="unicode"))


def _adapt(root: ET.Element, name: str) -> None:
    """Make what Matplotlib wrote a part of an HTML page: no namespaces, no ids but those in use, CSS's colours."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key in [key for key in element.attrib if key.startswith("{")]:
            element.set(key.rpartition("}")[2], element.attrib.pop(key))
    used = {
        found: f"{name}-{i}"
        for i, found in enumerate(
            dict.fromkeys(
                match
                for element in root.iter()
                for value in (element.get("href", ""), element.get("clip-path", ""))
                for match in re.findall(r"#([^)]+)", value)
            )
        )
    }
    for element in root.iter():
        element.text = element.text if element.text and element.text.strip() else None
        element.tail = None
        own = element.attrib.pop("id", None)
        if own in used:
            element.set("id", used[own])
        elif own == CELLS:
            element.set("class", CELLS)
        for key, value in element.attrib.items():
            if key in ("href", "clip-path"):
                element.set(key, re.sub(r"#([^)]+)", lambda match: f"#{used[match[1]]}", value))
            elif key == "style":
                element.set(key, _css(value))
            elif key in GEOMETRY:
                short = LONG.sub(r"\1", " ".join(value.split()))
                element.set(key, BOX.sub(r"M\1 \2H\3V\4H\1z", short))


def _css(declarations: str) -> str:
    text = re.sub(r"font-family: [^;]*;? ?", "", declarations)
    text = re.sub(r"font: (?:\w+ )*([\d.]+px)[^;]*", r"font-size: \1", text)
    return re.sub(r"#010[23]\d\d", lambda match: f"var(--{VARIABLES[match[0]]})", text)
