"""Convolution on a GPU: how the maps are cut into tiles, and the pair of functions around the kernels.

The sums are those of `cuda/correlate.cu` (y and the gradient of x) and `cuda/correlate_weights.cu` (that of w).
Maps may be float16 or float32; weights, bias and their gradients are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda import cudnn as cuda_cudnn
from minise.kernels.cuda import moments as cuda_moments
from minise.kernels.cuda import side_stream as cuda_aside
from minise.kernels.cuda.launch import cover, dense, empty_maps, half, is_map_type, launch, nhwc
from minise.kernels.cuda.weights import STRAIGHT, TURNED, Layout, packed_weights
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import check_conv2d

PIXELS, THREADS = 128, 128
WIDE_PIXELS, WIDE_CHANNELS = 256, 64
"""With float16 and so many channels on both sides a block has so many pixels, and one of the gradient of w has
64 x 32 channels. A warp's tile is then twice as large, for which it reads two thirds as much a product from shared
memory, and fewer blocks read the same weights or pixels."""
PROCESSORS = 128
"""About those of a large GPU: so many blocks should there be. A constant, so that no sum depends on the GPU."""
SHARES = 4 * PROCESSORS
"""Into how many shares the pixels are cut, at most, for the gradient of w."""
ADD_ROWS = 32
"""The most rows of threads that add the shares up."""
SHARED_LIMIT = 96 * 1024
"""The bytes of shared memory that every GPU of the last years lets a block have."""
STAGES = 2
"""For how many loads there is room, at most: with two, one is under way while the other is multiplied."""


def up(size: int, multiple: int) -> int:
    """`size`, or the next multiple."""
    return cover(size, multiple) * multiple


def power_of_two(size: int) -> int:
    """`size`, or the next power of two."""
    return 1 << (size - 1).bit_length()


def padded(words: int, itemsize: int) -> int:
    """The words from one pixel to the next in the shared memory of `correlate_weights.cu`."""
    if itemsize == 2:
        return words + 4
    return words if words % 16 == 8 else words + 8


@dataclass(frozen=True)
class Tiles:
    """How a map (n, c, h, w) is cut into tiles: images, rows and columns of one."""

    images: int
    rows: int
    columns: int
    per_image: int

    @classmethod
    def of(cls, h: int, w: int, pixels: int = PIXELS) -> Tiles:
        columns = min(16, power_of_two(w))
        rows = min(pixels // columns, power_of_two(h))
        return cls(pixels // (rows * columns), rows, columns, cover(h, rows) * cover(w, columns))

    def count(self, n: int) -> int:
        """How many tiles n images make."""
        return cover(n, self.images) * self.per_image

    def covers(self, n: int) -> int:
        """How many pixels these have, with those that hang over."""
        return self.count(n) * self.pixels

    @property
    def pixels(self) -> int:
        return self.images * self.rows * self.columns

    def constants(self) -> dict[str, int]:
        return {"TILE_N": self.images, "TILE_H": self.rows, "TILE_W": self.columns}

    def seen(self, kh: int, kw: int, stride: int) -> int:
        """How many pixels of x a tile of y sees."""
        return self.images * ((self.rows - 1) * stride + kh) * ((self.columns - 1) * stride + kw)

    def fit(self, h: int, w: int) -> bool:
        """Whether no tile hangs over, and each warp's pixels are of one image."""
        warp_pixels = self.pixels * 32 // THREADS
        return h % self.rows == 0 and w % self.columns == 0 and self.rows * self.columns % warp_pixels == 0


@dataclass(frozen=True)
class Plan:
    """What a block does, and the bytes of shared memory it needs; what the constants mean stands in the sources."""

    tiles: Tiles
    constants: dict[str, int]
    shared: int


