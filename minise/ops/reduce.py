"""Reductions: sum, mean and max over any axes."""

from __future__ import annotations

from typing import Any

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op

Axis = int | tuple[int, ...] | None


def spread(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Array:
    """Undo a reduction's loss of axes: a view of `g` that reads the same along each reduced axis."""
    xp = array_module(g)
    if not keepdims and axis is not None:
        g = xp.expand_dims(g, tuple(i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))))
    return xp.broadcast_to(g, shape)


def check_axes(op: str, x: Array, axis: Axis) -> None:
    """Raise ShapeError unless x has each of the axes, and names none twice."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if not all(-x.ndim <= i < x.ndim for i in axes) or len({i % x.ndim for i in axes}) < len(axes):
        raise ShapeError(f"{op}: axis is {axis}, expected axes of x {x.shape}, each once")


def sum_forward(x: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """y = Σ x over the axes; every element that was summed gets gy."""
    check_axes("sum", x, axis)
    return array_module(x).asarray(x.sum(axis=axis, keepdims=keepdims)), (x.shape, axis, keepdims)


def sum_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (spread(gy, *saved).copy(),)


def mean_forward(x: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """y = Σ x / m over m elements; each of them gets gy / m."""
    check_axes("mean", x, axis)
    return array_module(x).asarray(x.mean(axis=axis, keepdims=keepdims)), (x.shape, axis, keepdims)


def mean_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    gx = spread(gy, *saved)
    return (gx / (gx.size // (gy.size or 1)),)


def max_forward(x: Array, *, axis: Axis = None, keepdims: bool = False) -> tuple[Array, Any]:
    """y = max x over the axes; gy goes to the largest, shared evenly where several tie. NaN is the largest."""
    check_axes("max", x, axis)
    if x.size == 0:
        raise ShapeError(f"max: x {x.shape} is empty, expected a number at least")
    y = array_module(x).asarray(x.max(axis=axis, keepdims=keepdims))
    winners = (x == spread(y, x.shape, axis, keepdims)) | (x != x)  # where one is NaN, y is
    return y, (winners, axis, keepdims)


def max_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    winners, axis, keepdims = saved
    shares = spread(gy, winners.shape, axis, keepdims) / winners.sum(axis=axis, keepdims=True)
    return (array_module(gy).where(winners, shares, 0).astype(gy.dtype, copy=False),)


sum_ = Op(sum_forward, sum_backward)
mean = Op(mean_forward, mean_backward)
max_ = Op(max_forward, max_backward)
