"""What an exercise is, and what came of an answer to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Inputs = tuple[Any, ...]
Shape = tuple[int, ...]
Answer = Callable[..., Any]
"""From the inputs of a case to the results: one value, or a tuple where the exercise has several `results`."""

LEVELS = 3
SEED = 0


@dataclass(frozen=True)
class KnownMistake:
    """A wrong answer that is often given.

    change: the lines of the exercise's solution that it gets wrong, as a diff; answer: computes what the changed
    solution yields; hint: names the mistake, and not its cure.
    """

    change: str
    answer: Answer
    hint: str


@dataclass(frozen=True)
class ExerciseCheck:
    """A check of one result, on inputs of one kind.

    result: one of the exercise's `results`. cases: the arguments of the exercise's `draw`, per case. hints: from
    where to look to how to find it, never the answer; a known mistake's hint replaces the first, and an answer
    that is unfit gets none in its place.
    """

    title: str
    result: str
    cases: tuple[dict[str, Any], ...]
    hints: tuple[str, str, str]


@dataclass(frozen=True)
class Exercise:
    """A row of `EXERCISES`.

    signatures: the functions that are asked for; inputs, results: the names of a case's inputs, and of what is
    checked. solution: source code of the functions, as a student would write it.
    draw: draws the inputs of a case. right: computes the right answer in another way than the solution.
    calling: makes one function of a case's inputs out of the functions that are asked for.
    """

    name: str
    lesson: int
    title: str
    asks: str
    signatures: tuple[str, ...]
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    solution: str
    checks: tuple[ExerciseCheck, ...]
    mistakes: tuple[KnownMistake, ...]
    draw: Callable[..., Inputs]
    right: Answer
    calling: Callable[..., Answer]

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that are asked for."""
        return tuple(signature.partition("(")[0] for signature in self.signatures)

    def inputs_of(self, check: ExerciseCheck) -> list[Inputs]:
        """Draw the inputs of the cases of a check, the same ones every time."""
        rng = np.random.default_rng(SEED)
        return [self.draw(rng, **case) for case in check.cases]


SOLVED, WRONG, UNWRITTEN = "solved", "not right yet", "not written yet"


@dataclass(frozen=True)
class Result:
    """What came of an answer: true if it is right.

    passed, failed, left: the titles of the checks, in order; those after the first that fails are left, and where the
    answer came to no result that could be checked, none failed. found: what is wrong, in a line; hints: as many as
    were asked for, about what failed.
    """

    exercise: str
    state: str
    passed: tuple[str, ...]
    failed: str | None = None
    left: tuple[str, ...] = ()
    found: str = ""
    hints: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.state == SOLVED

    def rows(self) -> list[tuple[str, str]]:
        """The lines to show, each with its mark: ✓ passed, ✗ failed or stopped, blank what is wrong, · left."""
        lines = list(filter(None, (self.failed, self.found, *self.hints)))
        wrong = lines[: self.state == WRONG]
        return [
            *(("✓", title) for title in self.passed),
            *(("✗", line) for line in wrong),
            *((" ", line) for line in lines[len(wrong) :]),
            *(("·", title) for title in self.left),
        ]

    def __repr__(self) -> str:
        rows = [f"  {mark} {text}" for mark, text in self.rows()]
        return "\n".join([f"{self.exercise}: {self.state}", *rows])

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        rows = [
            MARKDOWN[mark] % _plain(text) for mark, text in self.rows() if self.state == WRONG or mark != " "
        ]
        return "\n".join([f"**{self.exercise}: {self.state}**", "", *rows])


MARKDOWN = {"✓": "- ✓ %s", "✗": "- ✗ **%s**", " ": "  - %s", "·": "- %s"}
"""A row of a result, by its mark."""


def _plain(words: str) -> str:
    """Words that Markdown leaves as they are."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~" else c for c in words)