def plan_correlate(
    n: int, size: tuple[int, int], c: int, k: int, kernel: tuple[int, int], stride: int, itemsize: int
) -> Plan | None:
    """Pixels and channels of y a block, up to 256 and 64 as long as there are blocks for all processors, and words of
    channels of x at a time, as many as fit twice, if not all do; None if even the fewest do not fit once.
    """
    taps, words = kernel[0] * kernel[1], cover(c * itemsize, 4)
    tiles, wide = Tiles.of(*size), Tiles.of(*size, WIDE_PIXELS)
    most = next((nt for nt in (64, 32) if tiles.count(n) * cover(k, nt) >= PROCESSORS), 16)
    enough = wide.count(n) * cover(k, 64) >= 2 * PROCESSORS and wide.covers(n) == tiles.covers(n)
    first = [wide] if itemsize == 2 and min(c, k) >= WIDE_CHANNELS and enough else []
    options = [
        *((of, nt, chunk, STAGES) for of in (*first, tiles) for nt in (64, 32) for chunk in (16, 8)),
        *((tiles, nt, 8, 1) for nt in (64, 32, 16, 8)),
    ]
    for of, nt, chunk, stages in options:
        nt, chunk = min(nt, most, up(k, 8)), min(chunk, up(words, 8))
        stages = min(stages, cover(words, chunk))
        operands = 4 * stages * (chunk + 4) * (of.seen(*kernel, stride) + taps * nt)
        result = of.pixels * (nt * itemsize + 16) + THREADS // 32 * 2 * nt * 4
        if max(operands, result) <= SHARED_LIMIT:
            constants = {"NT": nt, "CHUNK": chunk, "STAGES": stages, **of.constants()}
            return Plan(of, constants, max(operands, result))
    return None


