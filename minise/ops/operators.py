"""The operators of tensors: `minise.tape` knows no op, so `minise.ops` installs them when it is imported."""

from __future__ import annotations

from collections.abc import Callable

from minise.backend import Array, find_kernel
from minise.ops.basic import add, divide, multiply, negate, power, subtract
from minise.ops.linear import matmul
from minise.tape import Node, Tensor

BINARY = {"add": add, "sub": subtract, "mul": multiply, "truediv": divide, "matmul": matmul}
"""Python's name of an operator -> the op; `__add__` takes the tensor first, `__radd__` last."""


def install() -> None:
    """Give tensors `+ - * / ** @`, and the tape the sum of two gradients."""
    methods: dict[str, Callable[..., Tensor]] = {
        "__neg__": lambda x: negate(x),
        "__pow__": lambda x, exponent: power(x, exponent=exponent),
    }
    for name, op in BINARY.items():
        methods[f"__{name}__"] = lambda x, other, op=op: op(x, other)
        methods[f"__r{name}__"] = lambda x, other, op=op: op(other, x)
    for name, method in methods.items():
        setattr(Tensor, name, method)
    Node.total = staticmethod(total)  # type: ignore[method-assign]


def total(a: Array, b: Array) -> Array:
    """a + b, a new array, by the backend's kernel of `add` if it has one."""
    kernel = find_kernel("add", (a, b), {})
    return a + b if kernel is None else kernel.forward(a, b)[0]
