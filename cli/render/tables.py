"""Tables as their columns: what stands in each for a row, and what may go where room is short.

A table with no room for all its columns first leaves out those that are the same in every row, and says them once
below; then those of the highest rank, and names them below. Where not even the columns of rank 0 fit side by side,
each row is a block of lines. `fit.py` does that, and is imported where a table is shown: it needs Rich.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

Cell = str | tuple[str, str] | float | None
"""Words, taken as they are without markup; words and their style; a number; or None, a dash."""


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what a row has in it.

    rank: 0 stays: what a row is, and what the table is about; of the others, the highest is left out first.
    least: so many characters are enough: a name gives up what all names begin with, then its middle; where it
    wraps, words go on in the next line. None: it takes what it needs.
    """

    name: str
    cell: Callable[[Any], Cell]
    rank: int = 0
    least: int | None = None
    right: bool = False
    wraps: bool = False


def figure(name: str, cell: Callable[[Any], Cell], rank: int = 0) -> Column:
    """A column of numbers, which are never cut."""
    return Column(name, cell, rank, right=True)


def show(out: Console, columns: Sequence[Column], rows: Sequence[Any]) -> list[str]:
    """Print the rows under their headings; returns the names of the columns that were shown or said below."""
    from minise_cli.render.fit import print_table

    return print_table(out, columns, [[column.cell(row) for row in rows] for column in columns])