def plan_weights(
    n: int, size: tuple[int, int], c: int, k: int, kernel: tuple[int, int], stride: int, itemsize: int
) -> Plan | None:
    """As many channels of gw a block, and pixels at a time, as fit, or fit twice; None if even the fewest do not."""
    taps = kernel[0] * kernel[1]
    tiles = Tiles.of(*size)
    options = [(1, 32, 128), (1, 32, 64), (1, 16, 128), (1, 16, 64), (1, 16, 32)]
    enough = tiles.count(n) * cover(k, 64) * cover(c, 32) >= 4 * PROCESSORS
    if itemsize == 2 and min(c, k) >= WIDE_CHANNELS and taps <= 9 and enough:
        options.insert(0, (2, 32, 128))
    for warp_k, most, pixels in options:
        if taps * most > 400:
            continue  # the sums would not stay in registers
        tiles = Tiles.of(*size, pixels)
        kt, ct = (16 if channels <= 16 else most for channels in (k, c))
        kt *= warp_k
        rows = [padded(channels * itemsize // 4, itemsize) for channels in (kt, ct)]
        operands = 4 * (pixels * rows[0] + tiles.seen(*kernel, stride) * rows[1])
        for stages in (STAGES, 1):
            shared = max(stages * operands, 4 * taps * kt * ct)
            if shared <= SHARED_LIMIT:
                constants = {"KT": kt, "CT": ct, "WARP_K": warp_k, "STAGES": stages, **tiles.constants()}
                return Plan(tiles, constants, shared)
    return None


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
    moments: bool = False,
) -> Array:
    """The sum that `cuda/correlate.cu` states: x (n, c, h, w), w (k, c, r, s) or, if turned, (c, k, r, s); y is
    (n, k, *size). moments: leave those of y's planes for the batch norm that may follow.
    """
    n, c, h, width = x.shape
    k = w.shape[1] if turned else w.shape[0]
    kh, kw = w.shape[2:]
    plan = plan_correlate(n, size, c, k, (kh, kw), stride, x.itemsize)
    assert plan is not None
    moments = moments and plan.tiles.fit(*size)
    constants = dict(
        HALF=half(x), C=c, K=k, H=h, W=width, HO=size[0], WO=size[1], R=kh, S=kw, STRIDE=stride, PAD_Y=pad[0],
        PAD_X=pad[1], DILATE=dilate, MOMENTS=int(moments), **plan.constants,
    )  # fmt: skip
    xp = array_module(x)
    file, nt = "correlate.cu", plan.constants["NT"]
    layout = Layout(
        c, k, kh * kw, up(k, nt), plan.constants["CHUNK"] * 4 // x.itemsize, TURNED if turned else STRAIGHT
    )
    packed = packed_weights(w, layout, x.dtype)
    y = empty_maps(x, (n, k, *size))
    parts = xp.empty((n, plan.tiles.per_image, 2, k), np.float32) if moments else None
    launch(
        file, "correlate", nhwc(x), packed, *dense(b), nhwc(y), parts, np.int32(n),
        grid=(plan.tiles.count(n), cover(k, nt)), block=THREADS, shared=plan.shared, constants=constants,
    )  # fmt: skip
    if parts is not None:
        cuda_moments.remember(y, parts)
    return y


def correlate_weights(x: Array, gy: Array, w: Array, *, stride: int, padding: int) -> Array:
    """The gradient of w (k, c, kh, kw), as `cuda/correlate_weights.cu` states it."""
    k, c, kh, kw = w.shape
    n, _, ho, wo = gy.shape
    plan = plan_weights(n, (ho, wo), c, k, (kh, kw), stride, x.itemsize)
    assert plan is not None
    blocks = cover(k, plan.constants["KT"]), cover(c, plan.constants["CT"])
    shares = max(1, min(plan.tiles.count(n), SHARES // (blocks[0] * blocks[1] * plan.constants["WARP_K"])))
    rows = min(ADD_ROWS, power_of_two(shares))
    constants = dict(
        HALF=half(x), C=c, K=k, H=x.shape[2], W=x.shape[3], HO=ho, WO=wo, R=kh, S=kw, STRIDE=stride, PAD=padding,
        ADD_ROWS=rows, **plan.constants,
    )  # fmt: skip
    xp = array_module(x)
    parts, gw = xp.empty((shares, kh * kw, k, c), np.float32), xp.empty(w.shape, np.float32)
    x, gy = nhwc(x), nhwc(gy)
    file = "correlate_weights.cu"
    with cuda_aside.gradient_of(w, gw, x, gy, parts):
        launch(
            file, "correlate_weights", x, gy, parts, np.int32(n),
            grid=(shares, *blocks), block=THREADS, shared=plan.shared, constants=constants,
        )  # fmt: skip
        launch(
            file, "add_shares", parts, gw, np.int32(shares),
            grid=(cover(gw.size, 32),), block=32 * rows, constants=constants,
        )  # fmt: skip
    return gw


def supports(x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0) -> bool:
    """Maps of a type that the kernels know, of shapes for which y and both gradients fit into shared memory."""
    if not (x.ndim == 4 and w.ndim == 4 and is_map_type(x) and x.size > 0 and w.size > 0):
        return False
    if not all(a.dtype == np.float32 for a in (w, b) if a is not None):
        return False
    k, c, kh, kw = w.shape
    size = tuple(
        (i + 2 * padding - taps) // max(stride, 1) + 1 for i, taps in zip(x.shape[2:], (kh, kw), strict=True)
    )
    if min(size) < 1:
        return True  # what is wrong is for the pair to say
    kernel = (kh, kw)
    plans = (
        plan_correlate(len(x), size, c, k, kernel, stride, x.itemsize),
        plan_correlate(len(x), x.shape[2:], k, c, kernel, 1, x.itemsize),
        plan_weights(len(x), size, c, k, kernel, stride, x.itemsize),
    )
    return all(plan is not None for plan in plans)


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.conv2d.conv2d_forward`."""
    ho, wo = check_conv2d(x, w, b, stride, padding)[2:]
    y = cuda_cudnn.forward(x, w, (ho, wo), stride, padding) if b is None else None
    if y is None:
        y = correlate(x, w, b, (ho, wo), stride=stride, pad=(padding, padding), moments=True)
    return y, (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w, stride, padding = saved
    gy = gy.astype(x.dtype, copy=False)
    kh, kw = w.shape[2:]
    gx = gw = None
    if needs[1]:  # first, since it may run beside what follows
        gw = cuda_cudnn.gradient_of_w(x, gy, w, stride, padding)
        if gw is None:
            gw = correlate_weights(x, gy, w, stride=stride, padding=padding)
    if needs[0]:
        gx = cuda_cudnn.gradient_of_x(gy, w, x.shape, stride, padding)
        if gx is None:
            pad = (kh - 1 - padding, kw - 1 - padding)
            gx = correlate(gy, w, None, x.shape[2:], pad=pad, dilate=stride, turned=True)
    gb = gy.sum(axis=(0, 2, 3), dtype=np.float32) if len(needs) > 2 and needs[2] else None
    return (gx, gw, gb)[: len(needs)]


CONV2D = Kernel(conv2d_forward, conv2d_backward, supports)
