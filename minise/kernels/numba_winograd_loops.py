"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

Channels are taken eight at a time, a *panel*, so that a vector holds one pixel's, or one tile's, of eight channels.
For that each panel of an image is first turned: (rows, columns, 8), with a border of one zero. V, the transformed
patches, is (16, panels, tiles, 8). Channels that a last panel lacks repeat the last one.
`minise.kernels.numba_winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.kernels.numba_tiles import LANES, TALL, product_tile_of_1, product_tile_of_2
from minise.kernels.numba_transforms import back, gradient, patch, turn, turn_back, weights

PLACES = 16
K_BLOCK = 2 * LANES
"""Output channels whose products wait in the cache for the transform back."""

loop = njit(cache=True, nogil=True, error_model="numpy")
inner = njit(cache=True, error_model="numpy")


@inner
def channels(first, c, size):
    """Where eight channels from `first` on lie, each of so many numbers; the last is repeated past it."""
    return (
        min(first, c - 1) * size,
        min(first + 1, c - 1) * size,
        min(first + 2, c - 1) * size,
        min(first + 3, c - 1) * size,
        min(first + 4, c - 1) * size,
        min(first + 5, c - 1) * size,
        min(first + 6, c - 1) * size,
        min(first + 7, c - 1) * size,
    )


@inner
def turn_channels(image, first, top, count, places, planes):
    """A panel of an image (c, h, w) with its channels side by side, for `count` rows of tiles from `top` on.

    places: where each pixel goes when the planes begin with the row above the image; rows are w + 2 pixels.
    """
    c, h, w = image.shape
    pitch = (w + 2) * LANES
    low, high = max(0, 2 * top - 1), min(h, 2 * (top + count) + 1)
    shift = 2 * top * pitch
    if top == 0:
        planes[:pitch] = 0
    if high == 2 * (top + count):
        planes[(2 * count + 1) * pitch : (2 * count + 2) * pitch] = 0
    for i in range(2 * count + 2):
        planes[i * pitch : i * pitch + LANES] = 0
        planes[(i + 1) * pitch - LANES : (i + 1) * pitch] = 0
    x_at = channels(first, c, h * w)
    at = low * w
    while at + LANES <= high * w:
        turn(image.ctypes.data + 4 * at, x_at, planes.ctypes.data - 4 * shift, places[at:].ctypes.data)
        at += LANES
    flat = image.reshape(-1)
    while at < high * w:
        for i in range(LANES):
            planes[places[at] - shift + i] = flat[x_at[i] + at]
        at += 1


@inner
def transform(x, start, stop, places, planes, v, length, step, patches):
    """V (16, panels, length, 8), or E, of the rows of tiles from `start` to `stop`, counted through all images.

    step: how far apart the 16 lie.
    """
    _, c, h, w = x.shape
    th, tw = h // 2, w // 2
    pitch = (w + 2) * LANES
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for panel in range(-(-c // LANES)):
            turn_channels(x[row // th], panel * LANES, top, count, places, planes)
            y = v.ctypes.data + 4 * (panel * length + at) * LANES
            for i in range(count):
                for j in range(tw):
                    corner = planes.ctypes.data + 8 * (i * pitch + j * LANES)
                    if patches:
                        patch(corner, pitch, LANES, y, 4 * step, step)
                    else:
                        gradient(corner + 4 * (pitch + LANES), pitch, LANES, y, 4 * step, step)
                    y += 4 * LANES
        at += count * tw
        row += count


@inner
def transform_back(m, step, y, first, start, stop, planes):
    """Up to 16 channels of y for the rows of tiles from `start` to `stop`, from their products m (16, tiles, 16)."""
    _, k, h, w = y.shape
    th, tw = h // 2, w // 2
    for half in range(min(K_BLOCK, k - first + LANES - 1) // LANES):
        source = m.ctypes.data + 4 * half * LANES
        y_at = channels(first + half * LANES, k, h * w)
        row = start
        while row < stop:
            top = row % th
            count = min(th - top, stop - row)
            for i in range(count):
                for j in range(tw):
                    target = planes.ctypes.data + 8 * (i * w + j) * LANES
                    back(source, 4 * step, step, target, w * LANES, LANES)
                    source += 4 * K_BLOCK
            image = y[row // th].reshape(-1)[2 * top * w :]
            at = 0
            while at + LANES <= 2 * count * w:
                turn_back(planes.ctypes.data + 4 * at * LANES, image.ctypes.data + 4 * at, y_at)
                at += LANES
            while at < 2 * count * w:
                for i in range(LANES):
                    image[y_at[i] + at] = planes[at * LANES + i]
                at += 1
            row += count


@inner
def products(v, v_step, tiles, offsets, u, wide, m, m_step):
    """m (16, tiles, 16) = Σ_c V U for each place."""
    c = len(offsets)
    for place in range(PLACES):
        x = v.ctypes.data + 4 * place * v_step
        w = u.ctypes.data + 4 * place * c * wide
        y = m.ctypes.data + 4 * place * m_step
        for _ in range(-(-tiles // TALL)):
            if wide == K_BLOCK:
                product_tile_of_2(x, offsets.ctypes.data, c, w, y, K_BLOCK)
            else:
                product_tile_of_1(x, offsets.ctypes.data, c, w, y, K_BLOCK)
            x += 4 * TALL * LANES
            y += 4 * TALL * K_BLOCK


@loop
def correlate(x, u, y, offsets, places, rows, length, steps, memory):
    """y (n, k, h, w) from x (n, c, h, w) and U, `rows` rows of tiles at a time. memory: scratch numbers."""
    n, c, h, w = x.shape
    k = y.shape[1]
    v_step, m_step = steps
    v, rest = memory[: PLACES * v_step], memory[PLACES * v_step :]
    m, planes = rest[: PLACES * m_step], rest[PLACES * m_step :]
    for start in range(0, n * (h // 2), rows):
        stop = min(start + rows, n * (h // 2))
        transform(x, start, stop, places, planes, v, length, v_step, True)
        for first in range(0, k, K_BLOCK):
            own = u[first * PLACES * c :]
            wide = K_BLOCK if k - first > LANES else LANES
            products(v, v_step, (stop - start) * (w // 2), offsets, own, wide, m, m_step)
            transform_back(m, m_step, y, first, start, stop, planes)


@loop
def transform_weights(w, start, stop, columns, row_step, column_step, first, tap_step, u):
    """U, for blocks start … stop of 16 rows, as the tiles read it: (blocks, 16, columns, 16), the last perhaps of 8.

    Tap t of row r and column c is w[r row_step + c column_step + first + t tap_step]; past the last, it is repeated.
    """
    rows = len(w) // (9 * columns)
    taps = np.empty((9, LANES), np.float32)
    for block in range(start, stop):
        own = u[block * PLACES * columns * K_BLOCK :]
        wide = K_BLOCK if rows - block * K_BLOCK > LANES else LANES
        step = columns * wide
        for panel in range(0, wide, LANES):
            for c in range(columns):
                for r in range(LANES):
                    at = min(block * K_BLOCK + panel + r, rows - 1) * row_step + c * column_step + first
                    for tap in range(9):
                        taps[tap, r] = w[at + tap * tap_step]
                target = own[c * wide + panel :].ctypes.data
                weights(taps.ctypes.data, 3 * LANES, LANES, target, 4 * step, step)
