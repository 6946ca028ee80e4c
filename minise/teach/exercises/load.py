"""Loading an exercise from its two files.

`<name>.toml` has all that is said, a solution, and the known mistakes as changes of the solution's lines. `<name>.py`
has what is computed: `draw` draws the inputs of a case, `right` computes the right answer, and `calling`, where the
functions that are asked for are called in a way of their own, does so.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.resources import files
from typing import Any

import numpy as np

from minise.teach.exercises.calling import calling_of
from minise.teach.exercises.exercise import Exercise, ExerciseCheck, KnownMistake


def load(name: str) -> Exercise:
    """The exercise of this name. Its files are minise's own: whatever is wrong with them raises, and fails a test."""
    stem = name.replace("-", "_")
    table = _frozen(tomllib.loads((files(__package__) / f"{stem}.toml").read_text(encoding="utf-8")))
    module, mistakes = import_module(f"{__package__}.{stem}"), table.pop("mistakes")
    table["checks"] = tuple(_checks(table["checks"], table["results"]))
    calling = getattr(module, "calling", None) or calling_of(table["signatures"])
    exercise = Exercise(name, **table, mistakes=(), draw=module.draw, right=module.right, calling=calling)
    return replace(exercise, mistakes=tuple(_mistake(exercise, **row) for row in mistakes))


def _frozen(value: Any) -> Any:
    """A value out of a TOML file, with tuples for its lists."""
    match value:
        case list():
            return tuple(map(_frozen, value))
        case dict():
            return {key: _frozen(item) for key, item in value.items()}
    return value


def _checks(tables: tuple[dict[str, Any], ...], results: tuple[str, ...]) -> Iterator[ExerciseCheck]:
    """The checks: what one of them leaves out is as in the one before it; the first begins with the first result."""
    row: dict[str, Any] = {"result": results[0]}
    for table in tables:
        row |= table
        yield ExerciseCheck(**row)


def _mistake(exercise: Exercise, change: str, hint: str) -> KnownMistake:
    functions = functions_in(changed(exercise.solution, change), exercise.functions)
    return KnownMistake(change, exercise.calling(*functions), hint)


def functions_in(source: str, names: tuple[str, ...]) -> list[Callable[..., Any]]:
    """The functions of these names that a solution, or a changed one, defines. Its code is minise's own."""
    scope: dict[str, Any] = {"__name__": "solution", "np": np}
    exec(source, scope)
    return [scope[name] for name in names]


def changed(source: str, change: str) -> str:
    """The source with some of its lines changed: each that a "-" marks goes, and what a "+" marks below it comes.

    Indentation is that of the line that goes. Raises ValueError unless that line stands there exactly once.
    """
    lines, at, indent = source.splitlines(), 0, ""
    for sign, text in ((line[:2], line[2:]) for line in change.splitlines()):
        if sign == "+ ":
            lines.insert(at, indent + text)
            at += 1
            continue
        places = [k for k, line in enumerate(lines) if line.strip() == text.strip()]
        if sign != "- " or len(places) != 1:
            raise ValueError(f"{sign + text!r}: found {len(places)} such lines in the solution, expected 1")
        at = places[0]
        removed = lines.pop(at)
        indent = removed[: len(removed) - len(removed.lstrip())]
    return "\n".join(lines) + "\n"
