"""Calling what somebody else wrote: a line for whatever goes wrong, and never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from types import FrameType
from typing import Any

import numpy as np

from minise.backend import Array
from minise.teach.exercises.unfit import TimeUpError, UnfitError, fault, module_of

RAISED = (Exception, SystemExit, GeneratorExit, TimeUpError)
"""What an answer may raise, and nobody else: not KeyboardInterrupt."""


def call(function: Callable[..., Any], inputs: tuple[Any, ...], names: tuple[str, ...]) -> Any:
    """function(*inputs), on copies of the arrays. Raises NotWrittenError; UnfitError if it raises or changes any."""
    given = tuple(x.copy() if isinstance(x, np.ndarray) else x for x in inputs)
    try:
        with np.errstate(all="ignore"):
            results = function(*given)
    except RAISED as error:
        raise fault(error) from error
    for name, before, after in zip(names, inputs, given, strict=True):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=True):
            raise UnfitError(f"{name} is changed in place, expected every input to be left as it was given")
    return results


def watched(function: Callable[..., Any], called: set[str]) -> Callable[..., Any]:
    """The function of a student, which raises UnfitError if it calls what has the answer ready.

    called: gets the names of the student's own functions that it calls.
    """
    foreign: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        module, code = module_of(frame), frame.f_code
        if module.partition(".")[0] not in FOREIGN:
            called.add(code.co_name)
        elif module not in OURS:
            foreign.append(f"{module}.{code.co_qualname}")

    @wraps(function)
    def answer(*inputs: Any) -> Any:
        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            return function(*inputs)
        finally:
            sys.setprofile(before)
            if foreign:
                raise UnfitError(f"it calls {foreign[0]}, expected NumPy only, and helpers of its own")

    return answer


FOREIGN = ("minise", "torch", "jax", "tensorflow", "autograd", "cupy", "scipy")
"""Packages that have the answer ready, or would compute it."""
OURS = ("minise.teach.exercises.limits", "minise.teach.exercises.source")
"""What an answer calls unknowingly: where it prints, imports, or is interrupted."""


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
        if isinstance(saved, np.ndarray) and not isinstance(y, np.ndarray):
            raise UnfitError(
                f"the forward returned {described(y)} first, expected y first, then what the backward needs"
            )
        try:
            gradients = backward(gy, saved, *(((True,) * len(inputs),) if needs else ()))
            if not isinstance(gradients, tuple) or len(gradients) != len(inputs):
                raise UnfitError(
                    f"the backward returned {described(gradients)}, expected a tuple with a gradient for each"
                    f" input, so of length {len(inputs)}"
                )
        except RAISED as error:
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
