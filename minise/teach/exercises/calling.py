"""Calling what somebody else wrote: a line for whatever goes wrong, and never a traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minise.backend import Array

LONGEST = 200
"""Characters of somebody else's error message."""


class NotWrittenError(Exception):
    """The function still raises NotImplementedError."""


class UnfitError(Exception):
    """What a function did that no answer may do, in words that tell what was found and what was expected."""


def call(function: Callable[..., Any], inputs: tuple[Any, ...], names: tuple[str, ...]) -> Any:
    """function(*inputs), on copies of the arrays. Raises NotWrittenError; UnfitError if it raises or changes any."""
    given = tuple(x.copy() if isinstance(x, np.ndarray) else x for x in inputs)
    try:
        with np.errstate(all="ignore"):
            results = function(*given)
    except (Exception, SystemExit) as error:
        raise fault(error) from error
    for name, before, after in zip(names, inputs, given, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=True):
            raise UnfitError(f"{name} is changed in place, expected every input to be left as it was given")
    return results


def fault(error: BaseException) -> Exception:
    """What a function raised, as NotWrittenError or UnfitError."""
    if isinstance(error, UnfitError | NotWrittenError):
        return error
    name, line = _where(error)
    if isinstance(error, NotImplementedError):
        return NotWrittenError(f"{name} is not written yet")
    place = f"{name}, its line {line}," if line else name
    words = " ".join(str(error).split())[:LONGEST]
    return UnfitError(f"{place} raises {type(error).__name__}{words and f': {words}'}")


def _where(error: BaseException) -> tuple[str, int]:
    """The innermost function outside the libraries that the error went through, and its line there, from 1.

    Line 0: it went through none, since the call itself failed.
    """
    steps = traceback.walk_tb(error.__traceback__)
    own = [(f, line) for f, line in steps if not _is_library(f.f_globals.get("__name__", ""))]
    if not own:
        return "calling it", 0
    frame, line = own[-1]
    return frame.f_code.co_name, line - frame.f_code.co_firstlineno + 1


def _is_library(module: str) -> bool:
    return module.partition(".")[0] in ("minise", "numpy")


def calling_of(signatures: tuple[str, ...]) -> Callable[..., Callable[..., Any]]:
    """What makes an answer out of functions with these signatures: one is the answer itself, two are an op's pair."""
    if len(signatures) == 1:
        return lambda function: function
    return partial(pair, needs="needs" in signatures[1])


def pair(
    forward: Callable[..., Any], backward: Callable[..., Any], *, needs: bool = False
) -> Callable[..., Any]:
    """An answer that is an op: from (gy, inputs…) to (y, gradients…). needs: its backward takes `needs`.

    Where the backward fails, what it raised stands for every gradient: y can be right all the same.
    """

    def answer(gy: Array, *inputs: Any) -> tuple[Any, ...]:
        both = forward(*inputs)
        if not isinstance(both, tuple) or len(both) != 2:
            raise UnfitError(
                f"the forward returned {described(both)}, expected two things: y, and what the backward needs"
            )
        y, saved = both
        try:
            gradients = backward(gy, saved, *(((True,) * len(inputs),) if needs else ()))
            if not isinstance(gradients, tuple) or len(gradients) != len(inputs):
                raise UnfitError(
                    f"the backward returned {described(gradients)}, expected a tuple with a gradient for each"
                    f" input, so of length {len(inputs)}"
                )
        except (Exception, SystemExit) as error:
            gradients = (error,) * len(inputs)
        return (y, *gradients)

    return answer


def described(value: Any) -> str:
    """A value in a few words."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"a tuple of length {len(value)}"
    return f"a {type(value).__name__}"
