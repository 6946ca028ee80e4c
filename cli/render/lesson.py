"""Lessons, drawn with Rich: each step's formula, line of source, words and numbers, with the tape beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from minise_cli.render.arrays import beside, rows_of
from minise_cli.render.console import console
from minise_cli.render.curves import panels
from minise_cli.render.fit import table
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table as RichTable
from rich.text import Text

from minise.analysis.dying_chain import Chain
from minise.analysis.microscope import FLAT
from minise.teach.explain.arithmetic import number
from minise.teach.explain.grid import columns_of
from minise.teach.explain.lesson import Code, Graph, Lesson, Step, Table, Written, WrongLine, element

WIDEST = 96
"""Lines longer than this are hard to read."""
INDENT = 3


class Board:
    """Standard output, no wider than is good to read."""

    def __init__(self) -> None:
        self.out: Console = console()
        self.width = min(self.out.width, WIDEST)

    def show(self, what: RenderableType, indent: int = INDENT, after: bool = True) -> None:
        """Print something, set in and without spaces at the ends of its lines; then a blank line."""
        options = self.out.options.update(width=self.width - indent, height=None)
        lines = []
        for parts in self.out.render_lines(what, options, pad=False):
            line = Text.assemble(" " * indent, *((part.text, part.style or "") for part in parts))
            line.rstrip()
            lines.append(line)
        self.out.print(Text("\n").join(lines), soft_wrap=True, end="\n\n" if after else "\n")

    def part(self, words: str) -> None:
        """A line across, with words at its end."""
        self.show(Text(f"{'─' * (self.width - len(words) - 1)} {words}", "dim"), indent=0)

    @property
    def room(self) -> int:
        return self.width - INDENT


def draw_lesson(lesson: Lesson) -> None:
    """All of a lesson."""
    board = Board()
    draw_opening(board, lesson)
    for i, step in enumerate(lesson.steps, start=1):
        draw_head(board, i, step)
        draw_rest(board, step)
    draw_ending(board, lesson)


def draw_opening(board: Board, lesson: Lesson) -> None:
    """The title and what it is about."""
    board.out.print()
    board.show(Text(lesson.title, "bold"), indent=0)
    board.show(Text(lesson.words), indent=0)


def draw_ending(board: Board, lesson: Lesson) -> None:
    """What to take along."""
    board.part("to take along")
    for line in lesson.ending:
        board.show(_hanging("•", Text(line)), indent=0, after=False)


def draw_head(board: Board, i: int, step: Step) -> None:
    """What can be known before a step is run: its title, formula and line of source."""
    board.part(step.part)
    board.show(_hanging(f"{i}", Text(step.title, "bold")), indent=0)
    board.show(Text("\n".join(step.formula), "cyan"))
    for file, codes in groupby(step.code, key=lambda code: code.file):
        draw_source(board, file, list(codes))


def draw_source(board: Board, file: str, codes: Sequence[Code]) -> None:
    """Lines of one file, with their numbers."""
    board.show(Text(file, "dim"), after=False)
    for code in codes:
        source = Syntax(
            code.text,
            "python",
            theme="ansi_dark",
            background_color="default",
            line_numbers=True,
            start_line=code.line,
            word_wrap=True,
        )
        board.show(source, indent=INDENT - 2, after=False)
    board.out.print()


def draw_rest(board: Board, step: Step) -> None:
    """What a step says and gives."""
    board.show(Text(step.words))
    for row in rows_of(board.room, step.values):
        board.show(beside(row), after=False)
        for words in row.verdicts:
            board.show(words, after=False)
        board.out.print()
    if step.written:
        board.show(written_table(step.written))
    for made in step.tables:
        draw_table(board, made)
    for plot in step.plots:
        draw_plot(board, plot)
    if step.chain is not None:
        board.show(flow(step.chain))
    for mistake in step.mistakes:
        draw_mistake(board, mistake)


def written_table(every: Sequence[Written]) -> RichTable:
    """Elements written out: in symbols, in numbers, and what comes out."""
    made = RichTable.grid(padding=(0, 1, 0, 0))
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column()
    for one in every:
        texts = list(dict.fromkeys((one.symbols, one.numbers, number(one.result))))
        for i, text in enumerate(texts):
            style = "bold" if i == len(texts) - 1 else ""
            made.add_row(one.name if i == 0 else "", "=", Text(text, style))
    return made


# ---- what stands below the numbers -------------------------------------------------------------------------


def draw_table(board: Board, made: Table) -> None:
    """A table of a step, numbers at the right."""
    columns = columns_of(made)
    names = [escape(name) for name in made.columns]
    rows = table(*names, right=[name for name, (_, numeric) in zip(names, columns, strict=True) if numeric])
    for texts in zip(*(texts for texts, _ in columns), strict=True):
        rows.add_row(*(Text(text, "red" if made.stops and text == "0" else "") for text in texts))
    if made.title:
        board.show(Text(made.title, "bold"), after=False)
    board.show(rows, after=not made.note)
    if made.note:
        board.show(Text(made.note, "dim"))


def draw_plot(board: Board, plot: Graph) -> None:
    """Curves side by side."""
    board.show(Text(plot.title, "bold"), after=False)
    board.show(Text("\n".join(panels(plot.x, plot.curves, board.room)), no_wrap=True), after=False)
    board.show(Text(plot.words, "dim"))


def draw_mistake(board: Board, mistake: WrongLine) -> None:
    """What would be there, had the line been another."""
    name = element(mistake.of, mistake.at)
    board.show(Text.assemble(("✗ ", "red"), ("the mistake: ", "red"), mistake.words), after=False)
    board.show(Text(mistake.line, "dim"), indent=INDENT + 2, after=False)
    board.show(
        Text.assemble(
            f"would give {name} = ", (number(mistake.wrong), "bold red"), f"; it is {number(mistake.right)}"
        ),
        indent=INDENT + 2,
    )


def flow(chain: Chain) -> Text:
    """The way back through the chain: a heavy line where a gradient that matters passes, else a dotted one."""
    text = Text("C")
    for i in reversed(range(len(chain.db))):
        passes = abs(chain.db[i]) >= FLAT
        text.append(" ◀━━━ " if passes else " ┄┄┄┄ ", "green" if passes else "red")
        text.append(f"({i + 1})", "bold" if chain.slopes[i] else "bold red")
    still = [db for db in chain.db if abs(db) < FLAT]
    nothing = "nothing that matters" if any(still) else "nothing"
    words = f"{nothing} arrives at {len(still)} of the biases" if still else "every bias gets its part"
    return text.append(f"   {words}", "dim")


def _hanging(mark: str, words: Text) -> RichTable:
    """Words beside a mark, set in by as much as everything else."""
    made = RichTable.grid()
    made.add_column(width=INDENT, style="dim")
    made.add_column()
    made.add_row(mark, words)
    return made
