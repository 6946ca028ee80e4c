"""The exercises of the lessons, and what checks an answer: `check` in a notebook, `check_file` for a file.

Each of `EXERCISES` asks for one function, or an op's two. An answer is called with random float64 arrays; a wrong one
is compared with what the classic mistakes would give. Hints have three levels, and none has the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from minise.errors import ConfigError
from minise.teach.exercises.calling import watched
from minise.teach.exercises.exercise import LEVELS, WRONG, Exercise, ExerciseCheck, KnownMistake, Result
from minise.teach.exercises.judge import judge, stopped
from minise.teach.exercises.limits import FORKS, SECONDS, EndedError, limited, time_limit
from minise.teach.exercises.load import load
from minise.teach.exercises.source import Definition, SourceError, define, read_definitions
from minise.teach.exercises.unfit import TimeUpError, UnfitError, outcome

NAMES = (
    *("tanh", "accumulate", "unbroadcast"),
    *("conv-gw", "conv-stride", "avg-pool"),
    *("se-scale", "se-excite", "se-backward"),
    *("chain", "dead-units", "felu"),
    *("mish", "swish-channels"),
)
"""In the order of the lessons."""

EXERCISES: dict[str, Exercise] = {name: load(name) for name in NAMES}


def check(name: str, *functions: Callable[..., Any], hint: int = 1, seconds: float = SECONDS) -> Result:
    """Check an answer to the exercise `name`: the functions that it asks for, in order. hint: a level from 1 to 3.

    Whatever the functions do, the result tells it: see `limits`. seconds: how long all their calls may take together.
    Raises ConfigError for an unknown exercise, a level out of range, or another number of functions.
    """
    exercise = _exercise(name, hint)
    if len(functions) != len(exercise.functions) or not all(map(callable, functions)):
        raise ConfigError(
            f"{name}: found {len([f for f in functions if callable(f)])} functions in {len(functions)} arguments,"
            f" expected {', '.join(exercise.functions)}"
        )
    if FORKS:
        return _limited(exercise, _judge, functions, hint, seconds)
    with time_limit(seconds):
        return _result(_judge(name, functions, hint))


def check_file(name: str, path: str | os.PathLike[str], *, hint: int = 1, seconds: float = SECONDS) -> Result:
    """Check the answer in a .py or .ipynb file (see `source`). Raises SourceError besides what `check` raises."""
    exercise = _exercise(name, hint)
    return _limited(exercise, _judge_file, read_definitions(path, exercise.functions), hint, seconds)


def _limited(
    exercise: Exercise, judging: Callable[..., Any], answer: Any, hint: int, seconds: float
) -> Result:
    try:
        return _result(limited(judging, exercise.name, answer, hint, seconds=seconds))
    except EndedError as error:
        return stopped(exercise, str(error))


def _result(fields: dict[str, Any]) -> Result:
    """A result out of JSON, which has lists for its tuples."""
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Result(**given)


def _judge_file(name: str, definitions: list[Definition], hint: int) -> dict[str, Any]:
    try:
        functions = define(definitions, EXERCISES[name].functions)
    except (Exception, TimeUpError) as error:
        words = str(error) if isinstance(error, UnfitError) else f"to define it {outcome(error)}"
        return asdict(stopped(EXERCISES[name], words))
    return _judge(name, functions, hint)


def _judge(name: str, functions: Sequence[Callable[..., Any]], hint: int) -> dict[str, Any]:
    """What is wrong, or right, with an answer; where it calls that of another exercise, which is wrong, that is."""
    exercise, called = EXERCISES[name], set[str]()
    try:
        result = judge(exercise, exercise.calling(*(watched(f, called) for f in functions)), hint)
        scope = getattr(functions[0], "__globals__", {})
        for other in EXERCISES.values() if result.state == WRONG else ():
            if other is not exercise and called.intersection(other.functions):
                helpers = [scope.get(function) for function in other.functions]
                found = judge(other, other.calling(*helpers)) if all(map(callable, helpers)) else None
                if found is not None and found.state == WRONG:
                    words = (
                        f"it calls {other.functions[0]}, which is not right yet ({other.name}): {found.found}"
                    )
                    return asdict(stopped(exercise, words, len(result.passed)))
    except TimeUpError as error:
        result = stopped(exercise, f"it is {error}")
    return asdict(result)


def _exercise(name: str, hint: int) -> Exercise:
    if name not in EXERCISES:
        raise ConfigError(f"exercise: {name!r} is unknown, expected one of {', '.join(EXERCISES)}")
    if hint not in range(1, LEVELS + 1):
        raise ConfigError(f"hint: found {hint!r}, expected a level from 1 to {LEVELS}")
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
