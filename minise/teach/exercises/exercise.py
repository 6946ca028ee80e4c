"""What an exercise is, and what came of an answer to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.teach.exercises.calling import alone

Inputs = tuple[Any, ...]
Answer = Callable[..., Any]
"""From the inputs of a case to the results: one value, or a tuple where the exercise has several `results`."""

LEVELS = 3


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is often given. answer: computes what it yields; hint: names it, and not its cure."""

    answer: Answer
    hint: str


@dataclass(frozen=True)
class Check:
    """One result, on inputs of one kind.

    cases: draws them; result: its position among the exercise's `results`. hints: from where to look to how to find
    it, never the answer; a mistake that is recognised is told in place of the first, and nothing where an answer is
    unfit.
    """

    title: str
    cases: Callable[[np.random.Generator], list[Inputs]]
    hints: tuple[str, str, str]
    result: int = 0


@dataclass(frozen=True)
class Exercise:
    """A row of `EXERCISES`.

    signatures: the functions that are asked for; inputs: the names of a case's inputs; results: of what is checked.
    right: the right answer, by the tape or another way than the one that is asked for. calling: makes one function
    of a case's inputs out of those that are asked for.
    """

    name: str
    lesson: int
    title: str
    asks: str
    signatures: tuple[str, ...]
    inputs: tuple[str, ...]
    results: tuple[str, ...]
    right: Answer
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...]
    calling: Callable[..., Answer] = alone

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the functions that are asked for."""
        return tuple(signature.partition("(")[0] for signature in self.signatures)


SOLVED, WRONG, UNWRITTEN = "solved", "not right yet", "not written yet"


@dataclass(frozen=True)
class Result:
    """What came of an answer: true if it is right.

    passed, failed, left: the titles of the checks, in order; those after the first that fails are left. found: what
    is wrong, in a line; hints: as many as were asked for.
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

    def __repr__(self) -> str:
        rows = [f"{self.exercise}: {self.state}"]
        rows += [f"  ✓ {title}" for title in self.passed]
        rows += [f"  ✗ {self.failed}"] if self.failed else []
        rows += [f"    {line}" for line in (self.found, *self.hints) if line]
        rows += [f"  · {title}" for title in self.left]
        return "\n".join(rows)

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        rows = [f"**{self.exercise}: {self.state}**", ""]
        rows += [f"- ✓ {title}" for title in self.passed]
        rows += [f"- ✗ **{self.failed}**"] if self.failed else []
        rows += [f"  - {_plain(line)}" for line in (self.found, *self.hints) if self.failed]
        rows += [f"- {title}" for title in self.left]
        return "\n".join(rows)


def _plain(words: str) -> str:
    """Words that Markdown leaves as they are."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|$~" else c for c in words)
