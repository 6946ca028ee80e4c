"""Convolution for the numba backend: where every tap finds its pixel, and the pair that hands this to the loops.

Forward, y is one *part*: its columns are the taps (c, p, q), at a constant offset each in the plane images of x. At
stride s, plane (a, b) of x holds the pixels whose row is a and column is b modulo s; so the pixels under a tap are
neighbours again. Backward, gx falls into s x s parts, by the same phases: a pixel of phase (a, b) was seen through
the taps with p ≡ a and q ≡ b (mod s) alone, and collects gy through them, from neighbours again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minise.backend import Array, Kernel
from minise.kernels.memory import empty
from minise.kernels.numba import correlate as loops
from minise.kernels.numba.parallel import side_by_side
from minise.kernels.numba.tiles import LANES, ROWS, WIDE, whole
from minise.kernels.numba.winograd import suits, winograd, winograd_weights
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import check_conv2d

CHUNKS = 16
"""A batch is cut into this many chunks, whatever the number of threads: gw is their sum in order, bit for bit."""
BLOCK_VECTORS = 64
"""The weight gradient looks at so many vectors of pixels at once: fewer waste a tile's ends, more the L1 cache."""


class Layout(NamedTuple):
    """Plane images: a phase a plane, `border` zeros before the first row and column."""

    stride: int
    border: int
    rows: int
    pitch: int

    def plane(self) -> int:
        return self.rows * self.pitch


class Part(NamedTuple):
    """A part of an output (k, h, w): pixels (top + step i, left + step j), i < rows, j < columns."""

    taps: tuple[Array, Array]  # rows p and columns q of w
    offsets: Array  # of all taps, from the pixel at `start` in a plane image
    start: int
    rows: int
    columns: int
    step: int
    top: int
    left: int


class Correlation(NamedTuple):
    """The parts of an output, as the loops read them."""

    parts: Array  # of each: first and number of its offsets, then of its vectors, rows, columns, step, top and left
    offsets: Array  # int32, of one part after the other, as all that follows
    taps: tuple[tuple[Array, Array], ...]
    x_at: Array  # where the vectors lie in a plane image
    scratch: int  # numbers a channel, for a part that is not written in place


def places(rows: int, columns: int, pitch: int, start: int) -> list[int]:
    """Where the vectors of a part lie in a plane image."""
    return [start + i * pitch + j for i in range(rows) for j in range(0, columns, LANES)]


def correlation(pitch: int, parts: list[Part]) -> Correlation:
    """The tables of some parts, from plane images with rows of `pitch` numbers."""
    x_at = [places(part.rows, part.columns, pitch, part.start) for part in parts]
    sizes = np.array([(part.offsets.size, len(at)) for part, at in zip(parts, x_at, strict=True)])
    spans = np.stack([np.cumsum(sizes, axis=0) - sizes, sizes], axis=-1).reshape(-1, 4)
    return Correlation(
        np.hstack([spans, [part[3:] for part in parts]]),
        np.concatenate([part.offsets.reshape(-1) for part in parts]).astype(np.int32),
        tuple(part.taps for part in parts),
        np.concatenate(x_at),
        max(part.rows * whole(part.columns, LANES) for part in parts),
    )


