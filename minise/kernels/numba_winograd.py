"""Convolution 3 x 3 by Winograd's algorithm F(2 x 2, 3 x 3), for the numba backend: 16 products in place of 36.

y is cut into tiles of 2 x 2; a tile depends on a patch d of 4 x 4 pixels of x. With

    U = G w Gᵀ     V = Bᵀ d B     y = Aᵀ [Σ_c U ⊙ V] A          forward, and the gradient of x with w turned round
    E = A gy Aᵀ                   gw = Gᵀ [Σ_tiles E ⊙ V] G     the gradient of w

        1    0    0             1  0 -1  0            1  1  1  0
    G = 1/2  1/2  1/2      Bᵀ = 0  1  1  0       Aᵀ = 0  1 -1 -1
        1/2 -1/2  1/2           0 -1  1  0
        0    0    1             0  1  0 -1

each of the 16 places of U, V and E is a product of matrices of its own, over channels or over tiles. V is laid out as
(16, channels, tiles), so that a vector holds eight tiles. For neighbouring tiles to be neighbours in memory too, a
channel is first split by the parity of its rows and columns: its phase planes.
The results differ from direct convolution in rounding only: the transforms add and subtract up to 16 numbers.
Source: Lavin and Gray, 2015, arXiv:1509.09308; the gradient of w is the same bilinear form, transposed.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.backend import Array
from minise.kernels.memory import empty
from minise.kernels.numba_tiles import LANES, ROWS, WIDE, tile_of_1, tile_of_2, tile_of_3
from minise.kernels.numba_transforms import back_tile, dot_tile, gradient_tile, patch_tile, split
from minise.kernels.threads import crew, scratch, share

PLACES = 16
K_BLOCK = 16
"""Output channels whose products wait in the cache for the transform back."""
C_BLOCK = 24
"""Channels of V that stay in the L1 cache while the gradient of w runs over all channels of E."""
V_NUMBERS = 65536
"""V of a block of tiles, in the L2 cache, with its products beside it."""
GRADIENT_NUMBERS = 1 << 20
"""V and E of a block of tiles, in the L3 cache: the longer its sums, the less their ends cost."""
CHANNELS = 24
"""With fewer channels the transforms cost more than the products that they save."""
CHUNKS = 16
CHUNK_BYTES = 32 << 20
"""gw is a sum over so many chunks of the batch, whatever the number of threads; fewer if they took more memory."""

loop = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(cache=True, error_model="numpy")


def whole(count: int, step: int) -> int:
    """`count` rounded up to a multiple of `step`."""
    return -(-count // step) * step


@inner
def lay_out(image, top, count, planes, pitch):
    """The phase planes of one channel (h, w) for `count` rows of tiles from `top` on.

    With a border of one zero around the image, pixel (2 r + a, 2 j + b) goes to plane (a, b) at (r, j).
    """
    h, w = image.shape
    plane = (count + 1) * pitch
    for r in range(count + 1):
        for a in range(2):
            odd = planes[2 * a * plane + r * pitch :]
            even = planes[(2 * a + 1) * plane + r * pitch :]
            row = 2 * (top + r) + a - 1
            if 0 <= row < h:
                pixels = image[row]
                for j in range(0, w // LANES * LANES, LANES):
                    split(
                        pixels.ctypes.data + 4 * j, even.ctypes.data + 2 * j, odd.ctypes.data + 2 * j + 4
                    )
                for j in range(w // LANES * (LANES // 2), w // 2):
                    even[j] = pixels[2 * j]
                    odd[j + 1] = pixels[2 * j + 1]
            else:
                even[: w // 2] = 0
                odd[: w // 2 + 1] = 0
            odd[0] = 0
            even[w // 2] = 0


@inner
def transform(image, top, count, planes, pitch, patches, v, stride, gradients, e, e_stride):
    """V of `count` rows of tiles of one channel, if `patches`, and E of them, if `gradients`.

    Rows follow one another without a gap: what a vector writes past its row's end is written over by the next.
    """
    lay_out(image, top, count, planes, pitch)
    tw = image.shape[1] // 2
    for i in range(count):
        for j in range(0, tw, LANES):
            at = planes.ctypes.data + 4 * (i * pitch + j)
            place = 4 * (i * tw + j)
            if patches:
                patch_tile(at, (count + 1) * pitch, pitch, v.ctypes.data + place, stride)
            if gradients:
                gradient_tile(at, (count + 1) * pitch, pitch, e.ctypes.data + place, e_stride)


@inner
def transform_block(x, start, stop, planes, pitch, v, length, patches):
    """V (16, c, length), or E, of the rows of tiles from `start` to `stop`, counted through all images."""
    _, c, h, w = x.shape
    th, tw = h // 2, w // 2
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for channel in range(c):
            target = v[channel * length + at :]
            image = x[row // th, channel]
            transform(
                image, top, count, planes, pitch, patches, target, c * length, not patches, target, c * length
            )
        at += count * tw
        row += count


@inner
def transform_back(m, length, y, channel, start, stop, rows):
    """One channel of y, for the rows of tiles from `start` to `stop`, from its products m (16, length)."""
    h, w = y.shape[2:]
    th, tw = h // 2, w // 2
    direct = tw % LANES == 0
    pitch = w if direct else -(-tw // LANES) * 2 * LANES
    for row in range(start, stop):
        image = y[row // th, channel]
        top = 2 * (row % th)
        target = image[top] if direct else rows
        for j in range(0, tw, LANES):
            at = 4 * ((row - start) * tw + j)
            back_tile(m.ctypes.data + at, length, target.ctypes.data + 8 * j, pitch)
        if not direct:
            for i in range(2):
                pixels, own = image[top + i], rows[i * pitch :]
                for j in range(w):
                    pixels[j] = own[j]


@inner
def products(v, length, vectors, offsets, weights, m, groups):
    """m (4 groups rows, 16, length) = Σ_c U V for each place."""
    c = len(offsets)
    for place in range(PLACES):
        x = v[place * c * length :].ctypes.data
        for group in range(groups):
            w = weights[(group * PLACES + place) * c * ROWS :].ctypes.data
            first = group * ROWS * PLACES + place
            y_row = (
                first * length,
                (first + PLACES) * length,
                (first + 2 * PLACES) * length,
                (first + 3 * PLACES) * length,
            )
            i = 0
            while i < vectors:
                at, rest = i * LANES, vectors - i
                if rest == 3 or rest > 4:
                    three = (at, at + LANES, at + 2 * LANES)
                    tile_of_3(x, offsets.ctypes.data, c, w, m.ctypes.data, three, y_row, at)
                    i += 3
                elif rest > 1:
                    tile_of_2(x, offsets.ctypes.data, c, w, m.ctypes.data, (at, at + LANES), y_row, at)
                    i += 2
                else:
                    tile_of_1(x, offsets.ctypes.data, c, w, m.ctypes.data, (at,), y_row, at)
                    i += 1


@loop
def correlate(x, weights, y, offsets, rows, length, pitch, memory):
    """y (n, k, h, w) from x (n, c, h, w) and U, `rows` rows of tiles at a time. memory: scratch numbers."""
    n, c, h, w = x.shape
    k = y.shape[1]
    v, rest = memory[: PLACES * c * length], memory[PLACES * c * length :]
    m, rest = rest[: K_BLOCK * PLACES * length], rest[K_BLOCK * PLACES * length :]
    two_rows, planes = rest[: 4 * pitch], rest[4 * pitch :]
    for start in range(0, n * (h // 2), rows):
        stop = min(start + rows, n * (h // 2))
        transform_block(x, start, stop, planes, pitch, v, length, True)
        vectors = -(-(stop - start) * (w // 2) // LANES)
        for first in range(0, k, K_BLOCK):
            count = min(K_BLOCK, k - first)
            own = weights[first // ROWS * PLACES * c * ROWS :]
            products(v, length, vectors, offsets, own, m, -(-count // ROWS))
            for i in range(count):
                transform_back(m[i * PLACES * length :], length, y, first + i, start, stop, two_rows)


@loop
def reduce(x, gy, gu, rows, length, pitch, memory):
    """gu (16, c3, k4) = Σ over tiles of E times V for each place; c3, k4: whole threes of c and fours of k."""
    n, c, h, w = x.shape
    k = gy.shape[1]
    v, rest = memory[: PLACES * c * length], memory[PLACES * c * length :]
    e, planes = rest[: PLACES * k * length], rest[PLACES * k * length :]
    gu[:] = 0
    for start in range(0, n * (h // 2), rows):
        stop = min(start + rows, n * (h // 2))
        transform_block(x, start, stop, planes, pitch, v, length, True)
        transform_block(gy, start, stop, planes, pitch, e, length, False)
        tiles = (stop - start) * (w // 2)
        vectors = -(-tiles // LANES)
        if tiles % LANES:
            for i in range(PLACES * c):
                v[i * length + tiles : i * length + vectors * LANES] = 0
            for i in range(PLACES * k):
                e[i * length + tiles : i * length + vectors * LANES] = 0
        for place in range(PLACES):
            xs = v[place * c * length :].ctypes.data
            gs = e[place * k * length :].ctypes.data
            for block in range(0, c, C_BLOCK):
                for r in range(0, k, ROWS):
                    g_at = (
                        r * length,
                        min(r + 1, k - 1) * length,
                        min(r + 2, k - 1) * length,
                        min(r + 3, k - 1) * length,
                    )
                    for i in range(block, min(block + C_BLOCK, c), WIDE):
                        x_at = (i * length, min(i + 1, c - 1) * length, min(i + 2, c - 1) * length)
                        target = gu[place, i, r:].ctypes.data
                        dot_tile(xs, x_at, gs, g_at, vectors, target, gu.shape[2])


@loop
def transform_weights(w, start, stop, columns, row_step, column_step, first, tap_step, weights):
    """U, for groups start … stop of 4 rows, as the tiles read it: (groups, 16, columns, 4).

    Tap t of row r and column c is w[r row_step + c column_step + first + t tap_step]; rows past the last are 0.
    """
    half = np.float32(0.5)
    rows = len(w) // (9 * columns)
    g = np.empty((3, 3), np.float32)
    t = np.empty((4, 3), np.float32)
    for group in range(start, stop):
        own = weights[group * PLACES * columns * ROWS :]
        for r in range(ROWS):
            row = group * ROWS + r
            for c in range(columns):
                for p in range(3):
                    for q in range(3):
                        at = row * row_step + c * column_step + first + (3 * p + q) * tap_step
                        g[p, q] = w[at] if row < rows else 0
                for q in range(3):
                    outer = g[0, q] + g[2, q]
                    t[0, q] = g[0, q]
                    t[1, q] = half * (outer + g[1, q])
                    t[2, q] = half * (outer - g[1, q])
                    t[3, q] = g[2, q]
                for p in range(4):
                    outer = t[p, 0] + t[p, 2]
                    at = c * ROWS + r
                    step = columns * ROWS
                    own[4 * p * step + at] = t[p, 0]
                    own[(4 * p + 1) * step + at] = half * (outer + t[p, 1])
                    own[(4 * p + 2) * step + at] = half * (outer - t[p, 1])
                    own[(4 * p + 3) * step + at] = t[p, 2]


@loop
def gather_weights(gu, gw, start, stop):
    """gw (k, c, 3, 3) = Gᵀ [Σ over chunks of gu (chunks, 16, c3, k4)] G, for channels start … stop of x."""
    half = np.float32(0.5)
    k = len(gw)
    u = np.empty((PLACES, gu.shape[3]), np.float32)
    t = np.empty((3, 4), np.float32)
    for c in range(start, stop):
        for place in range(PLACES):
            own = u[place]
            own[:] = gu[0, place, c]
            for chunk in range(1, len(gu)):
                more = gu[chunk, place, c]
                for r in range(len(own)):
                    own[r] += more[r]
        for r in range(k):
            for q in range(4):
                plus, minus = u[4 + q, r] + u[8 + q, r], u[4 + q, r] - u[8 + q, r]
                t[0, q] = u[q, r] + half * plus
                t[1, q] = half * minus
                t[2, q] = u[12 + q, r] + half * plus
            for p in range(3):
                plus, minus = t[p, 1] + t[p, 2], t[p, 1] - t[p, 2]
                gw[r, c, p, 0] = t[p, 0] + half * plus
                gw[r, c, p, 1] = half * minus
                gw[r, c, p, 2] = t[p, 3] + half * plus


def suits(x: Array, w: Array, stride: int, padding: int) -> bool:
    """Whether the transforms are worth it: 3 x 3 taps, maps of whole tiles, channels enough to share them."""
    return (
        w.shape[2:] == (3, 3)
        and stride == padding == 1
        and x.shape[2] % 2 == x.shape[3] % 2 == 0
        and min(w.shape[:2]) >= CHANNELS
    )


def sizes(tiles_wanted: int, n: int, h: int, w: int) -> tuple[int, int, int]:
    """Rows of tiles in a block, how far apart the channels of V are, and the pitch of the phase planes."""
    tw = w // 2
    rows = max(1, min(tiles_wanted // tw, n * h // 2))
    slack = 0 if tw % LANES == 0 else LANES
    return rows, whole(rows * tw, LANES) + slack, whole(tw, LANES) + LANES


def planes_size(rows: int, h: int, pitch: int) -> int:
    """Numbers in the phase planes of a channel, for as many rows of tiles as lie in one image."""
    return 4 * (min(rows, h // 2) + 1) * pitch


def winograd(x: Array, w: Array, *, turned: bool = False) -> Array:
    """x (n, c, h, w) convolved with w (k, c, 3, 3), padding 1; turned: gy with w, for the gradient of x."""
    n, c, height, width = x.shape
    k = w.shape[1] if turned else w.shape[0]
    steps = (9, 9 * k, 8, -1) if turned else (9 * c, 9, 0, 1)
    groups = -(-k // ROWS)
    weights = empty((groups * PLACES * c * ROWS,), x.dtype)
    flat = np.ascontiguousarray(w).reshape(-1)
    share(lambda i, j: transform_weights(flat, i, j, c, *steps, weights), groups)
    wanted = max(WIDE * LANES, V_NUMBERS // (PLACES * c))
    rows, length, pitch = sizes(wanted, n, height, width)
    size = PLACES * (c + K_BLOCK) * length + 4 * pitch + planes_size(rows, height, pitch)
    offsets = np.arange(c, dtype=np.int32) * np.int32(length)
    y = empty((n, k, height, width), x.dtype)

    def part(i: int, j: int) -> None:
        memory = scratch("planes", (size,), x.dtype)
        correlate(x[i:j], weights, y[i:j], offsets, rows, length, pitch, memory)

    share(part, n)
    return y


def winograd_weights(x: Array, gy: Array) -> Array:
    """The gradient of w (k, c, 3, 3) from x (n, c, h, w) and gy (n, k, h, w)."""
    n, c, height, width = x.shape
    k = gy.shape[1]
    shape = (PLACES, whole(c, WIDE), whole(k, ROWS))
    chunks = min(CHUNKS, n, max(2, CHUNK_BYTES // (4 * int(np.prod(shape)))))
    wanted = max(WIDE * LANES, GRADIENT_NUMBERS // (PLACES * (c + k)))
    rows, length, pitch = sizes(wanted, -(-n // chunks), height, width)
    size = PLACES * (c + k) * length + planes_size(rows, height, pitch)
    gu = empty((chunks, *shape), x.dtype)

    def chunk(i: int) -> None:
        part = slice(i * n // chunks, (i + 1) * n // chunks)
        reduce(x[part], gy[part], gu[i], rows, length, pitch, scratch("planes", (size,), x.dtype))

    crew().map(chunk, chunks)
    gw = np.empty((k, c, 3, 3), x.dtype)
    share(lambda i, j: gather_weights(gu, gw, i, j), c)
    return gw
