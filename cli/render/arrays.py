"""Arrays of a lesson as columns of numbers, what the line gave beside what the tape says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from minise.teach.explain.evidence import verdict
from minise.teach.explain.grid import Grid, dimensions, grid
from minise.teach.explain.lesson import Value

GAP = 3
"""Spaces between arrays."""
BAR = " │ "
"""Between the maps of two channels."""


@dataclass(frozen=True)
class Block:
    """An array as lines of text under a title."""

    title: Text
    lines: tuple[Text, ...]

    @property
    def width(self) -> int:
        return max(self.title.cell_len, *(line.cell_len for line in self.lines))


@dataclass
class Row:
    """Blocks that stand side by side, and what is said of them below."""

    blocks: list[Block]
    verdicts: list[Text]

    def fits(self, blocks: Sequence[Block], room: int) -> bool:
        """Whether more blocks find room."""
        every = [*self.blocks, *blocks]
        return sum(block.width for block in every) + GAP * (len(every) - 1) <= room


def rows_of(room: int, values: Sequence[Value]) -> list[Row]:
    """The values in rows: what is compared has a row of its own, with the tape beside it where there is room."""
    rows: list[Row] = []
    for value in values:
        laid = grid(value.array, value.axes)
        block = Block(_title(value), _lines(laid, value.stops))
        if value.agreement is None:
            plain = rows and not rows[-1].verdicts and rows[-1].fits([block], room)
            rows[-1].blocks.append(block) if plain else rows.append(Row([block], []))
            continue
        row = Row([block], [_verdict(value)])
        if value.tape is not None:
            told = grid(value.tape, value.axes)
            narrow = Block(Text("the tape says", "dim"), _lines(told, value.stops, labels=False))
            if row.fits([narrow], room):
                row.blocks.append(narrow)
            else:
                rows.append(Row([block], []))
                row.blocks = [Block(narrow.title, _lines(told, value.stops))]
        rows.append(row)
    return rows


def _title(value: Value) -> Text:
    return Text.assemble((value.name, "bold"), (f"  {dimensions(value)}", "dim"))


def _lines(laid: Grid, stops: bool, labels: bool = True) -> tuple[Text, ...]:
    """A line for each row of each map, under the numbers of its columns. stops: a 0 is to be seen."""
    width = max(len(x) for row in laid.cells for group in row for line in group for x in line)
    width = max([width, *(len(_index(name)) for name in laid.columns)])
    left = max([len(name) for name in (*laid.rows, _axis(laid))]) if labels else 0
    lines = [_header(laid, width, left)] if laid.groups or laid.columns else []
    zero = "not dim bold red" if stops else "not dim"
    for name, row in zip(laid.rows or [""] * len(laid.cells), laid.cells, strict=True):
        for j in range(len(row[0])):
            line = Text(_label(name if j == 0 else "", left), "dim")
            for k, group in enumerate(row):
                line.append(BAR if k else "", "dim")
                for i, x in enumerate(group[j]):
                    line.append(" " if i else "")
                    line.append(f"{x:>{width}}", zero if x == "0" else "not dim")
            lines.append(line)
    return tuple(lines)


def _label(name: str, left: int) -> str:
    return f"{name:<{left}} " if left else ""


def _index(name: str) -> str:
    return name.rpartition(" ")[2]


def _axis(laid: Grid) -> str:
    """What the numbers above the columns count."""
    names = laid.groups or laid.columns
    return names[0].rpartition(" ")[0] if names else ""


def _header(laid: Grid, width: int, left: int) -> Text:
    inner = laid.values.shape[3]
    over = (width + 1) * inner - 1 if laid.groups else width
    names = (f"{_index(name):>{over}}" for name in laid.groups or laid.columns)
    return Text(_label(_axis(laid), left) + (BAR if laid.groups else " ").join(names), "dim")


def beside(row: Row) -> RenderableType:
    """Blocks next to one another, aligned at their titles."""
    made = Table.grid(padding=(0, GAP, 0, 0))
    for _ in row.blocks:
        made.add_column(no_wrap=True)
    made.add_row(*(block.title for block in row.blocks))
    made.add_row(*(Text("\n").join(block.lines) for block in row.blocks))
    return made


def _verdict(value: Value) -> Text:
    """How far the tape and small steps are from what the line gave."""
    good, words = verdict(value)
    return Text(f"{'✓' if good else '✗'} {words}", "green" if good else "red")
