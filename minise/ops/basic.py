"""Arithmetic with NumPy's broadcasting, and the elementary functions."""

from __future__ import annotations

from typing import Any

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.tape import Op

Gradients = tuple[Array | None, ...]
Needs = tuple[bool, ...]


def unbroadcast(g: Array, shape: tuple[int, ...]) -> Array:
    """Sum `g` over the axes that broadcasting added or stretched, so that it has `shape`.

    Broadcasting copies a value along an axis; the gradient of a copy is the sum over the copies.
    """
    if g.shape == shape:
        return g
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, size in enumerate(shape) if size == 1 and g.shape[i] != 1)
    return g.sum(axis=stretched, keepdims=True) if stretched else g


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or () for a number."""
    return getattr(x, "shape", ())


def check_broadcast(op: str, a: Any, b: Any) -> None:
    """Raise ShapeError unless the two shapes broadcast together."""
    for m, n in zip(reversed(shape_of(a)), reversed(shape_of(b)), strict=False):
        if m != n and 1 not in (m, n):
            raise ShapeError(
                f"{op}: shapes {shape_of(a)} and {shape_of(b)} do not broadcast, expected equal sizes or 1"
            )


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """y = a + b; ga = gy, gb = gy, each summed over the axes it was broadcast along."""
    check_broadcast("add", a, b)
    return a + b, (shape_of(a), shape_of(b))


def add_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a_shape, b_shape = saved
    return (
        unbroadcast(gy, a_shape) if needs[0] else None,
        unbroadcast(gy, b_shape) if needs[1] else None,
    )


def subtract_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """y = a - b; ga = gy, gb = -gy."""
    check_broadcast("subtract", a, b)
    return a - b, (shape_of(a), shape_of(b))


def subtract_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a_shape, b_shape = saved
    return (
        unbroadcast(gy, a_shape) if needs[0] else None,
        unbroadcast(-gy, b_shape) if needs[1] else None,
    )


def multiply_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """y = a b; ga = gy b, gb = gy a."""
    check_broadcast("multiply", a, b)
    return a * b, (a, b)


def multiply_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a, b = saved
    return (
        unbroadcast(gy * b, shape_of(a)) if needs[0] else None,
        unbroadcast(gy * a, shape_of(b)) if needs[1] else None,
    )


def divide_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """y = a / b; ga = gy / b, gb = -gy a / b², divided twice: b² may overflow. Division by 0 follows NumPy."""
    check_broadcast("divide", a, b)
    return a / b, (a, b)


def divide_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a, b = saved
    return (
        unbroadcast(gy / b, shape_of(a)) if needs[0] else None,
        unbroadcast(-(gy / b) * (a / b), shape_of(b)) if needs[1] else None,
    )


def negate_forward(x: Array) -> tuple[Array, Any]:
    """y = -x; gx = -gy."""
    return -x, None


def negate_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (-gy,)


def power_forward(x: Array, *, exponent: float) -> tuple[Array, Any]:
    """y = x^p for a fixed number p; gx = gy p x^(p-1). x must be positive unless p is a whole number."""
    return x**exponent, (x, exponent)


def power_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, p = saved
    # a negative p's x^(p-1) may underflow before gx does, and 0's has a pole
    return (gy * (p * x**p) / x if p < 0 else gy * (p * x ** (p - 1 if p else 0)),)


def exp_forward(x: Array) -> tuple[Array, Any]:
    """y = e^x; gx = gy y."""
    y = array_module(x).exp(x)
    return y, y


def exp_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy * saved,)


def log_forward(x: Array) -> tuple[Array, Any]:
    """y = ln x for x > 0; gx = gy / x."""
    return array_module(x).log(x), x


def log_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy / saved,)


def sqrt_forward(x: Array) -> tuple[Array, Any]:
    """y = √x for x > 0; gx = gy / 2y."""
    y = array_module(x).sqrt(x)
    return y, y


def sqrt_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy / (2 * saved),)


add = Op(add_forward, add_backward)
subtract = Op(subtract_forward, subtract_backward)
multiply = Op(multiply_forward, multiply_backward)
divide = Op(divide_forward, divide_backward)
negate = Op(negate_forward, negate_backward)
power = Op(power_forward, power_backward)
exp = Op(exp_forward, exp_backward)
log = Op(log_forward, log_backward)
sqrt = Op(sqrt_forward, sqrt_backward)
