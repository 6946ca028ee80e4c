"""A report as data, whatever it is written in: a head, and sections of tables, plots, pictures and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from minise.report.theme import Plot


@dataclass(frozen=True)
class Cell:
    """A cell of a table. bar: a share that is drawn beside its text; tone: a name that the CSS knows."""

    text: str
    bar: float | None = None
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Columns and rows; right: the columns that hold numbers; caption: its name; note: words below it."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: frozenset[int] = frozenset()
    note: str = ""


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str | Cell]],
    *,
    right: Sequence[str] = (),
    note: str = "",
) -> Table:
    """A Table from plain strings; right: columns, by name."""
    return Table(
        caption,
        tuple(columns),
        tuple(tuple(c if isinstance(c, Cell) else Cell(c) for c in row) for row in rows),
        frozenset(i for i, name in enumerate(columns) if name in right),
        note,
    )


@dataclass(frozen=True)
class Plots:
    """Plots that belong together, drawn when they are asked for. title: of them all; size: how wide each is,
    "small", "third", "half" or "wide"; legend: (words, a name of a colour in the CSS).
    """

    kind: ClassVar[str] = "plots"
    draw: tuple[Callable[[], Plot], ...]
    size: str = "third"
    title: str = ""
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A small image: a data URI, what it is, what was answered, and how surely."""

    uri: str
    truth: str
    answer: str
    sure: str


@dataclass(frozen=True)
class Pictures:
    """Small images with their captions."""

    kind: ClassVar[str] = "pictures"
    items: tuple[Picture, ...]


@dataclass(frozen=True)
class Words:
    """A paragraph. tone: "note" for what is missing."""

    kind: ClassVar[str] = "words"
    text: str
    tone: str = ""


@dataclass(frozen=True)
class Terms:
    """Names and what they stand for."""

    kind: ClassVar[str] = "terms"
    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Fold:
    """What is shown when it is asked for: a file's text, or a table."""

    kind: ClassVar[str] = "fold"
    summary: str
    text: str = ""
    table: Table | None = None


Block = Table | Plots | Pictures | Words | Terms | Fold


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading. lead: how to read it; layout: "pair" sets two blocks side by side."""

    id: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
    layout: str = ""


@dataclass(frozen=True)
class Page:
    """kicker: what kind of report; title, subtitle; hero: what it comes to, with its tone and what that is of;
    sentence: the gist; rule: (name, words, whether it is the one); facts: (name, figure); notices: what a reader
    should know before; source: the folder it was made from.
    """

    kicker: str
    title: str
    subtitle: str
    hero: str
    hero_label: str
    tone: str
    sentence: str
    facts: tuple[tuple[str, str], ...]
    notices: tuple[str, ...]
    source: str
    sections: tuple[Section, ...]
    rule: tuple[tuple[str, str, bool], ...] = field(default=())
