"""A user's own op, function or module, from a Python file: `my_file.py:my_op`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minise._util.plugins import import_file
from minise.backend import use_backend
from minise.errors import ConfigError, MiniseError
from minise.gradcheck.cases import Case, Draw, as_function
from minise.gradcheck.compare import GradientComparison, compare_gradients
from minise.gradcheck.contract import ContractError, check_contract, in_words, shapes_of
from minise.gradcheck.layers import module_function, named
from minise.gradcheck.search import Check, Checked, search
from minise.gradcheck.values import VALUES
from minise.nn import Module
from minise.tape import FusedOp, Op, Tensor

DEFAULT_SHAPE = "n,c"


@dataclass(frozen=True)
class Target:
    """What is to be checked: an op or a function on tensors that takes `inputs` to `most` inputs, or a module."""

    kind: str
    name: str
    value: Any
    inputs: int
    most: int


def check_file(
    spec: str,
    *,
    shapes: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    values: str = "signed",
    examples: int,
    seed: int,
) -> Iterator[Checked]:
    """Check what FILE.py:NAME names, or with FILE.py alone all ops that the file defines; yields as it goes.

    shapes: one an input, such as "n,c,h,w" or "3,c" or "" for a scalar; a letter is one random size from 1 to 5,
    the same wherever it stands. options: given to the op by keyword. Raises ConfigError for what cannot be used.
    """
    for target in find_targets(spec):
        wanted = list(shapes) or [DEFAULT_SHAPE] * target.inputs
        if not target.inputs <= len(wanted) <= target.most:
            takes = target.inputs if target.inputs == target.most else f"{target.inputs} to {target.most}"
            raise ConfigError(
                f"gradcheck: {target.name} has inputs: {takes}, found shapes: {len(wanted)} ({'; '.join(wanted)}),"
                " expected one for each"
            )
        outcome = search(
            user_cases([parse_shape(text) for text in wanted], VALUES[values], dict(options or {})),
            CHECKS[target.kind](target),
            kind=target.kind,
            name=target.name,
            backend="reference",
            examples=examples,
            seed=seed,
        )
        failure = outcome.failure
        if failure is not None and "shape" in failure.message and not shapes:  # which were only a guess
            told = f"{failure.message} (inputs were taken as {DEFAULT_SHAPE} each; --shape says otherwise)"
            outcome = replace(outcome, failure=replace(failure, message=told))
        yield outcome


def parse_shape(text: str) -> tuple[str | int, ...]:
    """("n", 3) for "n,3"; ConfigError for anything but letters and numbers from 1."""
    parts = [part.strip() for part in text.split(",")] if text.strip(" ()") else []
    for part in parts:
        if not re.fullmatch(r"[A-Za-z]\w*|[1-9]\d*", part):
            raise ConfigError(
                f"shape: {text!r} has the size {part!r}, expected names or numbers, such as n,c,4,4"
            )
    return tuple(int(part) if part.isdigit() else part for part in parts)


@st.composite
def user_cases(
    draw: Draw, shapes: list[tuple[str | int, ...]], make: Callable[..., Any], options: dict[str, Any]
) -> Case:
    """Inputs of the shapes, with their letters drawn."""
    names = sorted({size for shape in shapes for size in shape if isinstance(size, str)})
    sizes = {name: draw(st.integers(1, 5)) for name in names}
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    filled = [
        make(rng, tuple(size if isinstance(size, int) else sizes[size] for size in shape)) for shape in shapes
    ]
    return Case(filled, options)


def find_targets(spec: str) -> list[Target]:
    """The targets that FILE.py:NAME or FILE.py names."""
    file, name = (spec, "") if spec.endswith(".py") else spec.rsplit(":", 1)
    module = import_file(Path(file), "gradcheck")
    if name:
        return [_target(name, module, file)]
    names = [name for name, value in vars(module).items() if isinstance(value, Op | FusedOp)]
    own = [n for n in names if _home(getattr(module, n)) == module.__name__]
    pairs = [n.removesuffix("_forward") for n in vars(module) if n.endswith("_forward")]
    wrapped = {getattr(module, n).name for n in own}
    found = [*own, *(p for p in pairs if p not in wrapped and hasattr(module, f"{p}_backward"))]
    if not found:
        raise ConfigError(
            f"gradcheck: {file} defines no op, expected an Op, or a pair such as my_op_forward and my_op_backward,"
            " or FILE.py:NAME for a function on tensors or a module"
        )
    return [_target(name, module, file) for name in found]


def _home(op: Op | FusedOp) -> str:
    return (op.forward if isinstance(op, Op) else op.composed).__module__


def _target(name: str, module: ModuleType, file: str) -> Target:
    value = getattr(module, name, None)
    forward, backward = (getattr(module, f"{name}_{way}", None) for way in ("forward", "backward"))
    if value is None and callable(forward) and callable(backward):
        value = Op(forward, backward)
    if value is None:
        raise ConfigError(
            f"gradcheck: {file} has no {name}, nor {name}_forward and {name}_backward, expected the name of an op,"
            " a function on tensors or a module in it"
        )
    if isinstance(value, type) and issubclass(value, Module):
        with _one_line(f"gradcheck: {name}()"):
            value = value()
    if isinstance(value, Module):
        return Target("module", name, value, 1, 1)
    if isinstance(value, Op):
        return Target("op", name, value, *_positional(name, value.forward))
    if callable(value):
        function = value.composed if isinstance(value, FusedOp) else value
        return Target("function", name, value, *_positional(name, function))
    raise ConfigError(
        f"gradcheck: {file}:{name} is a {type(value).__name__}, expected an op, a module or a function on tensors"
    )


def _positional(name: str, function: Callable[..., Any]) -> tuple[int, int]:
    """How many inputs the function needs, and how many it takes."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"gradcheck: {name} does not say its inputs, expected a function in Python"
        ) from error
    least = sum(p.kind in kinds and p.default is p.empty for p in parameters)
    return max(1, least), max(1, sum(p.kind in kinds for p in parameters))


