"""Convolution on a GPU: how the maps are cut into tiles, and the pair of functions around the kernels.

The sums are those of `src/correlate.cu` (y and the gradient of x) and `src/correlate_weights.cu` (that of w).
Maps may be float16 or float32; weights, bias and their gradients are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import cover, dense, empty_maps, half, is_map_type, launch, nhwc
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import check_conv2d

CORRELATE, CORRELATE_WEIGHTS = "correlate.cu", "correlate_weights.cu"
THREADS = 128
SHARED_LIMIT = 96 * 1024
"""The bytes of shared memory per block that every GPU from compute capability 8.0 on has."""
WEIGHT_BLOCKS = 512
"""How many blocks the gradient of w aims at. A constant, so that no sum depends on the GPU."""
MOST_SUMS = 400
"""How many taps times channels of w a block of its gradient has, at most: the sums stay in registers."""


def up(size: int, multiple: int) -> int:
    """`size`, or the next multiple."""
    return cover(size, multiple) * multiple


def power_of_two(size: int) -> int:
    """`size`, or the next power of two."""
    return 1 << (size - 1).bit_length()


@dataclass(frozen=True)
class Tiles:
    """How maps of y (n, c, h, w) are cut into tiles of `pixels` pixels: images, rows and columns per tile."""

    images: int
    rows: int
    columns: int
    per_image: int

    @classmethod
    def of(cls, h: int, w: int, pixels: int) -> Tiles:
        columns = min(16, power_of_two(w))
        rows = min(pixels // columns, power_of_two(h))
        return cls(pixels // (rows * columns), rows, columns, cover(h, rows) * cover(w, columns))

    def count(self, n: int) -> int:
        """How many tiles n images make."""
        return cover(n, self.images) * self.per_image

    def seen(self, kh: int, kw: int, stride: int) -> int:
        """How many pixels of x a tile of y sees."""
        return self.images * ((self.rows - 1) * stride + kh) * ((self.columns - 1) * stride + kw)

    def constants(self) -> dict[str, int]:
        return {"TILE_N": self.images, "TILE_H": self.rows, "TILE_W": self.columns}


@dataclass(frozen=True)
class Plan:
    """What a block does, and the bytes of shared memory it needs; the sources say what the constants mean."""

    tiles: Tiles
    constants: dict[str, Any]
    shared: int


def plan_correlate(
    size: tuple[int, int], c: int, k: int, kernel: tuple[int, int], stride: int, itemsize: int
) -> Plan | None:
    """128 pixels of y per block, and as many of its channels, and words of channels of x at a time, as fit into
    shared memory; None if even the fewest do not.
    """
    words, tiles = cover(c * itemsize, 4), Tiles.of(*size, pixels=128)
    for nt, chunk in product((32, 16, 8), (16, 8)):
        nt, chunk = min(nt, up(k, 8)), min(chunk, up(words, 8))
        operands = 4 * (chunk + 4) * (tiles.seen(*kernel, stride) + kernel[0] * kernel[1] * nt)
        shared = max(operands, 128 * (nt * itemsize + 16))
        if shared <= SHARED_LIMIT:
            return Plan(tiles, {"NT": nt, "CHUNK": chunk, **tiles.constants()}, shared)
    return None


def plan_weights(
    size: tuple[int, int], c: int, k: int, kernel: tuple[int, int], stride: int, itemsize: int
) -> Plan | None:
    """As many channels of gw per block, and pixels at a time, as fit; None if even the fewest do not."""
    taps = kernel[0] * kernel[1]
    for most, pixels in ((32, 128), (32, 64), (16, 128), (16, 64), (16, 32)):
        kt, ct = (16 if channels <= 16 else most for channels in (k, c))
        tiles = Tiles.of(*size, pixels)
        rows = [padded(channels * itemsize // 4, itemsize) for channels in (kt, ct)]
        shared = 4 * max(pixels * rows[0] + tiles.seen(*kernel, stride) * rows[1], taps * kt * ct)
        if taps * most <= MOST_SUMS and shared <= SHARED_LIMIT:
            return Plan(tiles, {"KT": kt, "CT": ct, **tiles.constants()}, shared)
    return None


def padded(words: int, itemsize: int) -> int:
    """The words from one pixel to the next in the shared memory of `correlate_weights.cu`."""
    if itemsize == 2:
        return words + 4
    return words if words % 16 == 8 else words + 8


def correlate(
    x: Array,
    w: Array,
    b: Array | None,
    size: tuple[int, int],
    *,
    stride: int = 1,
    pad: tuple[int, int],
    dilate: int = 1,
    turned: bool = False,
) -> Array:
    """The sum that `src/correlate.cu` states: x (n, c, h, w), w (k, c, r, s) or, if turned, (c, k, r, s); y is
    (n, k, *size).
    """
    n, c, h, width = x.shape
    k = w.shape[1] if turned else w.shape[0]
    kh, kw = w.shape[2:]
    plan = plan_correlate(size, c, k, (kh, kw), stride, x.itemsize)
    assert plan is not None
    constants = dict(
        HALF=half(x), C=c, K=k, H=h, W=width, HO=size[0], WO=size[1], R=kh, S=kw, STRIDE=stride, PAD_Y=pad[0],
        PAD_X=pad[1], DILATE=dilate, **plan.constants,
    )  # fmt: skip
    nt, chunk = plan.constants["NT"], plan.constants["CHUNK"] * 4 // x.itemsize
    w, b = dense(w, b)
    packed = array_module(x).empty(up(c, chunk) * kh * kw * up(k, nt), x.dtype)
    blocks = cover(packed.size, THREADS)
    launch(CORRELATE, "pack", w, packed, turned, grid=blocks, block=THREADS, **constants)
    y = empty_maps(x, (n, k, *size))
    launch(
        CORRELATE, "correlate", nhwc(x), packed, b, nhwc(y), n, grid=(plan.tiles.count(n), cover(k, nt)),
        block=THREADS, shared=plan.shared, **constants,
    )  # fmt: skip
    return y


def correlate_weights(x: Array, gy: Array, w: Array, *, stride: int, padding: int) -> Array:
    """The gradient of w (k, c, kh, kw), as `src/correlate_weights.cu` states it."""
    k, c, kh, kw = w.shape
    n, _, ho, wo = gy.shape
    plan = plan_weights((ho, wo), c, k, (kh, kw), stride, x.itemsize)
    assert plan is not None
    blocks = cover(k, plan.constants["KT"]), cover(c, plan.constants["CT"])
    shares = max(1, min(plan.tiles.count(n), WEIGHT_BLOCKS // (blocks[0] * blocks[1])))
    parts = array_module(x).empty((shares, *w.shape), np.float32)
    launch(
        CORRELATE_WEIGHTS, "correlate_weights", nhwc(x), nhwc(gy), parts, n, grid=(shares, *blocks),
        block=THREADS, shared=plan.shared, HALF=half(x), C=c, K=k, H=x.shape[2], W=x.shape[3], HO=ho, WO=wo, R=kh,
        S=kw, STRIDE=stride, PAD=padding, **plan.constants,
    )  # fmt: skip
    return parts.sum(axis=0)


def supports(x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0) -> bool:
    """Maps of a type that the kernels know, of shapes for which y and both gradients fit into shared memory."""
    if not (x.ndim == 4 and w.ndim == 4 and is_map_type(x) and x.size > 0 and w.size > 0):
        return False
    if not all(a.dtype == np.float32 for a in (w, b) if a is not None):
        return False
    k, c, kh, kw = w.shape
    h, width, kernel = *x.shape[2:], (kh, kw)
    size = tuple((i + 2 * padding - taps) // max(stride, 1) + 1 for i, taps in ((h, kh), (width, kw)))
    if min(size) < 1:
        return True  # what is wrong is for the pair to say
    plans = (
        plan_correlate(size, c, k, kernel, stride, x.itemsize),
        plan_correlate((h, width), k, c, kernel, 1, x.itemsize),
        plan_weights(size, c, k, kernel, stride, x.itemsize),
    )
    return all(plan is not None for plan in plans)


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.conv2d.conv2d_forward`."""
    ho, wo = check_conv2d(x, w, b, stride, padding)[2:]
    return correlate(x, w, b, (ho, wo), stride=stride, pad=(padding, padding)), (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w, stride, padding = saved
    gy = gy.astype(x.dtype, copy=False)
    gx = gw = gb = None
    if needs[0]:
        pad = (w.shape[2] - 1 - padding, w.shape[3] - 1 - padding)
        gx = correlate(gy, w, None, x.shape[2:], pad=pad, dilate=stride, turned=True)
    if needs[1]:
        gw = correlate_weights(x, gy, w, stride=stride, padding=padding)
    if needs[2]:
        gb = gy.sum(axis=(0, 2, 3), dtype=np.float32)
    return gx, gw, gb


CONV2D = Kernel(conv2d_forward, conv2d_backward, supports)
