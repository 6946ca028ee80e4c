"""Convolution 3 x 3 by Winograd's algorithm, for the numba backend: additions in the place of most of its products.

F(4 x 4, 3 x 3) cuts y into tiles of 4 x 4 and has 36 products for a tile's 144. A tile depends on a patch d of x that
is two pixels larger. With

    U = G w Gᵀ     V = Bᵀ d B     y = Aᵀ [Σ_c U ⊙ V] A          forward, and the gradient of x with w flipped
    E = A gy Aᵀ                   gw = Gᵀ [Σ_tiles E ⊙ V] G     the gradient of w

each of the 36 places of U, V and E is a product of matrices of its own, over channels or over tiles. Along an
axis this multiplies polynomials by way of their values at 0, at pairs of points ±p and at infinity. At a finite point
A's row is 1 p p² …, G's the same over Π (p - another finite point), and Bᵀ's holds the coefficients of
Π (x - another finite point). At infinity A and G take the last coefficient, and Bᵀ those of Π (x - a finite point).

    F(4 x 4), p = ±r/2, ±r        1    0     0            1   0  -5/2   0   1  0
    with r = √2                  -2/3 -r/3  -1/3          0  -r   -2   r/2  1  0         1   1    1    1   1   0
                              G = -2/3  r/3  -1/3     Bᵀ = 0   r   -2  -r/2  1  0    Aᵀ = 0  r/2 -r/2   r  -r   0
                                  1/6  r/6   1/3          0 -r/2 -1/2   r   1  0         0  1/2  1/2   2   2   0
                                  1/6 -r/6   1/3          0  r/2 -1/2  -r   1  0         0  r/4 -r/4  2r -2r   1
                                  0    0     1            0   1    0  -5/2  0  1

The results differ from direct convolution in
rounding only, and how much depends on the points: beside ±p, ±1/p makes the product of all of them 1 and the matrices
small, and F(4 x 4) has about a quarter of the error that it has with the usual 0, ±1, ±2. What is not a number
or infinite spoils the whole tile.
Sources: Lavin and Gray, 2015, arXiv:1509.09308; the gradient of w is the same bilinear form, transposed. The form of
the points: Alam, Anderson, Barabasz and Gregg, 2022, arXiv:2201.10369.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minise.backend import Array
from minise.kernels.memory import empty
from minise.kernels.numba import winograd_loops as loops
from minise.kernels.numba.parallel import side_by_side
from minise.kernels.numba.tiles import LANES, TALL, whole
from minise.kernels.numba.transforms import PLACES, TILE
from minise.kernels.numba.winograd_loops import K_TILE
from minise.kernels.threads import scratch

CHANNELS = 16
"""With fewer channels the transforms cost more than the products that they save."""
FILTERS = 1 << 20
"""Of more filters, the gradient, 36 numbers of each in several chunks, takes too much memory."""
V_NUMBERS, TILES = 1 << 17, 96
"""V of a block of tiles, in the L2 cache with its products beside it; more tiles than this gain nothing."""
PART_TILES = 48
"""What a thread takes at a time: fewer tiles, and the ends of the products cost more than a fair share gains."""
FEW_CHANNELS, MANY_OUTPUTS = 64, 64
"""Of more channels, V is read for so many channels of y at once: then fewer passes over it pay for their size."""
GRADIENT_NUMBERS, GRADIENT_TILES = 1 << 18, 192
"""V and E of a block of tiles, near the L2 cache; but so many tiles at least, or the ends of its sums cost much."""
CHUNKS = 16
CHUNK_BYTES = 64 << 20
"""gw is a sum over so many chunks of the batch, whatever the number of threads; at least 2, if they took more."""
LINE = 16
"""Numbers in a line of the cache."""
PART_FILTERS = 1 << 13
"""What a thread takes at a time of the weights: fewer filters are transformed before another thread is awake."""


def suits(x: Array, w: Array, stride: int, padding: int) -> bool:
    """Whether it pays: for 3 x 3 taps, channels enough to share the transforms, and maps of whole tiles."""
    k, c, *taps = w.shape
    whole_tiles = x.shape[2] % TILE == x.shape[3] % TILE == 0
    shape = (*taps, stride, padding) == (3, 3, 1, 1) and whole_tiles
    return shape and min(k, c) >= CHANNELS and k * c <= FILTERS


def apart(numbers: int) -> int:
    """How far apart the places, so many numbers each, lie: an odd number of lines.

    They are written side by side. At a power of two they would share few sets of the L1 cache and evict one another.
    """
    return (-(-numbers // LINE) | 1) * LINE


@lru_cache(maxsize=1024)
def pixel_places(rows: int, w: int) -> Array:
    """Where the pixels of some rows go when their channels are laid side by side, in rows with a pixel more at both
    ends.
    """
    row, column = np.divmod(np.arange(rows * w), w)
    return ((row * (w + 2) + column + 1) * LANES).astype(np.int32)


def winograd(x: Array, w: Array, *, flipped: bool = False) -> Array:
    """x (n, c, h, w) convolved with w (k, c, 3, 3), padding 1; flipped: gy with w, for the gradient of x."""
    n, c, height, width = x.shape
    w = np.ascontiguousarray(w)
    if flipped:
        w = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    k = len(w)
    th, tw = height // TILE, width // TILE
    sixteens, u_step = -(-k // K_TILE), apart(K_TILE * c)
    u = scratch("weights", (sixteens * PLACES * u_step,), x.dtype)
    least = -(-PART_FILTERS // (K_TILE * c))
    side_by_side(loops.transform_weights, sixteens, w, u, u_step, least=least)
    wanted = min(TILES, max(4 * TALL, V_NUMBERS // (PLACES * c)))
    rows = max(1, min(wanted // tw, n * th))
    length = whole(rows * tw, TALL)
    k_step = MANY_OUTPUTS if c > FEW_CHANNELS else K_TILE
    steps = u_step, apart(whole(c, LANES) * length), apart(k_step * length)
    strip = TILE * min(rows, th) + 2
    size = PLACES * (steps[1] + steps[2]) + strip * (width + 2) * LANES
    y = empty((n, k, height, width), x.dtype)
    arguments = x, u, y, pixel_places(strip, width), rows, length, k_step, steps
    side_by_side(loops.correlate, n, *arguments, least=-(-PART_TILES // (th * tw)), memory=size)
    return y


def winograd_weights(x: Array, gy: Array) -> Array:
    """The gradient of w (k, c, 3, 3) from x (n, c, h, w) and gy (n, k, h, w)."""
    n, c, height, width = x.shape
    k = gy.shape[1]
    th, tw = height // TILE, width // TILE
    shape = (PLACES, whole(k, LANES), whole(c, LANES))
    chunks = min(CHUNKS, n, max(2, CHUNK_BYTES // (4 * math.prod(shape))))
    wanted = max(GRADIENT_TILES, GRADIENT_NUMBERS // (PLACES * (shape[1] + shape[2])))
    rows = min(-(-wanted // tw), -(-n // chunks) * th)
    steps = apart(shape[2] * rows * tw), apart(shape[1] * rows * tw)
    strip = TILE * min(rows, th) + 2
    size = PLACES * sum(steps) + strip * (width + 2) * LANES
    gu = scratch("chunks", (chunks, *shape), x.dtype)
    arguments = x, gy, gu, pixel_places(strip, width), rows, steps
    side_by_side(loops.reduce, chunks, *arguments, count=chunks, memory=size)
    gw = np.empty((k, c, 3, 3), x.dtype)
    side_by_side(loops.gather, k, gu, gw)
    return gw