@contextmanager
def _one_line(who: str) -> Iterator[None]:
    """What the user's code raises leaves as a ContractError in one line."""
    try:
        yield
    except MiniseError:
        raise
    except (Exception, SystemExit) as error:
        raise ContractError(f"{who} raised {in_words(error)}, expected a result") from error


def _check_op(target: Target) -> Check:
    def check(case: Case) -> GradientComparison:
        check_contract(target.value, case.inputs, case.options, np.random.default_rng(1))
        return _compare(target.name, *as_function(target.value, case))

    return check


def _check_function(target: Target) -> Check:
    return lambda case: _compare(target.name, *as_function(target.value, case))


def _check_module(target: Target) -> Check:
    target.value.to(dtype=np.float64)

    def check(case: Case) -> GradientComparison:
        return named(target.value, _compare(target.name, *module_function(target.value, case.inputs[0])))

    return check


def _compare(name: str, f: Callable[..., Any], inputs: list[Any]) -> GradientComparison:
    with _one_line(f"{name}: for inputs of {shapes_of(inputs)} it"), use_backend("reference"):
        before = [x.copy() for x in inputs]
        y, again = (f(*(Tensor(x, requires_grad=True) for x in inputs)) for _ in range(2))
        if not isinstance(y, Tensor):
            raise ContractError(f"{name}: it gave a {type(y).__name__}, expected a Tensor")
        for i, (x, old) in enumerate(zip(inputs, before, strict=True)):
            if not np.array_equal(x, old):
                raise ContractError(f"{name}: it changed input {i} in place, expected a new array")
        if not np.array_equal(y.data, again.data, equal_nan=True):
            raise ContractError(
                f"{name}: it gave another result for the same inputs, expected the same each time"
            )
        if not np.isfinite(y.data).all():
            raise ContractError(f"{name}: it gave NaN or infinity for finite inputs, expected finite numbers")
        if y.node is None:
            raise ContractError(f"{name}: its result is not on the tape, expected it to be made of ops")
        return compare_gradients(f, inputs, np.random.default_rng(1))


CHECKS: dict[str, Callable[[Target], Check]] = {
    "op": _check_op,
    "function": _check_function,
    "module": _check_module,
}
