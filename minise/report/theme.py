"""How plots look: Matplotlib draws them in sentinel colors, and the page's CSS says what those are.

So a plot is light on a light page and dark on a dark one, its text is text in the page's font, and no id in it
collides with another plot's. One unit of length is a CSS pixel.
"""

from __future__ import annotations

import io
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
from matplotlib.ticker import MaxNLocator

INK, MUTED, RULE, PAPER, COOL, WARM = (f"#0102{i:02x}" for i in range(6))
ARM_COLORS = tuple(f"#0103{i:02x}" for i in range(8))
VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper", COOL: "cool", WARM: "warm"}
VARIABLES |= {color: f"arm-{i}" for i, color in enumerate(ARM_COLORS)}
"""Sentinel color -> CSS variable."""
STYLE = {
    "svg.fonttype": "none",
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
SQUARE = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
LONG = re.compile(r"(\.\d\d)\d+")
BOX = re.compile(r"M (\S+) (\S+) L (\S+) \2 L \3 (\S+) L \1 \4 (?:L \1 \2 )?z ?")
"""A rectangle as Matplotlib writes it; heat maps have thousands."""
GEOMETRY = {"d", "x", "y", "transform", "width", "height"}


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
    axis.set_major_formatter("{x:g} %")


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]], gap: float = 14) -> None:
    """Name one line or two at their right ends, (x, y, words, color), apart so that no name covers the other."""
    axes.get_xlim(), axes.get_ylim()  # Matplotlib puts off what it can: now the limits are those of the lines
    ends = sorted((end for end in ends if math.isfinite(end[1])), key=lambda end: end[1])
    pixels = [float(axes.transData.transform((x, y))[1]) for x, y, _, _ in ends]
    apart = max(0.0, gap - (pixels[-1] - pixels[0])) / 2 if len(ends) > 1 else 0.0
    for i, (x, y, words, color) in enumerate(ends):
        at = (7, apart if i else -apart)
        axes.annotate(
            words, (x, y), at, textcoords="offset pixels", color=color, va="center", annotation_clip=False
        )


def cells(
    axes: Axes, values: Any, color: str, *, low: float = 0.0, high: float = 1.0, gap: float = 0.0
) -> None:
    """A heat map of values (rows, columns), the first row at the top: the higher, the more of the color.

    gap: between two cells, as a part of one; without it, equal neighbors in a row are one box. NaN is left out.
    """
    values = np.asarray(values, float)
    share = np.clip((values - low) / ((high - low) or 1), 0, 1)
    rounded = np.rint(LEVELS * np.nan_to_num(share)).astype(int)
    begins = np.ones(rounded.shape, bool)
    begins[:, 1:] = (rounded[:, 1:] != rounded[:, :-1]) | (gap > 0)
    first = np.flatnonzero(begins)
    row, column = np.divmod(first, rounded.shape[1])
    sizes = np.stack([np.diff(first, append=rounded.size), np.ones_like(first)], axis=1) - gap
    boxes = np.stack([column, row], axis=1)[:, None] + gap / 2 + sizes[:, None] * SQUARE  # (n, 5, 2)
    levels = rounded.flat[first]
    for level in np.unique(levels[levels > 0]):
        whole = Path.make_compound_path(*(Path(box, closed=True) for box in boxes[levels == level]))
        alpha = 0.06 + 0.94 * level / LEVELS
        axes.add_patch(PathPatch(whole, facecolor=color, alpha=alpha, linewidth=0, gid=CELLS))
    axes.set_xlim(0, values.shape[1])
    axes.set_ylim(values.shape[0], 0)
    axes.grid(False)
    axes.tick_params(length=0)


def scale(figure: Figure, color: str, low: str, high: str, *, right: float = 14, top: float = 4) -> None:
    """The scale of a heat map, at the top right of the plot: from the words for the lowest to the highest."""
    width, height = figure.get_figwidth() * 72, figure.get_figheight() * 72
    room = 7 * len(high) + 6
    axes = figure.add_axes(
        ((width - right - room - 72) / width, (height - top - 10) / height, 72 / width, 8 / height)
    )
    cells(axes, [np.arange(1, STEPS + 1) / STEPS], color, gap=0.12)
    axes.set_axis_off()
    axes.text(-0.4, 0.5, low, ha="right", va="center", color=MUTED, fontsize=10)
    axes.text(STEPS + 0.4, 0.5, high, ha="left", va="center", color=MUTED, fontsize=10)


def finish(figure: Figure, name: str, title: str, words: str) -> Plot:
    """The figure as a Plot. name: what its ids start with, so unique in a page; words: what the plot shows."""
    stream = io.StringIO()
    with (
        warnings.catch_warnings(),
        matplotlib.rc_context({"svg.hashsalt": name}),
    ):  # the salt makes ids unique
        warnings.simplefilter("ignore")  # letters that Matplotlib has no font for: the page's may
        figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    drawn = ET.fromstring(stream.getvalue())
    used = set(re.findall(r"#(\w+)", stream.getvalue()))
    for element in drawn.iter():
        _adapt(element, used)
    box = drawn.get("viewBox", "0 0 1 1")
    style = f"--width: {float(box.split()[2]):g}px"
    about = {"role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    root = ET.Element("svg", {"viewBox": box, "style": style, **about})
    for tag, text in (("title", title), ("desc", words)):
        ET.SubElement(root, tag, {"id": f"{name}-{tag}"}).text = text
    root.extend(child for child in drawn if child.tag != "metadata" and child.find("style") is None)
    return Plot(title, ET.tostring(root, encoding="unicode"))


def _adapt(element: ET.Element, used: set[str]) -> None:
    """Make an element of Matplotlib's fit for HTML: no namespace, no id that nothing refers to, CSS's colors."""
    found = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    own = found.pop("id", "")
    if own in used or own == CELLS:
        found["class" if own == CELLS else "id"] = own
    if "style" in found:
        found["style"] = _css(found["style"])
    for key in GEOMETRY & found.keys():
        found[key] = BOX.sub(r"M\1 \2H\3V\4H\1z", LONG.sub(r"\1", " ".join(found[key].split())))
    element.tag, element.attrib, element.tail = element.tag.rpartition("}")[2], found, None
    element.text = element.text if element.text and element.text.strip() else None


def _css(declarations: str) -> str:
    text = re.sub(r"font-family: [^;]*;? ?", "", declarations)
    text = re.sub(r"font: (?:\w+ )*([\d.]+px)[^;]*", r"font-size: \1", text)
    return re.sub(r"#010[23]\d\d", lambda match: f"var(--{VARIABLES[match[0]]})", text)
