"""What a reader answers to a question of a lesson, and whether it is right."""

from __future__ import annotations

import math
import re

from minise.teach.explain.arithmetic import number
from minise.teach.explain.lesson import Question

RELATIVE, ABSOLUTE = 0.02, 5e-4
"""How far a number may be off: as far as one gets with the digits that are shown."""


def read(question: Question, text: str) -> tuple[int, ...] | float | None:
    """The answer as a shape (3,4 or (3, 4) or 3x4) or a number (0.25 or 1/4), or None where it is neither."""
    text = text.strip()
    if isinstance(question.answer, tuple):
        sizes = re.split(r"[\s,x\u00d7]+", text.strip("()[] ").rstrip(","))
        return (
            tuple(map(int, sizes))
            if all(re.fullmatch(r"\d{1,9}", size, re.ASCII) for size in sizes)
            else None
        )
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None


def is_right(question: Question, given: tuple[int, ...] | float) -> bool:
    """Whether a shape is the same, or a number near enough."""
    if isinstance(question.answer, tuple) or isinstance(given, tuple):
        return given == question.answer
    return abs(given - question.answer) <= max(RELATIVE * abs(question.answer), ABSOLUTE)


def shown(answer: tuple[int, ...] | float) -> str:
    """An answer as it is shown."""
    return str(answer) if isinstance(answer, tuple) else number(answer)
