"""Tables that fit the terminal: what a row is stays in sight, and what finds no room is named below."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from minise_cli.render.tables import Cell, Column
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

GAP = 2
"""Spaces between two columns."""
MARKS = "/\\-_. "
"""After these, a part of a name begins."""


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the one style that all commands share."""
    made = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in right)
    return made


def print_table(out: Console, columns: Sequence[Column], cells: Sequence[Sequence[Cell]]) -> list[str]:
    """Print columns of cells under their headings; returns the names of those that were shown or said below."""
    every = [_Filled(column, list(map(_text, own))) for column, own in zip(columns, cells, strict=True)]
    kept = _fitting(every, out.width)
    gone = [filled for filled in every if filled not in kept]
    said = [filled for filled in gone if filled.same]
    lost = [filled for filled in gone if not filled.same]
    out.print(_side_by_side(kept, out.width) if kept else _blocks(lost))
    lost = lost if kept else []
    if said:
        words = ", ".join(f"{filled.column.name} {filled.cells[0].plain}" for filled in said)
        out.print(Text(f"in every row: {words}", "dim"))
    if lost:
        words = ", ".join(filled.column.name for filled in lost)
        more = "a wider terminal" if out.is_terminal else f"COLUMNS={_needed(every, whole=True)}"
        out.print(Text(f"no room for: {words} ({more} or --json shows them)", "dim"))
    return [filled.column.name for filled in every if filled not in lost]


def _text(cell: Cell) -> Text:
    words, style = cell if isinstance(cell, tuple) else (cell, "")
    return Text("-" if words is None else str(words), style)


@dataclass(frozen=True, eq=False)
class _Filled:
    """A column with its cells."""

    column: Column
    cells: list[Text]

    @cached_property
    def same(self) -> bool:
        """Whether several rows have the same in it."""
        return len(self.cells) > 1 and len({cell.plain for cell in self.cells}) == 1

    @cached_property
    def whole(self) -> int:
        """The width in which nothing is shortened."""
        return max([cell_len(self.column.name), *(cell.cell_len for cell in self.cells)])

    @cached_property
    def least(self) -> int:
        """The width that is enough; in it, names that differ still do."""
        if self.column.least is None:
            return self.whole
        least = min(max(self.column.least, cell_len(self.column.name)), self.whole)
        if self.column.wraps:
            return least
        names = [cell.plain for cell in self.cells]
        different = len(set(names))
        return next(
            (n for n in range(least, self.whole) if len(set(shortened(names, n))) == different), self.whole
        )

    def texts(self, width: int) -> list[Text]:
        """The cells in that width."""
        if self.column.wraps or width >= self.whole:
            return self.cells
        names = shortened([cell.plain for cell in self.cells], width)
        return [Text(name, cell.style) for name, cell in zip(names, self.cells, strict=True)]


def _needed(columns: Sequence[_Filled], *, whole: bool = False) -> int:
    """The width of a table, at least or with nothing shortened."""
    return sum((c.whole if whole else c.least) + GAP for c in columns) - GAP


def _fitting(every: Sequence[_Filled], room: int) -> list[_Filled]:
    """The columns that find room side by side; none where those that must stay do not."""
    kept = list(every)
    while _needed(kept) > room:
        spare = [filled for filled in reversed(kept) if filled.same or filled.column.rank]
        if not spare:
            return []
        kept.remove(max(spare, key=lambda filled: (filled.same, filled.column.rank)))
    return kept


def _side_by_side(columns: Sequence[_Filled], room: int) -> Table:
    """The table; what room is left over goes to the columns that would like more, the first first."""
    spare = room - _needed(columns)
    made, texts = table(), []
    for filled in columns:
        column, width = filled.column, min(filled.whole, filled.least + spare)
        spare -= width - filled.least
        texts.append(filled.texts(width))
        made.add_column(
            Text(column.name),
            width=width,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
        )
    for row in zip(*texts, strict=True):
        made.add_row(*row)
    return made


def _blocks(columns: Sequence[_Filled]) -> Table:
    """Each row as a block: a line for each column, and an empty one."""
    made = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for cells in zip(*(filled.cells for filled in columns), strict=True):
        for filled, cell in zip(columns, cells, strict=True):
            made.add_row(Text(filled.column.name), cell)
        made.add_row()
    return made


def shortened(names: Sequence[str], width: int) -> list[str]:
    """Names in at most `width` characters: without folders and words that all begin with, then without middles."""
    if all(cell_len(name) <= width for name in names):
        return list(names)
    equal = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    starts = [i for i, letters in enumerate(equal, start=1) if letters[0] in MARKS and i > 1]
    ends: list[str] = list(names)
    for start in starts:
        ends = [f"…{name[start:]}" for name in names]
        if all(cell_len(end) <= width for end in ends):
            break
    return [_without_middle(end, width) for end in ends]


def _without_middle(name: str, width: int) -> str:
    """A name's beginning and end; more of the end, where names differ."""
    if cell_len(name) <= width:
        return name
    end = 2 * (width - 1) // 3
    last = set_cell_size(name[::-1], end)[::-1]
    return f"{set_cell_size(name, width - 1 - end)}…{last}"
