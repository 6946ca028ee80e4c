"""Convolution on blocks of images, for the numpy backend.

At stride 1 the columns come in long runs. Each padded image channel is one flat run of numbers in
which a tap is a constant offset, so tap (p, q)'s row of the columns is a plain copy of the run from p·width + q
on, for a whole block of rows at once. Where the run wraps around a row's end it holds kw - 1 junk numbers; the
product computes them too and they are cut off after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel
from minise.kernels.threads import map_blocks, scratch
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import check_conv2d
from minise.ops.conv2d import conv2d_backward as reference_backward
from minise.ops.conv2d import conv2d_forward as reference_forward


def columns(x: Array, kernel: tuple[int, int], padding: tuple[int, int]) -> Array:
    """The columns of one block at stride 1, junk included: (n, c·kh·kw, ho·wp), scratch memory."""
    n, c, h, w = x.shape
    (kh, kw), (ph, pw) = kernel, padding
    hp, wp = h + 2 * ph, w + 2 * pw
    flat = scratch("flat", (n, c, hp * wp + kw - 1), x.dtype)
    flat[...] = 0
    flat[:, :, : hp * wp].reshape(n, c, hp, wp)[:, :, ph : ph + h, pw : pw + w] = x
    run = (hp - kh + 1) * wp
    sn, sc, s1 = flat.strides
    taps = np.lib.stride_tricks.as_strided(flat, (n, c, kh, kw, run), (sn, sc, wp * s1, s1, s1))
    cols = scratch("cols", taps.shape, x.dtype)
    np.copyto(cols, taps)
    return cols.reshape(n, c * kh * kw, run)


def correlate(x: Array, w2: Array, kernel: tuple[int, int], padding: tuple[int, int], y: Array) -> None:
    """y = w2 · columns of x for one block. x: (n, c, h, w); w2: (k, c·kh·kw); y: (n, k, ho, wo), written."""
    n, k, ho, wo = y.shape
    cols = columns(x, kernel, padding)
    wide = scratch("wide", (n, k, cols.shape[2]), x.dtype)
    np.matmul(w2, cols, out=wide)
    y[...] = wide.reshape(n, k, ho, -1)[..., :wo]


def weight_gradient(x: Array, gy: Array, kernel: tuple[int, int], padding: tuple[int, int]) -> Array:
    """gw = Σ_n gy colsᵀ, shaped (k, c, kh, kw), for one block; zeros in gy meet the junk."""
    n, k, ho, wo = gy.shape
    cols = columns(x, kernel, padding)
    wide = scratch("wide", (n, k, ho, cols.shape[2] // ho), x.dtype)
    wide[..., wo:] = 0
    wide[..., :wo] = gy
    gw2 = np.matmul(wide.reshape(n, k, -1), cols.transpose(0, 2, 1)).sum(axis=0)
    gw: Array = gw2.reshape(k, x.shape[1], *kernel)
    return gw


def conv2d_supports(x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0) -> bool:
    """Four axes, one float type, and no padding beyond the kernel; the reference reports what is wrong."""
    return (
        x.ndim == w.ndim == 4
        and x.dtype == w.dtype
        and x.dtype in (np.float32, np.float64)
        and len(x) > 0
        and 0 <= padding < min(w.shape[2:])
    )


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.conv2d.conv2d_forward`, block by block."""
    y = np.empty(check_conv2d(x, w, b, stride, padding), x.dtype)
    _, _, kh, kw = w.shape
    w2 = w.reshape(len(w), -1)

    def work(block: slice) -> None:
        if stride == 1:
            correlate(x[block], w2, (kh, kw), (padding, padding), y[block])
        else:
            y[block] = reference_forward(x[block], w, stride=stride, padding=padding)[0]
        if b is not None:
            y[block] += b[:, None, None]

    map_blocks(work, len(x), _column_bytes(x, w, stride))
    return y, (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.conv2d.conv2d_backward`, block by block.

    At stride 1 every pixel collects from the windows that saw it: gx is a correlation of gy with the flipped
    kernel, channels in and out exchanged.
    """
    x, w, stride, padding = saved
    _, c, kh, kw = w.shape
    gx = np.empty(x.shape, x.dtype) if needs[0] else None
    flipped = np.ascontiguousarray(w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)).reshape(c, -1)

    def work(block: slice) -> Array | None:
        if stride > 1:
            saved_block = (x[block], w, stride, padding)
            gx_block, gw, _ = reference_backward(gy[block], saved_block, (*needs[:2], False))
            if gx is not None:
                gx[block] = gx_block
            return gw
        if gx is not None:
            correlate(gy[block], flipped, (kh, kw), (kh - 1 - padding, kw - 1 - padding), gx[block])
        return weight_gradient(x[block], gy[block], (kh, kw), (padding, padding)) if needs[1] else None

    parts = map_blocks(work, len(x), _column_bytes(x, w, stride))
    gw = np.sum([part for part in parts if part is not None], axis=0) if needs[1] else None
    gb = gy.sum(axis=(0, 2, 3)) if needs[2] else None
    return gx, gw, gb


def _column_bytes(x: Array, w: Array, stride: int) -> int:
    """The size of one image's columns, of x or of gy, whichever has more channels."""
    _, c, h, width = x.shape
    k, _, kh, kw = w.shape
    return int(max(c, k) * kh * kw * h * width * x.itemsize // stride**2)


CONV2D = Kernel(conv2d_forward, conv2d_backward, conv2d_supports)
