"""A lesson as data: steps, each with its formula, its line of source, its numbers, and what else says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minise._util.to_json import plain
from minise.analysis.dying_chain import Chain
from minise.backend import Array

Cell = str | int | float
"""What stands in a table: words, a whole number, or a number that is shown with as many decimals as its column."""
AXES = {
    "n": "image",
    "c": "channel",
    "d": "unit",
    "h": "row",
    "w": "column",
    "k": "kernel",
    "kh": "kernel row",
    "kw": "kernel column",
}
"""Name of an axis -> what an index along it counts."""


@dataclass(frozen=True)
class Code:
    """Lines as they stand in a file of minise; line: the number of the first."""

    text: str
    file: str
    line: int


@dataclass(frozen=True)
class Value:
    """An array that a step shows. tape, steps: the same by the tape and by small steps, where they were asked.

    axes: the names of its axes, of `AXES`. stops: a 0 in it stops a gradient.
    """

    name: str
    array: Array
    axes: tuple[str, ...] = ()
    tape: Array | None = None
    steps: Array | None = None
    stops: bool = False

    @property
    def agreement(self) -> float | None:
        """The largest difference from the tape and from small steps; None where neither was asked."""
        others = [other for other in (self.tape, self.steps) if other is not None]
        return max((difference(self.array, other) for other in others), default=None)


@dataclass(frozen=True)
class Written:
    """One element of a value written out: of[at] = symbols = numbers = result."""

    of: str
    at: tuple[int, ...]
    symbols: str
    numbers: str
    result: float

    @property
    def name(self) -> str:
        return element(self.of, self.at)


@dataclass(frozen=True)
class WrongLine:
    """A common mistake: `line` in place of the right one, and what one element, of[at], would be then."""

    words: str
    line: str
    of: str
    at: tuple[int, ...]
    wrong: float
    right: float


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under named columns. note: what they come to; stops: a 0 in it stops a gradient."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Graph:
    """Curves over the same x, by name; words: what they show, for those who cannot see them."""

    title: str
    x: Array
    curves: dict[str, Array]
    words: str


@dataclass(frozen=True)
class Question:
    """Something to predict before the step is shown: a shape, a tuple, or a number."""

    ask: str
    answer: tuple[int, ...] | float
    hint: str


@dataclass(frozen=True)
class Step:
    """One step. part: the heading that it stands under; words: why. The rest is there where it helps.

    chain: the four neurons, to be drawn.
    """

    part: str
    title: str
    formula: tuple[str, ...]
    words: str
    code: tuple[Code, ...] = ()
    values: tuple[Value, ...] = ()
    written: tuple[Written, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Graph, ...] = ()
    chain: Chain | None = None
    mistakes: tuple[WrongLine, ...] = ()
    questions: tuple[Question, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every value, by name."""
        return {value.name: value.array.shape for value in self.values}

    @property
    def agreement(self) -> float | None:
        """The worst of the values' agreements; None where nothing was compared."""
        found = [value.agreement for value in self.values if value.agreement is not None]
        return max(found, default=None)


@dataclass(frozen=True)
class Lesson:
    """words: what it is about; ending: what to take along, and what to try next."""

    topic: str
    title: str
    words: str
    steps: tuple[Step, ...]
    ending: tuple[str, ...]


def element(of: str, at: tuple[int, ...]) -> str:
    """("gu", (0, 1)) -> "gu[0,1]"; a single number has no index."""
    return f"{of}[{','.join(map(str, at))}]" if at else of


def place(text: str) -> tuple[str, tuple[int, ...]]:
    """Undo `element`: "gu[0,1]" -> ("gu", (0, 1))."""
    name, _, index = text.removesuffix("]").partition("[")
    return name, tuple(int(i) for i in index.split(",") if i)


def difference(a: Array, b: Array) -> float:
    """The largest |a - b|; infinite where the shapes differ."""
    if np.shape(a) != np.shape(b):
        return float("inf")
    return float(np.max(np.abs(np.asarray(a) - np.asarray(b)), initial=0.0))


def as_data(lesson: Lesson) -> list[dict[str, Any]]:
    """The steps as dictionaries of nothing but what JSON has words for."""
    return [{"topic": lesson.topic, "step": i, **_step(step)} for i, step in enumerate(lesson.steps, start=1)]


def _step(step: Step) -> dict[str, Any]:
    told: dict[str, Any] = plain(step)
    for value, made in zip(step.values, told["values"], strict=True):
        made |= {"shape": list(value.array.shape), "agreement": value.agreement}
    return told | {"agreement": step.agreement}
