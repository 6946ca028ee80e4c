"""Convolution 3 x 3 by Winograd's algorithm, for the numba backend: fewer products, for additions.

F(4 x 4, 3 x 3) cuts y into tiles of 4 x 4 and has 36 products for a tile's 144, F(2 x 2, 3 x 3) 16 for 36. A tile
depends on a patch d of x that is two pixels larger. With

    U = G w Gᵀ     V = Bᵀ d B     y = Aᵀ [Σ_c U ⊙ V] A          forward, and the gradient of x with w turned round
    E = A gy Aᵀ                   gw = Gᵀ [Σ_tiles E ⊙ V] G     the gradient of w

each of the 36 or 16 places of U, V and E is a product of matrices of its own, over channels or over tiles. Along one
axis this multiplies polynomials by their values at 0, some points p and infinity: A's rows are 1 p p² …, G's the same
over Π (p - the other finite points), and Bᵀ's are the coefficients of Π (x - the other finite points).

    F(2 x 2), p = 1, -1           1    0    0             1  0 -1  0            1  1  1  0
                              G = 1/2  1/2  1/2      Bᵀ = 0  1  1  0       Aᵀ = 0  1 -1 -1
                                  1/2 -1/2  1/2           0 -1  1  0
                                  0    0    1             0  1  0 -1

    F(4 x 4), p = ±r/2, ±r        1    0     0            1   0  -5/2   0   1  0
    with r = √2                  -2/3 -r/3  -1/3          0  -r   -2   r/2  1  0         1   1    1    1   1   0
                              G = -2/3  r/3  -1/3     Bᵀ = 0   r   -2  -r/2  1  0    Aᵀ = 0  r/2 -r/2   r  -r   0
                                  1/6  r/6   1/3          0 -r/2 -1/2   r   1  0         0  1/2  1/2   2   2   0
                                  1/6 -r/6   1/3          0  r/2 -1/2  -r   1  0         0  r/4 -r/4  2r -2r   1
                                  0    0     1            0   1    0  -5/2  0  1

(F(2 x 2) has some signs in another matrix, which spares operations). The results differ from direct convolution in
rounding only. How much depends on the points. Of the form ±p, ±1/p they leave many zeros, and with these F(4 x 4) has
at most a third of the error that it has with the usual 0, ±1, ±2.
Sources: Lavin and Gray, 2015, arXiv:1509.09308; the gradient of w is the same bilinear form, transposed. The form of
the points: Alam, Anderson, Barabasz and Gregg, 2022, arXiv:2201.10369.
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
from minise.kernels.numba_winograd_loops import K_PANEL
from minise.kernels.threads import crew, scratch, share

V_NUMBERS, TILES = 1 << 17, 96
"""V of a block of tiles, in the L2 cache with its products beside it; more tiles than this gain nothing."""
FEW_CHANNELS, K_BLOCK = 64, 64
"""With more channels V is more than the L2 cache holds, and is read for so many channels of y at once."""
GRADIENT_NUMBERS, GRADIENT_TILES = 1 << 18, 192
"""V and E of a block of tiles, near the L2 cache; but so many tiles at least, or the ends of its sums cost much."""
CHANNELS = 16
"""With fewer channels the transforms cost more than the products that they save."""
CHUNKS = 16
CHUNK_BYTES = 64 << 20
"""gw is a sum over so many chunks of the batch, whatever the number of threads; fewer if they took more memory."""
LINE = 16
"""Numbers in a line of the cache."""
FEW_FILTERS = 1 << 14
"""So few filters are transformed before another thread is awake."""


def whole(count: int, step: int) -> int:
    """`count` rounded up to a multiple of `step`."""
    return -(-count // step) * step


def tile_size(x: Array, w: Array, stride: int, padding: int) -> int:
    """Of tiles worth their transforms: 4, 2, or 0 for none. They need 3 x 3 taps, channels enough to share the
    transforms, and maps of whole tiles.
    """
    if w.shape[2:] != (3, 3) or stride != 1 or padding != 1 or min(w.shape[:2]) < CHANNELS:
        return 0
    return next((tile for tile in (4, 2) if x.shape[2] % tile == x.shape[3] % tile == 0), 0)


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


def planes(rows: int, tile: int, h: int, w: int) -> int:
    """Numbers in a panel of an image whose channels are turned, for so many rows of tiles as far as one image has."""
    return (tile * min(rows, h // tile) + 2) * (w + 2) * LANES


def winograd(x: Array, w: Array, tile: int, *, turned: bool = False) -> Array:
    """x (n, c, h, w) convolved with w (k, c, 3, 3), padding 1; turned: gy with w, for the gradient of x."""
    n, c, height, width = x.shape
    k = w.shape[1] if turned else w.shape[0]
    places = (tile + 2) ** 2
    row, column, first, tap = (9, 9 * k, 8, -1) if turned else (9 * c, 9, 0, 1)
    u = empty((whole(k, LANES) * places * c,), x.dtype)
    flat = np.ascontiguousarray(w).reshape(-1)

    def transform(i: int, j: int) -> None:
        loops.transform_weights(flat, i, j, tile, c, row, column, first, tap, u)

    blocks = -(-k // K_PANEL)
    if k * c < FEW_FILTERS:
        transform(0, blocks)
    else:
        share(transform, blocks)
    tw = width // tile
    wanted = min(TILES, max(4 * TALL, V_NUMBERS // (places * c)))
    rows = max(1, min(wanted // tw, n * height // tile))
    length = whole(rows * tw, TALL)
    block = K_BLOCK if c > FEW_CHANNELS else K_PANEL
    steps = apart(whole(c, LANES) * length), apart(block * length)
    size = places * sum(steps) + planes(rows, tile, height, width)
    tables = channel_offsets(c, length), pixel_places(height, width), rows, length, block, steps
    y = empty((n, k, height, width), x.dtype)

    def part(i: int, j: int) -> None:
        loops.correlate(x[i:j], u, y[i:j], tile, *tables, scratch("planes", (size,), x.dtype))

    share(part, n)
    return y


def winograd_weights(x: Array, gy: Array, tile: int) -> Array:
    """The gradient of w (k, c, 3, 3) from x (n, c, h, w) and gy (n, k, h, w)."""
    n, c, height, width = x.shape
    k = gy.shape[1]
    places = (tile + 2) ** 2
    shape = (places, whole(k, LANES), whole(c, LANES))
    chunks = min(CHUNKS, n, max(2, CHUNK_BYTES // (4 * math.prod(shape))))
    th, tw = height // tile, width // tile
    wanted = max(GRADIENT_TILES, GRADIENT_NUMBERS // (places * (shape[1] + shape[2])))
    rows = min(-(-wanted // tw), -(-n // chunks) * th)
    steps = apart(shape[2] * rows * tw), apart(shape[1] * rows * tw)
    size = places * sum(steps) + planes(rows, tile, height, width)
    pixels = pixel_places(height, width)
    gu = empty((chunks, *shape), x.dtype)

    def chunk(i: int) -> None:
        part = slice(i * n // chunks, (i + 1) * n // chunks)
        memory = scratch("planes", (size,), x.dtype)
        gradient_loops.reduce(x[part], gy[part], gu[i], tile, pixels, rows, steps, memory)

    crew().map(chunk, chunks)
    gw = np.empty((k, c, 3, 3), x.dtype)
    share(lambda i, j: gradient_loops.gather(gu, gw, tile, i, j), k)
    return gw
