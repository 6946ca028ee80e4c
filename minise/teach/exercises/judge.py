"""Judging an answer: check by check, until one fails; then what is wrong, and which known mistake it looks like."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.teach.exercises.calling import call, described
from minise.teach.exercises.exercise import (
    SOLVED,
    UNWRITTEN,
    WRONG,
    Answer,
    Exercise,
    ExerciseCheck,
    Inputs,
    Result,
)
from minise.teach.exercises.unfit import NotWrittenError, UnfitError, fault

DIGITS = {"d": 1e-7, "f": 1e-4}
"""How far a result may be off, relative to the largest element, by the kind of float."""


def judge(exercise: Exercise, answer: Answer, level: int = 1) -> Result:
    """Try `answer`, a function of the inputs of a case, on every check in order; stop at the first that fails.

    An answer that comes to no results, because it raises or returns something else, has failed none of the checks.
    level: how many hints to give, 1 to 3.
    """
    titles = tuple(check.title for check in exercise.checks)
    for k, check in enumerate(exercise.checks):
        try:
            wrong = _examine(exercise, check, answer)
        except NotWrittenError as error:
            return Result(exercise.name, UNWRITTEN, titles[:k], left=titles[k:], found=str(error))
        except UnfitError as error:
            return stopped(exercise, str(error), k)
        if wrong is not None:
            found, hints = wrong
            hints = tuple(filter(None, hints[:level]))
            return Result(exercise.name, WRONG, titles[:k], check.title, titles[k + 1 :], found, hints)
    return Result(exercise.name, SOLVED, titles)


def stopped(exercise: Exercise, found: str, passed: int = 0) -> Result:
    """The result of an answer that came to none after so many checks: none failed, nothing to hint at."""
    titles = tuple(check.title for check in exercise.checks)
    return Result(exercise.name, WRONG, titles[:passed], left=titles[passed:], found=found)


def _examine(exercise: Exercise, check: ExerciseCheck, answer: Answer) -> tuple[str, tuple[str, ...]] | None:
    """None for a right answer; else what is wrong, and the hints: of the mistake that it looks like, or the check's.

    What is no number at all has no first hint, and results in the wrong order have none: the words say what to do.
    """
    cases, name = exercise.inputs_of(check), check.result
    right = [_pick(exercise, name, exercise.right, inputs) for inputs in cases]
    found = [_pick(exercise, name, answer, inputs) for inputs in cases]
    wrong = [k for k in range(len(cases)) if not _same(found[k], right[k])]
    if not wrong:
        return None
    first = wrong[0]
    words = _difference(name, found[first], right[first])
    words += f", for {_shapes(exercise, cases[first])}"
    if not _is_numeric(found[first]):
        return words, ("", *check.hints[1:])
    other = _misplaced(exercise, name, found, answer, cases)
    if other:
        order = ", ".join(exercise.results)
        return f"{name} has the values of {other}: right values in the wrong order, expected {order}", ()
    for mistake in exercise.mistakes:
        yields = [_pick(exercise, name, mistake.answer, inputs) for inputs in cases]
        if all(map(_same, found, yields)):
            return words, (mistake.hint, *check.hints[1:])
    return words, check.hints


def _misplaced(
    exercise: Exercise, name: str, found: list[Any], answer: Answer, cases: list[Inputs]
) -> str | None:
    """The result whose right values were found in the place of `name`, and not in its own, if there is one."""
    for other in exercise.results:
        right = [_pick(exercise, other, exercise.right, inputs) for inputs in cases]
        if all(map(_same, found, right)):
            own = [_pick(exercise, other, answer, inputs) for inputs in cases]
            if not all(map(_same, own, right)):
                return other
    return None


def _pick(exercise: Exercise, name: str, answer: Answer, inputs: Inputs) -> Any:
    """The result that is checked, of one case."""
    results, names = call(answer, inputs, exercise.inputs), exercise.results
    if len(names) == 1:
        return results
    if not isinstance(results, tuple) or len(results) != len(names):
        raise UnfitError(
            f"it returned {described(results)}, expected {len(names)} results: {', '.join(names)}"
        )
    picked = results[names.index(name)]
    if isinstance(picked, BaseException):
        raise fault(picked)
    return picked


def _same(found: Any, right: Any) -> bool:
    """Whether they are equal in kind, shape and, up to rounding, in value."""
    if not _is_numeric(found) or not _is_numeric(right):
        return False
    f, r = np.asarray(found), np.asarray(right)
    if f.shape != r.shape or not _fits(f, r) or not np.isfinite(f).all():
        return False
    scale = float(np.abs(r).max(initial=0.0))
    return bool((np.abs(f - r) <= DIGITS.get(r.dtype.char, 0.0) * scale).all())


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic | int | float)


def _fits(f: Array, r: Array) -> bool:
    """The same type; of whole numbers, any of them."""
    return f.dtype == r.dtype or (f.dtype.kind in "iu" and r.dtype.kind in "iu")


def _difference(name: str, found: Any, right: Any) -> str:
    """What is wrong with a result, in words."""
    r = np.asarray(right)
    expected = "a number" if r.ndim == 0 else f"an array of shape {r.shape}"
    if not _is_numeric(found):
        return f"{name} is {described(found)}, expected {expected}"
    f = np.asarray(found)
    if f.shape != r.shape:
        return f"{name} has shape {f.shape}, expected {r.shape}"
    if not _fits(f, r):
        return f"{name} has dtype {f.dtype}, expected {r.dtype}"
    if not np.isfinite(f).all():
        return f"{name} has {int((~np.isfinite(f)).sum())} of {f.size} elements that are no finite numbers"
    return f"{name} {_relation(f, r)}"


def _relation(f: Array, r: Array) -> str:
    """How a wrong result of the right shape is related to the right one."""
    if f.ndim and not f.any():
        return "is zero everywhere, expected other values"
    if r.ndim == 2 and r.shape[0] == r.shape[1] and _same(f, r.T):
        return "is the right one transposed"
    square = float((r * r).sum())
    factor = float((f * r).sum()) / square if square else 0.0
    if r.dtype.kind == "f" and f.size > 1 and _same(f, (factor * r).astype(r.dtype)):
        return f"is the right one times {factor:.4g}"
    index = np.unravel_index(int(np.abs(f - r).argmax()), f.shape)
    place = f"at {tuple(map(int, index))} " if f.ndim else ""
    return f"{place}is {f[index] + 0:.6g}, expected {r[index] + 0:.6g}"


def _shapes(exercise: Exercise, inputs: Inputs) -> str:
    """The inputs of a case, in words."""
    return ", ".join(f"{name} {_short(value)}" for name, value in zip(exercise.inputs, inputs, strict=True))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.shape)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
