"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

V, the transformed patches, is laid out as (16, channels, tiles), so that a vector holds eight tiles. For
neighbouring tiles to be neighbours in memory too, a channel is first split by the parity of its rows and columns:
its phase planes. `minise.kernels.numba_winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.kernels.numba_tiles import LANES, ROWS, tile_of_1, tile_of_2, tile_of_3
from minise.kernels.numba_transforms import back_tile, patch_tile, split

PLACES = 16
K_BLOCK = 16
"""Output channels whose products wait in the cache for the transform back."""

loop = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(cache=True, error_model="numpy")


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
                    split(pixels.ctypes.data + 4 * j, even.ctypes.data + 2 * j, odd.ctypes.data + 2 * j + 4)
                for j in range(w // LANES * (LANES // 2), w // 2):
                    even[j] = pixels[2 * j]
                    odd[j + 1] = pixels[2 * j + 1]
            else:
                even[: w // 2] = 0
                odd[: w // 2 + 1] = 0
            odd[0] = 0
            even[w // 2] = 0


@inner
def transform(image, top, count, planes, pitch, v, stride):
    """V of `count` rows of tiles of one channel.

    Rows follow one another without a gap: what a vector writes past its row's end is written over by the next.
    """
    lay_out(image, top, count, planes, pitch)
    tw = image.shape[1] // 2
    for i in range(count):
        for j in range(0, tw, LANES):
            at = planes.ctypes.data + 4 * (i * pitch + j)
            patch_tile(at, (count + 1) * pitch, pitch, v.ctypes.data + 4 * (i * tw + j), stride)


@inner
def transform_block(x, start, stop, planes, pitch, v, length):
    """V (16, c, length) of the rows of tiles from `start` to `stop`, counted through all images."""
    _, c, h, w = x.shape
    th, tw = h // 2, w // 2
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for channel in range(c):
            target = v[channel * length + at :]
            transform(x[row // th, channel], top, count, planes, pitch, target, c * length)
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
        transform_block(x, start, stop, planes, pitch, v, length)
        vectors = -(-(stop - start) * (w // 2) // LANES)
        for first in range(0, k, K_BLOCK):
            count = min(K_BLOCK, k - first)
            own = weights[first // ROWS * PLACES * c * ROWS :]
            products(v, length, vectors, offsets, own, m, -(-count // ROWS))
            for i in range(count):
                transform_back(m[i * PLACES * length :], length, y, first + i, start, stop, two_rows)


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