@lru_cache(maxsize=1024)
def plan_forward(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: int, padding: int
) -> tuple[Layout, Correlation]:
    """x's plane images (c, h, w) and y's one part."""
    (c, h, w), (kh, kw) = x_shape, w_shape[2:]
    ho, wo = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    layout = Layout(stride, padding, ho + (kh - 1) // stride, whole(wo, LANES) + (kw - 1) // stride)
    i, p, q = np.ogrid[:c, :kh, :kw]
    plane = (i * stride + p % stride) * stride + q % stride
    offsets = plane * layout.plane() + p // stride * layout.pitch + q // stride
    return layout, correlation(layout.pitch, [Part((p, q), offsets, 0, ho, wo, 1, 0, 0)])


@lru_cache(maxsize=1024)
def plan_backward(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: int, padding: int
) -> tuple[Layout, Correlation]:
    """gy's plane images (k, ho, wo), bordered by as many zeros as taps may reach back, and gx's parts."""
    (_, h, w), (k, _, kh, kw) = x_shape, w_shape
    ho, wo = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    border = (max(kh, kw) - 1) // stride

    def along(size: int, phase: int) -> tuple[int, int]:
        """The first pixel of a phase, counted in strides from the border's edge, and how many there are."""
        first = -(-(padding - phase) // stride)
        return first, (padding + size - 1 - phase) // stride - first + 1

    spans = [(along(h, a), along(w, b), a, b) for a in range(stride) for b in range(stride)]
    rows = border + max(ho, *(top + count for (top, count), _, _, _ in spans))
    reach = max(left + whole(count, LANES) for _, (left, count), _, _ in spans)
    layout = Layout(1, border, rows, border + max(whole(wo, LANES), reach))
    parts = []
    for (i0, part_rows), (j0, columns), a, b in spans:
        i, p, q = np.ogrid[:k, a:kh:stride, b:kw:stride]
        offsets = i * layout.plane() + (border - p // stride) * layout.pitch + border - q // stride
        at = i0 * layout.pitch + j0, part_rows, columns
        parts.append(Part((p, q), offsets, *at, stride, stride * i0 + a - padding, stride * j0 + b - padding))
    return layout, correlation(layout.pitch, [part for part in parts if part.rows > 0 and part.columns > 0])


@lru_cache(maxsize=1024)
def plan_pixels(
    block: int, c: int, k: int, y_shape: tuple[int, int], layout: Layout, g_layout: Layout
) -> Array:
    """Where each vector of y's pixels has its columns in the planes of x, and itself in gy's: (block, vectors, 2)."""
    image = np.array([c * layout.stride**2 * layout.plane(), k * g_layout.plane()])
    corner = g_layout.border * g_layout.pitch + g_layout.border
    at = np.array([places(*y_shape, layout.pitch, 0), places(*y_shape, g_layout.pitch, corner)]).T
    return (np.arange(block)[:, None, None] * image + at).astype(np.int32, order="C")


def tiles(w: Array, correlation: Correlation) -> Array:
    """The weights (k, m, kh, kw) as the tiles read them: for each part, groups of 4 rows k, (m taps, 4)."""
    groups = -(-len(w) // ROWS)
    row = np.minimum(np.arange(groups * ROWS), len(w) - 1)
    packed = []
    for p, q in correlation.taps:
        rows = w[row][:, :, p[0], q[0]].reshape(groups, ROWS, -1)
        packed.append(rows.transpose(0, 2, 1).reshape(-1))
    return np.concatenate(packed)


def conv2d_supports(x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0) -> bool:
    """Batches in float32; what is wrong with shapes and options is for the reference to say."""
    return (
        x.dtype == w.dtype == np.float32
        and (b is None or b.dtype == np.float32)
        and x.ndim == w.ndim == 4
        and x.shape[1] == w.shape[1]
        and min(x.size, w.size) > 0
        and stride >= 1
        and padding >= 0
        and min(x.shape[2] - w.shape[2], x.shape[3] - w.shape[3]) + 2 * padding >= 0
    )


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.conv2d.conv2d_forward`: by Winograd's algorithm, or without columns where it does not suit."""
    shape = check_conv2d(x, w, b, stride, padding)
    x = np.ascontiguousarray(x)
    fast = suits(x, w, stride, padding)
    y = winograd(x, w) if fast else direct_forward(x, w, shape, stride, padding)
    if b is not None:
        y += b[:, None, None]
    return y, (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.conv2d.conv2d_backward`, likewise."""
    x, w, stride, padding = saved
    gy = np.ascontiguousarray(gy, x.dtype)
    gx: Array | None
    gw: Array | None
    if suits(x, w, stride, padding):
        gx = winograd(gy, w, flipped=True) if needs[0] else None
        gw = winograd_weights(x, gy) if needs[1] else None
    else:
        gx, gw = direct_backward(gy, x, w, stride, padding, needs)
    gb = gy.sum(axis=(0, 2, 3)) if needs[2] else None
    return gx, gw, gb


def direct_forward(x: Array, w: Array, shape: tuple[int, ...], stride: int, padding: int) -> Array:
    """y, of the shape given, as a correlation over taps that are offsets."""
    y = empty(shape, x.dtype)
    layout, way = plan_forward(x.shape[1:], w.shape, stride, padding)
    size = x.shape[1] * stride**2 * layout.plane() + len(w) * way.scratch
    tables = way.parts, way.offsets, tiles(w, way), way.x_at, layout
    side_by_side(loops.forward, len(x), x, y, *tables, memory=size)
    return y


def direct_backward(
    gy: Array, x: Array, w: Array, stride: int, padding: int, needs: Needs
) -> tuple[Array | None, Array | None]:
    """The gradients of x and w, likewise."""
    k, c, kh, kw = w.shape
    layout, seen = plan_forward(x.shape[1:], w.shape, stride, padding)
    g_layout, way = plan_backward(x.shape[1:], w.shape, stride, padding)
    image = c * stride**2 * layout.plane() + k * g_layout.plane()
    vectors = gy.shape[2] * whole(gy.shape[3], LANES) // LANES
    block = max(1, min(BLOCK_VECTORS // vectors, -(-len(x) // CHUNKS)))
    size = block * image + ROWS * WIDE + c * way.scratch
    chunks = min(CHUNKS, len(x))
    gx = empty(x.shape if needs[0] else (0, *x.shape[1:]), x.dtype)
    gw = np.zeros((chunks, k, c * kh * kw if needs[1] else 0), x.dtype)
    flipped = tiles(np.ascontiguousarray(w.transpose(1, 0, 2, 3)), way)
    pixels = plan_pixels(block, c, k, (gy.shape[2], gy.shape[3]), layout, g_layout)
    tables = way.parts, way.offsets, flipped, way.x_at, seen.offsets, pixels, layout, g_layout
    side_by_side(loops.backward, chunks, x, gy, gx, gw, *tables, count=chunks, memory=size)
    return gx if needs[0] else None, gw.sum(axis=0).reshape(w.shape) if needs[1] else None


CONV2D = Kernel(conv2d_forward, conv2d_backward, conv2d_supports)
