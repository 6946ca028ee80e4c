"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

Channels are taken eight at a time, a *panel*, so that a vector holds one pixel's, or one tile's, of eight channels.
For that each panel of an image is first turned: (rows, columns, 8), with a border of one zero. V, the transformed
patches, is (places, panels, tiles, 8), with 16 places for tiles of 2 x 2, and 36 for 4 x 4. Channels that a last
panel lacks repeat the last one.
`minise.kernels.numba_winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.kernels.numba_tiles import LANES, TALL, product_tile_of_1, product_tile_of_2
from minise.kernels.numba_transforms import back, gradient, patch, turn, turn_back, weights

K_PANEL = 2 * LANES
"""Output channels that a tile of products has side by side."""

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
def turn_channels(image, first, top, count, tile, pixels, planes):
    """A panel of an image (c, h, w) with its channels side by side, for `count` rows of tiles from `top` on.

    pixels: where each pixel goes when the planes begin with the row above the image; rows are w + 2 pixels.
    """
    c, h, w = image.shape
    pitch = (w + 2) * LANES
    low, high = max(0, tile * top - 1), min(h, tile * (top + count) + 1)
    shift = tile * top * pitch
    rows = tile * count + 2
    if top == 0:
        planes[:pitch] = 0
    if high == h:
        planes[(rows - 1) * pitch : rows * pitch] = 0
    for i in range(rows):
        planes[i * pitch : i * pitch + LANES] = 0
        planes[(i + 1) * pitch - LANES : (i + 1) * pitch] = 0
    x_at = channels(first, c, h * w)
    at = low * w
    while at + LANES <= high * w:
        turn(image.ctypes.data + 4 * at, x_at, planes.ctypes.data - 4 * shift, pixels[at:].ctypes.data)
        at += LANES
    flat = image.reshape(-1)
    while at < high * w:
        for i in range(LANES):
            planes[pixels[at] - shift + i] = flat[x_at[i] + at]
        at += 1


@inner
def transform(x, start, stop, tile, pixels, planes, v, length, step, patches):
    """V (tile + 2 squared, panels, length, 8), or E, of the rows of tiles from `start` to `stop`, counted through
    all images. step: how far apart V's places lie.
    """
    _, c, h, w = x.shape
    th, tw = h // tile, w // tile
    pitch = (w + 2) * LANES
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for panel in range(-(-c // LANES)):
            turn_channels(x[row // th], panel * LANES, top, count, tile, pixels, planes)
            y = v.ctypes.data + 4 * (panel * length + at) * LANES
            for i in range(count):
                for j in range(tw):
                    corner = planes.ctypes.data + 4 * tile * (i * pitch + j * LANES)
                    if patches:
                        patch(tile, corner, pitch, LANES, y, (tile + 2) * step, step)
                    else:
                        corner += 4 * (pitch + LANES)
                        gradient(tile, corner, pitch, LANES, y, (tile + 2) * step, step)
                    y += 4 * LANES
        at += count * tw
        row += count


@inner
def transform_back(m, step, width, y, first, last, start, stop, tile, planes):
    """Channels `first` to `last` of y, for the rows of tiles `start` to `stop`, from m (places, tiles, width)."""
    _, k, h, w = y.shape
    th, tw = h // tile, w // tile
    for channel in range(first, last, LANES):
        source = m.ctypes.data + 4 * (channel - first)
        y_at = channels(channel, k, h * w)
        row = start
        while row < stop:
            top = row % th
            count = min(th - top, stop - row)
            for i in range(count):
                for j in range(tw):
                    target = planes.ctypes.data + 4 * tile * (i * w + j) * LANES
                    back(tile, source, (tile + 2) * step, step, target, w * LANES, LANES)
                    source += 4 * width
            image = y[row // th].reshape(-1)[tile * top * w :]
            size = tile * count * w
            at = 0
            while at + LANES <= size:
                turn_back(planes.ctypes.data + 4 * at * LANES, image.ctypes.data + 4 * at, y_at)
                at += LANES
            while at < size:
                for i in range(LANES):
                    image[y_at[i] + at] = planes[at * LANES + i]
                at += 1
            row += count


@inner
def products(v, v_step, tiles, offsets, u, first, last, m, m_step, width, places):
    """m (places, tiles, width) = Σ_c V U, of channels `first` to `last`."""
    c = len(offsets)
    for place in range(places):
        for channel in range(first, last, K_PANEL):
            wide = K_PANEL if last - channel > LANES else LANES
            x = v.ctypes.data + 4 * place * v_step
            w = u.ctypes.data + 4 * c * (places * channel + place * wide)
            y = m.ctypes.data + 4 * (place * m_step + channel - first)
            for _ in range(-(-tiles // TALL)):
                if wide == K_PANEL:
                    product_tile_of_2(x, offsets.ctypes.data, c, w, y, width)
                else:
                    product_tile_of_1(x, offsets.ctypes.data, c, w, y, width)
                x += 4 * TALL * LANES
                y += 4 * TALL * width


@loop
def correlate(x, u, y, tile, offsets, pixels, rows, length, width, steps, memory):
    """y (n, k, h, w) from x (n, c, h, w) and U, `rows` rows of tiles and `width` channels at a time.

    memory: scratch numbers.
    """
    n, k, h, w = y.shape
    places = (tile + 2) ** 2
    v_step, m_step = steps
    v, rest = memory[: places * v_step], memory[places * v_step :]
    m, planes = rest[: places * m_step], rest[places * m_step :]
    for start in range(0, n * (h // tile), rows):
        stop = min(start + rows, n * (h // tile))
        tiles = (stop - start) * (w // tile)
        transform(x, start, stop, tile, pixels, planes, v, length, v_step, True)
        for first in range(0, k, width):
            last = min(first + width, k)
            products(v, v_step, tiles, offsets, u, first, last, m, m_step, width, places)
            transform_back(m, m_step, width, y, first, last, start, stop, tile, planes)


@loop
def transform_weights(w, start, stop, tile, columns, row_step, column_step, first, tap_step, u):
    """U, for blocks start … stop of 16 rows, as the tiles read it: (blocks, places, columns, 16), the last perhaps
    of 8. Tap t of row r and column c is w[r row_step + c column_step + first + t tap_step]; past the last, it is
    repeated.
    """
    rows = len(w) // (9 * columns)
    places = (tile + 2) ** 2
    taps = np.empty((9, LANES), np.float32)
    for block in range(start, stop):
        own = u[block * places * columns * K_PANEL :]
        wide = K_PANEL if rows - block * K_PANEL > LANES else LANES
        step = columns * wide
        for panel in range(0, wide, LANES):
            for c in range(columns):
                for r in range(LANES):
                    at = min(block * K_PANEL + panel + r, rows - 1) * row_step + c * column_step + first
                    for tap in range(9):
                        taps[tap, r] = w[at + tap * tap_step]
                target = own[c * wide + panel :].ctypes.data
                weights(tile, taps.ctypes.data, 3 * LANES, LANES, target, (tile + 2) * step, step)
