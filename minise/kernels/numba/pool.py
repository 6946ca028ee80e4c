"""Max pooling for the numba backend: one loop over the windows, and one back."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel
from minise.kernels.memory import empty
from minise.kernels.numba.parallel import inner, loop, side_by_side, turns
from minise.ops.basic import Gradients, Needs

MAX_KERNEL = 15
"""The place of a window's largest value, in reading order, is kept in one byte."""


@inner
def wins(value: Any, best: Any) -> Any:
    """Whether the value is larger, or the first that is not a number: without a branch, which would be guessed."""
    return ((value > best) | (value != value)) & (best == best)


@loop
def forward(work: Any, x: Any, kernel: int, stride: int, y: Any, winner: Any) -> None:
    """y[p, i, j] = the largest value of a window of x[p], winner[p, i, j] its place."""
    _, rows, columns = y.shape
    for start, stop in turns(work):
        for p in range(start, stop):
            for i in range(rows):
                for j in range(columns):
                    top, left = i * stride, j * stride
                    best, place = x[p, top, left], 0
                    for a in range(kernel):
                        for b in range(kernel):
                            value = x[p, top + a, left + b]
                            larger = wins(value, best)
                            best = value if larger else best
                            place = a * kernel + b if larger else place
                    y[p, i, j] = best
                    winner[p, i, j] = place


@loop
def forward_pairs(work: Any, x: Any, y: Any, winner: Any) -> None:
    """The same for windows of 2 x 2 side by side, written out so that the compiler makes vectors of it."""
    zero, one, two, three = np.uint8(0), np.uint8(1), np.uint8(2), np.uint8(3)
    _, rows, columns = y.shape
    for start, stop in turns(work):
        for p in range(start, stop):
            for i in range(rows):
                top, low, own, place = x[p, 2 * i], x[p, 2 * i + 1], y[p, i], winner[p, i]
                for j in range(columns):
                    a, b, c, d = top[2 * j], top[2 * j + 1], low[2 * j], low[2 * j + 1]
                    above, above_at = (b, one) if wins(b, a) else (a, zero)
                    best, best_at = (c, two) if wins(c, above) else (above, above_at)
                    own[j], place[j] = (d, three) if wins(d, best) else (best, best_at)


@loop
def backward(work: Any, gy: Any, winner: Any, kernel: int, stride: int, gx: Any) -> None:
    """Add gy[p, i, j] to the pixel that its value came from."""
    _, rows, columns = gy.shape
    for start, stop in turns(work):
        for p in range(start, stop):
            gx[p] = 0
            for i in range(rows):
                for j in range(columns):
                    place = winner[p, i, j]
                    gx[p, i * stride + place // kernel, j * stride + place % kernel] += gy[p, i, j]


def supports(x: Array, *, kernel: int, stride: int | None = None, padding: int = 0) -> bool:
    """Maps in float32 without padding; what is wrong with shapes and options is for the reference to say."""
    step = kernel if stride is None else stride
    return (
        x.ndim == 4
        and x.dtype == np.float32
        and x.size > 0
        and padding == 0
        and 1 <= kernel <= min(*x.shape[2:], MAX_KERNEL)
        and step >= 1
    )


def planes(x: Array) -> Array:
    """(n, c, h, w) as (n·c, h, w)."""
    return np.ascontiguousarray(x).reshape(-1, *x.shape[2:])


def max_pool2d_forward(
    x: Array, *, kernel: int, stride: int | None = None, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.pool.max_pool2d_forward`."""
    step = kernel if stride is None else stride
    y = empty((*x.shape[:2], *((size - kernel) // step + 1 for size in x.shape[2:])), x.dtype)
    winner = np.empty(y.shape, np.uint8)
    xs, ys, winners = planes(x), planes(y), planes(winner)
    if kernel == step == 2:
        side_by_side(forward_pairs, len(xs), xs, ys, winners)
    else:
        side_by_side(forward, len(xs), xs, kernel, step, ys, winners)
    return y, (winner, x.shape, kernel, step)


def max_pool2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.pool.max_pool2d_backward`."""
    winner, shape, kernel, step = saved
    gy = gy.astype(np.float32, copy=False)
    gx = empty(shape, gy.dtype)
    gys, winners, gxs = planes(gy), planes(winner), planes(gx)
    side_by_side(backward, len(gys), gys, winners, kernel, step, gxs)
    return (gx,)


MAX_POOL2D = Kernel(max_pool2d_forward, max_pool2d_backward, supports)
