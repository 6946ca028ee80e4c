"""A lesson with questions: each shape or value is to be predicted before it is shown."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click
from minise_cli.errors import Terminated
from minise_cli.render.lesson import Board, draw_ending, draw_head, draw_opening, draw_rest
from rich.text import Text

from minise.teach.explain.grading import is_right, read, shown
from minise.teach.explain.lesson import Lesson, Question

STOP = ("q", "quit", "exit")
EXAMPLES = {True: "a shape such as 3,4", False: "a number such as 0.25 or 1/4"}


@dataclass
class Score:
    """How the questions went."""

    right: int = 0
    wrong: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        asked = self.right + self.wrong
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.right} of {asked} right{skipped}" if asked else f"nothing answered{skipped}"


class Stopped(Exception):  # noqa: N818
    """The reader has had enough."""


def teach(lesson: Lesson) -> None:
    """The lesson, step by step; q, Ctrl-C or Ctrl-D ends it, with the score so far."""
    board, score = Board(), Score()
    draw_opening(board, lesson)
    total = sum(len(step.questions) for step in lesson.steps)
    board.show(Text(f"{total} questions. Enter skips one, q ends the lesson.", "dim"), indent=0)
    try:
        for i, step in enumerate(lesson.steps, start=1):
            draw_head(board, i, step)
            for question in step.questions:
                ask(board, question, score)
            draw_rest(board, step)
        draw_ending(board, lesson)
    except Stopped:
        pass
    board.out.print()
    board.show(Text.assemble(("score  ", "dim"), (str(score), "bold")), indent=0, after=False)


def ask(board: Board, question: Question, score: Score) -> None:
    """Ask until there is an answer that can be read, and say what it is worth."""
    board.show(Text.assemble(("? ", "bold yellow"), question.ask), after=False)
    while True:
        text = _line()
        if not text:
            score.skipped += 1
            board.show(Text(f"skipped; it is {shown(question.answer)}", "dim"))
            return
        given = read(question, text)
        if given is not None:
            break
        board.show(
            Text(f"expected {EXAMPLES[isinstance(question.answer, tuple)]}, Enter or q", "yellow"),
            after=False,
        )
    if is_right(question, given):
        score.right += 1
        board.show(Text(f"✓ right: {shown(question.answer)}", "green"))
    else:
        score.wrong += 1
        board.show(Text(f"✗ it is {shown(question.answer)}: {question.hint}", "red"))


def _line() -> str:
    """What is typed, without spaces around it. Raises Stopped."""
    try:
        text = input("   > ").strip()
        if not sys.stdin.isatty():
            click.echo(text)  # a terminal has shown it already
    except Terminated:
        raise
    except (EOFError, KeyboardInterrupt) as error:
        click.echo()
        raise Stopped from error
    if text.lower() in STOP:
        raise Stopped
    return text
