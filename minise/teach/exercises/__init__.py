"""The exercises of the lessons, and what checks an answer: `check` in a notebook, `check_file` for a file.

Each of `EXERCISES` asks for one function, or an op's two. An answer is called with random float64 arrays; a wrong one
is compared with what the classic mistakes would give. Hints have three levels, and none has the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from minise.errors import ConfigError
from minise.teach.exercises.exercise import LEVELS, Exercise, ExerciseCheck, KnownMistake, Result
from minise.teach.exercises.judge import judge
from minise.teach.exercises.load import load
from minise.teach.exercises.source import SourceError, load_functions

NAMES = (
    *("tanh", "accumulate", "unbroadcast"),
    *("conv-gw", "conv-stride", "avg-pool"),
    *("se-scale", "se-excite", "se-backward"),
    *("chain", "dead-units", "felu"),
    *("mish", "swish-channels"),
)
"""In the order of the lessons."""

EXERCISES: dict[str, Exercise] = {name: load(name) for name in NAMES}


def check(name: str, *functions: Callable[..., Any], hint: int = 1) -> Result:
    """Check an answer to the exercise `name`: the functions that it asks for, in order. hint: a level from 1 to 3.

    Whatever the functions do, the result tells it. Raises ConfigError for an unknown exercise, a level out of range,
    or another number of functions.
    """
    exercise = _exercise(name)
    if hint not in range(1, LEVELS + 1):
        raise ConfigError(f"hint: found {hint!r}, expected a level from 1 to {LEVELS}")
    if len(functions) != len(exercise.functions) or not all(map(callable, functions)):
        raise ConfigError(
            f"{name}: found {len([f for f in functions if callable(f)])} functions in {len(functions)} arguments,"
            f" expected {', '.join(exercise.functions)}"
        )
    return judge(exercise, exercise.calling(*functions), hint)


def check_file(name: str, path: str | os.PathLike[str], *, hint: int = 1) -> Result:
    """Check the answer in a .py or .ipynb file (see `source`). Raises SourceError besides what `check` raises."""
    return check(name, *load_functions(path, _exercise(name).functions), hint=hint)


def _exercise(name: str) -> Exercise:
    if name not in EXERCISES:
        raise ConfigError(f"exercise: {name!r} is unknown, expected one of {', '.join(EXERCISES)}")
    return EXERCISES[name]


__all__ = [
    "EXERCISES",
    "Exercise",
    "ExerciseCheck",
    "KnownMistake",
    "Result",
    "SourceError",
    "check",
    "check_file",
]
