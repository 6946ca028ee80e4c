"""Convolution 3 x 3 by Winograd's algorithm F(2 x 2, 3 x 3), for the numba backend: 16 products in place of 36.

y is cut into tiles of 2 x 2; a tile depends on a patch d of 4 x 4 pixels of x. With

    U = G w Gᵀ     V = Bᵀ d B     y = Aᵀ [Σ_c U ⊙ V] A          forward, and the gradient of x with w turned round
    E = A gy Aᵀ                   gw = Gᵀ [Σ_tiles E ⊙ V] G     the gradient of w

        1    0    0             1  0 -1  0            1  1  1  0
    G = 1/2  1/2  1/2      Bᵀ = 0  1  1  0       Aᵀ = 0  1 -1 -1
        1/2 -1/2  1/2           0 -1  1  0
        0    0    1             0  1  0 -1

each of the 16 places of U, V and E is a product of matrices of its own, over channels or over tiles.
The results differ from direct convolution in rounding only: the transforms add and subtract up to 16 numbers.
Source: Lavin and Gray, 2015, arXiv:1509.09308; the gradient of w is the same bilinear form, transposed.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minise.backend import Array
from minise.kernels import numba_winograd_loops as loops
from minise.kernels import numba_winograd_weights as gradient_loops
from minise.kernels.memory import empty
from minise.kernels.numba_tiles import LANES, TALL
from minise.kernels.numba_winograd_loops import K_BLOCK, PLACES
from minise.kernels.threads import crew, scratch, share

V_NUMBERS, TILES = 1 << 17, 96
"""V of a block of tiles, in the L2 cache with its products beside it; more tiles than this gain nothing."""
GRADIENT_NUMBERS, GRADIENT_TILES = 1 << 18, 96
"""V and E of a block of tiles, near the L2 cache; but so many tiles at least, or the ends of its sums cost much."""
CHANNELS = 16
"""With fewer channels the transforms cost more than the products that they save."""
CHUNKS = 16
CHUNK_BYTES = 32 << 20
"""gw is a sum over so many chunks of the batch, whatever the number of threads; fewer if they took more memory."""
LINE = 16
"""Numbers in a line of the cache."""
FEW_FILTERS = 1 << 14
"""So few filters are transformed before another thread is awake."""


def whole(count: int, step: int) -> int:
    """`count` rounded up to a multiple of `step`."""
    return -(-count // step) * step


def suits(x: Array, w: Array, stride: int, padding: int) -> bool:
    """Whether the transforms are worth it: 3 x 3 taps, maps of whole tiles, channels enough to share them."""
    return (
        w.shape[2:] == (3, 3)
        and stride == padding == 1
        and x.shape[2] % 2 == x.shape[3] % 2 == 0
        and min(w.shape[:2]) >= CHANNELS
    )


def apart(numbers: int) -> int:
    """How far apart the 16 places of so many numbers lie: an odd number of lines, or the cache could not hold all."""
    return (-(-numbers // LINE) | 1) * LINE


@lru_cache(maxsize=1024)
def pixel_places(h: int, w: int) -> Array:
    """Where the pixels of an image go whose channels are turned, in rows of w + 2 pixels below a row of zeros."""
    row, column = np.divmod(np.arange(h * w), w)
    return (((row + 1) * (w + 2) + column + 1) * LANES).astype(np.int32)


@lru_cache(maxsize=1024)
def channel_offsets(c: int, length: int) -> Array:
    """Where the channels of V's first tile lie."""
    panel, lane = np.divmod(np.arange(c), LANES)
    return (panel * length * LANES + lane).astype(np.int32)


def planes(rows: int, h: int, w: int) -> int:
    """Numbers in a panel of an image whose channels are turned, for so many rows of tiles as far as one image has."""
    return (2 * min(rows, h // 2) + 2) * (w + 2) * LANES


def winograd(x: Array, w: Array, *, turned: bool = False) -> Array:
    """x (n, c, h, w) convolved with w (k, c, 3, 3), padding 1; turned: gy with w, for the gradient of x."""
    n, c, height, width = x.shape
    k = w.shape[1] if turned else w.shape[0]
    row, column, first, tap = (9, 9 * k, 8, -1) if turned else (9 * c, 9, 0, 1)
    u = empty((whole(k, LANES) * PLACES * c,), x.dtype)
    flat = np.ascontiguousarray(w).reshape(-1)

    def transform(i: int, j: int) -> None:
        loops.transform_weights(flat, i, j, c, row, column, first, tap, u)

    blocks = -(-k // K_BLOCK)
    if k * c < FEW_FILTERS:
        transform(0, blocks)
    else:
        share(transform, blocks)
    tw = width // 2
    wanted = min(TILES, max(4 * TALL, V_NUMBERS // (PLACES * c)))
    rows = max(1, min(wanted // tw, n * height // 2))
    length = whole(rows * tw, TALL)
    steps = apart(whole(c, LANES) * length), apart(K_BLOCK * length)
    size = PLACES * sum(steps) + planes(rows, height, width)
    tables = channel_offsets(c, length), pixel_places(height, width), rows, length, steps
    y = empty((n, k, height, width), x.dtype)

    def part(i: int, j: int) -> None:
        loops.correlate(x[i:j], u, y[i:j], *tables, scratch("planes", (size,), x.dtype))

    share(part, n)
    return y


def winograd_weights(x: Array, gy: Array) -> Array:
    """The gradient of w (k, c, 3, 3) from x (n, c, h, w) and gy (n, k, h, w)."""
    n, c, height, width = x.shape
    k = gy.shape[1]
    shape = (PLACES, whole(k, LANES), whole(c, LANES))
    chunks = min(CHUNKS, n, max(2, CHUNK_BYTES // (4 * math.prod(shape))))
    th, tw = height // 2, width // 2
    wanted = max(GRADIENT_TILES, GRADIENT_NUMBERS // (PLACES * (shape[1] + shape[2])))
    rows = min(-(-wanted // tw), -(-n // chunks) * th)
    steps = apart(shape[2] * rows * tw), apart(shape[1] * rows * tw)
    size = PLACES * sum(steps) + planes(rows, height, width)
    places = pixel_places(height, width)
    gu = empty((chunks, *shape), x.dtype)

    def chunk(i: int) -> None:
        part = slice(i * n // chunks, (i + 1) * n // chunks)
        memory = scratch("planes", (size,), x.dtype)
        gradient_loops.reduce(x[part], gy[part], gu[i], rows, rows * tw, steps, places, memory)

    crew().map(chunk, chunks)
    gw = np.empty((k, c, 3, 3), x.dtype)
    share(lambda i, j: gradient_loops.gather(gu, gw, i, j), k)
    return gw
