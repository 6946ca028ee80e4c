"""2-D convolution as a matrix product over image columns (im2col), and its two gradients."""

from __future__ import annotations

from typing import Any

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def output_size(op: str, size: int, kernel: int, stride: int, padding: int) -> int:
    """How many windows fit along an axis: (size + 2 padding - kernel) // stride + 1; ShapeError if none."""
    if stride < 1 or padding < 0 or kernel < 1:
        raise ShapeError(
            f"{op}: kernel {kernel}, stride {stride}, padding {padding}; expected kernel and stride >= 1,"
            " padding >= 0"
        )
    if size + 2 * padding < kernel:
        raise ShapeError(f"{op}: a window of {kernel} does not fit in {size} + 2·{padding} pixels")
    return (size + 2 * padding - kernel) // stride + 1


def pad_images(x: Array, padding: int, value: float = 0.0) -> Array:
    """x (n, c, h, w) with a border of `value`, `padding` pixels wide."""
    if not padding:
        return x
    n, c, h, w = x.shape
    y = array_module(x).full((n, c, h + 2 * padding, w + 2 * padding), value, x.dtype)
    y[:, :, padding : padding + h, padding : padding + w] = x
    return y


def windows(x: Array, kh: int, kw: int, stride: int) -> Array:
    """A view of padded images x (n, c, h, w): (n, c, kh, kw, ho, wo), the pixel under each tap of each window."""
    n, c, h, w = x.shape
    shape = (n, c, kh, kw, (h - kh) // stride + 1, (w - kw) // stride + 1)
    strides = (*x.strides, *(step * stride for step in x.strides[2:]))
    return array_module(x).lib.stride_tricks.as_strided(x, shape, strides)


def scatter_windows(g: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """The transpose of `windows` after `pad_images`: add each tap's gradient to the pixel it read.

    g: (n, c, kh, kw, ho, wo); returns the gradient of the images of `shape` (n, c, h, w), border cut off.
    """
    n, c, h, w = shape
    kh, kw, ho, wo = g.shape[2:]
    gx = array_module(g).zeros((n, c, h + 2 * padding, w + 2 * padding), g.dtype)
    for i in range(kh):
        for j in range(kw):
            gx[:, :, i : i + stride * ho : stride, j : j + stride * wo : stride] += g[:, :, i, j]
    return gx[:, :, padding : padding + h, padding : padding + w]


def check_conv2d(x: Array, w: Array, b: Array | None, stride: int, padding: int) -> tuple[int, ...]:
    """The output's shape (n, k, ho, wo), or ShapeError."""
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != w.shape[1]:
        raise ShapeError(
            f"conv2d: x {x.shape} and w {w.shape} do not fit, expected (n, c, h, w) and (k, c, kh, kw)"
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ShapeError(f"conv2d: b has shape {b.shape}, expected {w.shape[:1]} for w {w.shape}")
    sizes = zip(x.shape[2:], w.shape[2:], strict=True)
    return len(x), len(w), *(output_size("conv2d", *pair, stride, padding) for pair in sizes)


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """Cross-correlation with zero padding, as deep learning calls convolution:

        y[n, k, i, j] = b[k] + Σ_{c, p, q} w[k, c, p, q] x[n, c, i·stride + p - padding, j·stride + q - padding]

    x: (n, c, h, w), w: (k, c, kh, kw), b: (k,) or None, y: (n, k, ho, wo).
    Every window becomes a column of c·kh·kw numbers; then y = w2 cols, where w2 is w as (k, c·kh·kw).
    So gw2 = Σ_n gy colsᵀ, gcols = w2ᵀ gy, and gx adds each column back to the pixels it was read from.
    The columns are kh·kw times as large as x: backward makes them again instead of keeping them.
    """
    shape = check_conv2d(x, w, b, stride, padding)
    y = (w.reshape(len(w), -1) @ _columns(x, w, stride, padding)).reshape(shape)
    return (y if b is None else y + b[:, None, None]), (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w, stride, padding = saved
    n, k, ho, wo = gy.shape
    gy2 = gy.reshape(n, k, ho * wo)
    gx = gw = gb = None
    if needs[0]:
        gcols = w.reshape(k, -1).T @ gy2
        gx = scatter_windows(gcols.reshape(n, *w.shape[1:], ho, wo), x.shape, stride, padding)
    if needs[1]:
        cols = _columns(x, w, stride, padding)
        gw = (gy2 @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    if needs[2]:
        gb = gy.sum(axis=(0, 2, 3))
    return gx, gw, gb


def _columns(x: Array, w: Array, stride: int, padding: int) -> Array:
    """(n, c·kh·kw, ho·wo): a column for every window."""
    _, c, kh, kw = w.shape
    view = windows(pad_images(x, padding), kh, kw, stride)
    return view.reshape(len(x), c * kh * kw, -1)


conv2d = Op(conv2d_forward, conv2d_backward)
