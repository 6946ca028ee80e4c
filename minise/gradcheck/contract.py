"""What an op must keep to besides the right numbers: shapes, dtypes, no NaN, nothing changed in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.errors import MiniseError
from minise.gradcheck.values import is_float
from minise.tape import Op


class ContractError(MiniseError):
    """An op that breaks a rule; the message names the op, what was found and what was expected."""


def check_contract(op: Op, inputs: list[Any], options: dict[str, Any], rng: np.random.Generator) -> None:
    """Run the pair on the arrays, in float64 and in float32. Raises ContractError for the first broken rule.

    inputs: arrays, of which the float64 ones have a gradient, or whatever else the forward takes.
    """
    for dtype in (np.float64, np.float32):
        given = [np.array(x, dtype) if is_float(x) else x for x in inputs]
        _check_pair(op, given, options, np.dtype(dtype), rng)


def _check_pair(
    op: Op, inputs: list[Any], options: dict[str, Any], dtype: np.dtype[Any], rng: np.random.Generator
) -> None:
    before = _copies(inputs)
    result = _call(f"{op.name}: the forward", inputs, op.forward, *inputs, **options)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ContractError(f"{op.name}: the forward gave {_kind(result)}, expected two values: y, saved")
    y, saved = result
    _check_array(f"{op.name}: the forward gave y", y, None, dtype)
    _check_unchanged(f"{op.name}: the forward changed input", inputs, before)
    again, _ = _call(f"{op.name}: the forward", inputs, op.forward, *inputs, **options)
    if not np.array_equal(y, again):
        raise ContractError(
            f"{op.name}: the forward gave another y for the same inputs, expected the same each time"
        )
    if np.shares_memory(y, again) and not any(
        isinstance(x, np.ndarray) and np.shares_memory(y, x) for x in inputs
    ):
        raise ContractError(f"{op.name}: the forward gave the same array twice, expected a new one each time")
    y_before = y.copy()

    gy = np.asarray(rng.standard_normal(y.shape), dtype)
    gy_before = gy.copy()
    needs = op.needs_for(*map(is_float, inputs))
    gradients = _call(f"{op.name}: the backward", inputs, op.backward, gy, saved, needs)
    if not isinstance(gradients, tuple | list) or len(gradients) > len(needs) or any(needs[len(gradients) :]):
        found = _kind(gradients)
        raise ContractError(
            f"{op.name}: the backward gave {found}, expected a tuple of {len(inputs)}, one gradient for each input"
        )
    for i, (g, x, need) in enumerate(zip(gradients, inputs, needs, strict=False)):
        if need:
            _check_array(f"{op.name}: the backward gave for input {i}", g, x.shape, dtype)
    if not np.array_equal(gy, gy_before):
        raise ContractError(f"{op.name}: the backward changed gy in place, expected a new array")
    if not np.array_equal(y, y_before):
        raise ContractError(f"{op.name}: the backward changed y in place, expected a new array")
    _check_unchanged(f"{op.name}: the backward changed input", inputs, before)
    _check_needs(op, inputs, options, gy, needs, gradients)


def _check_needs(
    op: Op, inputs: list[Any], options: dict[str, Any], gy: Array, needs: tuple[bool, ...], full: Any
) -> None:
    """Each gradient is the same where no other one is needed, and the second time."""
    for i in (i for i, need in enumerate(needs) if need):
        alone = tuple(j == i for j in range(len(needs)))
        _, saved = op.forward(*inputs, **options)
        again = _call(f"{op.name}: the backward", inputs, op.backward, gy, saved, alone)
        if not (len(again) > i and np.allclose(again[i], full[i], rtol=1e-4, atol=1e-6)):
            raise ContractError(
                f"{op.name}: the backward gave another gradient for input {i} where only that one is needed,"
                " expected the same as where all are"
            )


def _call(who: str, inputs: list[Any], function: Any, *args: Any, **options: Any) -> Any:
    """What the function gives; a ContractError in one line for whatever it raises."""
    try:
        return function(*args, **options)
    except (Exception, SystemExit) as error:  # the user's own code
        raise ContractError(
            f"{who} raised {in_words(error)} for inputs of {shapes_of(inputs)}, expected a result"
        ) from error


def in_words(error: BaseException) -> str:
    """An error in one line: "KeyError ('w')"."""
    return f"{type(error).__name__} ({' '.join(str(error).split()) or 'no message'})"


def _check_array(what: str, x: Any, shape: tuple[int, ...] | None, dtype: np.dtype[Any]) -> None:
    if not isinstance(x, np.ndarray | np.generic):  # NumPy makes numbers of arrays without axes
        raise ContractError(f"{what}: {_kind(x)}, expected an array")
    if shape is not None and x.shape != shape:
        raise ContractError(f"{what}: shape {x.shape}, expected {shape}")
    if x.dtype != dtype:
        raise ContractError(f"{what}: dtype {x.dtype}, expected {dtype}, that of the inputs")
    x = np.asarray(x)
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        at = tuple(int(k) for k in wrong[0])
        raise ContractError(f"{what}: {x[at]} at element {at}, expected finite numbers")


def _check_unchanged(what: str, inputs: list[Any], before: list[Any]) -> None:
    for i, (x, old) in enumerate(zip(inputs, before, strict=True)):
        if isinstance(x, np.ndarray) and not np.array_equal(x, old):
            raise ContractError(f"{what} {i} in place, expected a new array")


def shapes_of(inputs: list[Any]) -> str:
    """The shapes of arrays, and what else there is, in words: "shapes (2, 3), (3,)"."""
    words = ", ".join(str(x.shape) if isinstance(x, np.ndarray) else repr(x) for x in inputs)
    return f"shapes {words}" if len(inputs) != 1 else f"shape {words}"


def _copies(inputs: list[Any]) -> list[Array | None]:
    return [x.copy() if isinstance(x, np.ndarray) else None for x in inputs]


def _kind(x: Any) -> str:
    if isinstance(x, tuple | list):
        return f"a {type(x).__name__} of {len(x)}"
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    return "None" if x is None else f"a {type(x).__name__}"
