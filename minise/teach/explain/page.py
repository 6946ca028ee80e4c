"""A lesson as one HTML file that needs nothing else: to read, to print, to hand out."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

import minise
from minise._util.optional import optional
from minise.report import FORMATS
from minise.teach.explain.arithmetic import number
from minise.teach.explain.evidence import verdict
from minise.teach.explain.grading import shown
from minise.teach.explain.grid import columns_of, dimensions, grid
from minise.teach.explain.lesson import Code, Lesson, Step, Value, element

if TYPE_CHECKING:
    import jinja2


def page(lesson: Lesson) -> str:
    """The lesson as HTML. Raises ConfigError where the extra `report` is missing."""
    for module in FORMATS["html"]:
        optional(module, "explain --html", "report")
    from minise.report.theme import style

    steps = enumerate(lesson.steps, start=1)
    parts = [(part, list(of_part)) for part, of_part in groupby(steps, lambda pair: pair[1].part)]
    template = _environment().get_template("page.html.j2")
    with style():
        return template.render(lesson=lesson, parts=parts, version=minise.__version__)


@cache
def _environment() -> jinja2.Environment:
    """The template lies beside this file; most of its style is that of the reports."""
    from minise.report.render import environment

    made = environment(lambda name: "minise.report" if name == "style.css" else __package__)
    made.globals.update(listing=_listing, arrays=_arrays, columns=columns_of, figures=_figures)
    made.globals.update(verdict=verdict, element=element)
    made.filters.update(number=number, shown=shown, tint=_tint, shape=dimensions, ticked=_ticked)
    return made


def _listing(codes: tuple[Code, ...]) -> list[tuple[str, list[tuple[int, str]]]]:
    """The lines of code, each with its number, by file."""
    return [
        (file, [(code.line + i, line) for code in group for i, line in enumerate(code.text.splitlines())])
        for file, group in groupby(codes, key=lambda code: code.file)
    ]


def _arrays(value: Value) -> list[tuple[str, Any, float]]:
    """(who says so, the grid, the largest number) for the value and what the tape says."""
    found = [("", value.array)] + ([("the tape", value.tape)] if value.tape is not None else [])
    return [
        (who, grid(array, value.axes), float(np.max(np.abs(array), initial=0)) or 1.0) for who, array in found
    ]


def _figures(step: Step, place: int) -> list[Any]:
    """The plots of a step, and its chain, drawn."""
    from minise.report.figures_chain import chain_picture
    from minise.teach.explain.figures import curves

    drawn = [curves(plot, f"step-{place}-plot-{i}") for i, plot in enumerate(step.plots)]
    return drawn + ([] if step.chain is None else [chain_picture(step.chain, f"step-{place}-chain")])


def _tint(x: float, most: float, first: bool, stops: bool) -> str:
    """The class and the strength of a cell's ground. first: a map begins here; stops: a 0 is to be seen."""
    sign = "up" if x > 0 else "down" if x < 0 else "none" if stops else ""
    return f'class="{sign}{" first" if first else ""}" style="--t:{100 * abs(x) / most:.0f}%"'


def _ticked(text: str) -> Any:
    """Words in which what stands in `backticks` is code."""
    from markupsafe import Markup

    parts = text.split("`")
    parts[1::2] = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    return Markup("").join(parts)
