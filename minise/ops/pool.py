"""Pooling: the maximum or the mean of every window, and the mean of a whole map."""

from __future__ import annotations

from typing import Any

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import output_size, pad_images, scatter_windows, windows
from minise.tape import Op


def check_pool(op: str, x: Array, kernel: int, stride: int, padding: int) -> tuple[int, int]:
    """How many windows there are down and across, or ShapeError."""
    if x.ndim != 4:
        raise ShapeError(f"{op}: x has shape {x.shape}, expected (n, c, h, w)")
    ho, wo = (output_size(op, size, kernel, stride, padding) for size in x.shape[2:])
    if 2 * padding > kernel:
        raise ShapeError(f"{op}: padding {padding} is more than half of kernel {kernel}")
    return ho, wo


def max_pool2d_forward(
    x: Array, *, kernel: int, stride: int | None = None, padding: int = 0
) -> tuple[Array, Any]:
    """y = the largest value of each kernel x kernel window; gy goes to the pixel that it came from.

    x: (n, c, h, w), y: (n, c, ho, wo). stride: kernel when left out. Padding never wins.
    Where values tie, the first in reading order gets the whole gradient; NaN is larger than any number.
    """
    stride = kernel if stride is None else stride
    sizes = check_pool("max_pool2d", x, kernel, stride, padding)
    xp = array_module(x)
    view = windows(pad_images(x, padding, -float("inf")), kernel, kernel, stride)
    y = view[:, :, 0, 0].copy()
    down, across = (xp.maximum(padding - stride * xp.arange(size, dtype=xp.int32), 0) for size in sizes)
    winner = xp.broadcast_to(
        kernel * down[:, None] + across, y.shape
    ).copy()  # a window's first that is no padding
    for tap in range(1, kernel * kernel):
        values = view[:, :, tap // kernel, tap % kernel]
        winner[~(values <= y) & (y == y)] = tap
        xp.maximum(y, values, out=y)
    return y, (winner, x.shape, kernel, stride, padding)


def max_pool2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    winner, shape, kernel, stride, padding = saved
    tap = array_module(gy).arange(kernel * kernel, dtype=winner.dtype).reshape(kernel, kernel, 1, 1)
    g = array_module(gy).where(winner[:, :, None, None] == tap, gy[:, :, None, None], 0)
    return (scatter_windows(g, shape, stride, padding),)


def avg_pool2d_forward(
    x: Array, *, kernel: int, stride: int | None = None, padding: int = 0
) -> tuple[Array, Any]:
    """y = the mean of each kernel x kernel window, padded zeros counted; each pixel gets gy / kernel².

    x: (n, c, h, w), y: (n, c, ho, wo). stride: kernel when left out.
    """
    stride = kernel if stride is None else stride
    check_pool("avg_pool2d", x, kernel, stride, padding)
    view = windows(pad_images(x, padding), kernel, kernel, stride)
    return view.mean(axis=(2, 3)), (x.shape, kernel, stride, padding)


def avg_pool2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    shape, kernel, stride, padding = saved
    share = (gy / kernel**2)[:, :, None, None]
    g = array_module(gy).broadcast_to(share, (*gy.shape[:2], kernel, kernel, *gy.shape[2:]))
    return (scatter_windows(g, shape, stride, padding),)


def global_avg_pool_forward(x: Array) -> tuple[Array, Any]:
    """y = the mean over h and w, the squeeze of an SE block; every pixel gets gy / (h·w).

    x: (n, c, h, w), y: (n, c).
    """
    if x.ndim != 4:
        raise ShapeError(f"global_avg_pool: x has shape {x.shape}, expected (n, c, h, w)")
    return x.mean(axis=(2, 3)), x.shape


def global_avg_pool_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    h, w = saved[2:]
    share = (gy / (h * w))[:, :, None, None]
    return (array_module(gy).broadcast_to(share, saved).copy(),)


max_pool2d = Op(max_pool2d_forward, max_pool2d_backward)
avg_pool2d = Op(avg_pool2d_forward, avg_pool2d_backward)
global_avg_pool = Op(global_avg_pool_forward, global_avg_pool_backward)
