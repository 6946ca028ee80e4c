"""Convolution on a GPU: how the maps are cut into tiles, and the pair of functions around the kernels.

The sums are those of `cuda/correlate.cu` (y and the gradient of x) and `cuda/correlate_weights.cu` (that of w).
Maps may be float16 or float32; weights, bias and their gradients are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels import cuda_moments
from minise.kernels.cuda_launch import cover, dense, empty_maps, half, is_map_type, launch, nhwc
from minise.ops.basic import Gradients, Needs
from minise.ops.conv2d import check_conv2d

PIXELS, THREADS = 128, 128
WARP_PIXELS = PIXELS * 32 // THREADS
SHARES = 256
"""Into how many shares the pixels are cut, at most, for the gradient of w: two for each processor of a large GPU."""
SHARED_LIMIT = 96 * 1024
"""The bytes of shared memory that every GPU of the last years lets a block have."""


def up(size: int, multiple: int) -> int:
    """`size`, or the next multiple."""
    return cover(size, multiple) * multiple


def power_of_two(size: int) -> int:
    """`size`, or the next power of two."""
    return 1 << (size - 1).bit_length()


@dataclass(frozen=True)
class Tiles:
    """How a map (n, c, h, w) is cut into tiles of PIXELS pixels: images, rows and columns of one."""

    images: int
    rows: int
    columns: int
    per_image: int

    @classmethod
    def of(cls, h: int, w: int) -> Tiles:
        columns = min(16, power_of_two(w))
        rows = min(PIXELS // columns, power_of_two(h))
        return cls(PIXELS // (rows * columns), rows, columns, cover(h, rows) * cover(w, columns))

    def count(self, n: int) -> int:
        """How many tiles n images make."""
        return cover(n, self.images) * self.per_image

    def constants(self) -> dict[str, int]:
        return {"TILE_N": self.images, "TILE_H": self.rows, "TILE_W": self.columns}

    def seen(self, kh: int, kw: int, stride: int) -> int:
        """How many pixels of x a tile of y sees."""
        return self.images * ((self.rows - 1) * stride + kh) * ((self.columns - 1) * stride + kw)

    def fit(self, h: int, w: int) -> bool:
        """Whether no tile hangs over, and each warp's pixels are of one image."""
        return h % self.rows == 0 and w % self.columns == 0 and self.rows * self.columns % WARP_PIXELS == 0


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
    ho, wo = size
    per_word = 1 + half(x)
    tiles = Tiles.of(ho, wo)
    nt = min(64, up(k, 8))
    chunk = min(16, up(cover(c, per_word), 8))
    while (bytes_ := 4 * (chunk + 4) * (tiles.seen(kh, kw, stride) + kh * kw * nt)) > SHARED_LIMIT:
        if nt == 8 and chunk == 8:
            break
        nt, chunk = (nt // 2, chunk) if nt > 16 or chunk == 8 else (nt, 8)
        nt = up(nt, 8)
    moments = moments and tiles.fit(ho, wo)
    constants = dict(
        HALF=half(x), C=c, K=k, H=h, W=width, HO=ho, WO=wo, R=kh, S=kw, STRIDE=stride, PAD_Y=pad[0], PAD_X=pad[1],
        DILATE=dilate, NT=nt, CHUNK=chunk, TURNED=int(turned), MOMENTS=int(moments), **tiles.constants(),
    )  # fmt: skip
    xp = array_module(x)
    elements = up(c, chunk * per_word) * kh * kw * up(k, nt)
    packed = xp.empty(elements, x.dtype)
    launch(
        "correlate.cu",
        "pack",
        *dense(w),
        packed,
        grid=(min(256, cover(elements, 256)),),
        block=256,
        constants=constants,
    )
    y = empty_maps(x, (n, k, ho, wo))
    parts = xp.empty((n, tiles.per_image, 2, k), np.float32) if moments else None
    staged = PIXELS * (nt * x.itemsize + 16) + THREADS // 32 * 2 * nt * 4
    launch(
        "correlate.cu", "correlate", nhwc(x), packed, *dense(b), nhwc(y), parts, np.int32(n),
        grid=(tiles.count(n), up(k, nt) // nt), block=THREADS, shared=max(bytes_, staged), constants=constants,
    )  # fmt: skip
    if parts is not None:
        cuda_moments.remember(y, parts)
    return y


def correlate_weights(x: Array, gy: Array, shape: tuple[int, ...], *, stride: int, padding: int) -> Array:
    """The gradient of w (k, c, kh, kw), as `cuda/correlate_weights.cu` states it."""
    k, c, kh, kw = shape
    n, _, ho, wo = gy.shape
    per_word = 1 + half(x)
    tiles = Tiles.of(ho, wo)
    kt, ct = (16 if size <= 16 or kh * kw > 16 else 32 for size in (k, c))
    rows = [words if words % 16 == 8 else words + 8 for words in (kt // per_word, ct // per_word)]
    bytes_ = max(4 * (PIXELS * rows[0] + tiles.seen(kh, kw, stride) * rows[1]), 4 * kh * kw * kt * ct)
    blocks = (up(k, kt) // kt, up(c, ct) // ct)
    shares = max(1, min(tiles.count(n), SHARES // (blocks[0] * blocks[1])))
    constants = dict(
        HALF=half(x), C=c, K=k, H=x.shape[2], W=x.shape[3], HO=ho, WO=wo, R=kh, S=kw, STRIDE=stride, PAD=padding,
        KT=kt, CT=ct, **tiles.constants(),
    )  # fmt: skip
    xp = array_module(x)
    parts = xp.empty((shares, kh * kw, k, c), np.float32)
    file = "correlate_weights.cu"
    launch(
        file, "correlate_weights", nhwc(x), nhwc(gy), parts, np.int32(n),
        grid=(shares, *blocks), block=THREADS, shared=bytes_, constants=constants,
    )  # fmt: skip
    gw = xp.empty(shape, np.float32)
    launch(
        file,
        "add_shares",
        parts,
        gw,
        np.int32(shares),
        grid=(cover(gw.size, 128),),
        block=128,
        constants=constants,
    )
    return gw


def supports(x: Array, w: Array, b: Array | None = None, **options: Any) -> bool:
    """Maps of a type that the kernels know, and kernels of a size whose taps fit into shared memory."""
    return (
        x.ndim == 4
        and w.ndim == 4
        and is_map_type(x)
        and x.size > 0
        and all(a.dtype == np.float32 for a in (w, b) if a is not None)
        and w.shape[2] * w.shape[3] <= 25
        and options.get("stride", 1) <= 4
    )


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, stride: int = 1, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.conv2d.conv2d_forward`."""
    ho, wo = check_conv2d(x, w, b, stride, padding)[2:]
    y = correlate(x, w, b, (ho, wo), stride=stride, pad=(padding, padding), moments=True)
    return y, (x, w, stride, padding)


def conv2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w, stride, padding = saved
    gy = gy.astype(x.dtype, copy=False)
    kh, kw = w.shape[2:]
    gx = gw = None
    if needs[0]:
        pad = (kh - 1 - padding, kw - 1 - padding)
        gx = correlate(gy, w, None, x.shape[2:], pad=pad, dilate=stride, turned=True)
    if needs[1]:
        gw = correlate_weights(x, gy, w.shape, stride=stride, padding=padding)
    gb = gy.sum(axis=(0, 2, 3), dtype=np.float32) if len(needs) > 2 and needs[2] else None
    return (gx, gw, gb)[: len(needs)]


CONV2D = Kernel(conv2d_forward, conv2d_backward, supports)
