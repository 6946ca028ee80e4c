"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

Channels are taken eight at a time, a *panel*, so that a vector holds one pixel's, or one tile's, of eight channels.
For that each panel of an image is first turned: (rows, columns, 8), with a border of one zero. V, the transformed
patches, is (places, panels, tiles, 8), with 16 places for tiles of 2 x 2, and 36 for 4 x 4. Channels that a last
panel lacks repeat the last one.
`minise.kernels.numba.winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.kernels.numba.parallel import turns
from minise.kernels.numba.tiles import LANES, TALL, product_tile_of_1, product_tile_of_2
from minise.kernels.numba.transforms import back, gradient, patch, turn, turn_back, weights

K_TILE = 2 * LANES
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

    The planes begin with the row above the tiles and have rows of w + 2 pixels; pixels: where each pixel goes, of as
    many rows, from the first one on.
    """
    c, h, w = image.shape
    pitch = (w + 2) * LANES
    rows = tile * count + 2
    above = tile * top - 1
    low, high = max(0, above), min(h, above + rows)
    if low > above:
        planes[:pitch] = 0
    if high < above + rows:
        planes[(rows - 1) * pitch : rows * pitch] = 0
    for i in range(rows):
        planes[i * pitch : i * pitch + LANES] = 0
        planes[(i + 1) * pitch - LANES : (i + 1) * pitch] = 0
    x_at = channels(first, c, h * w)
    places = pixels[(low - above) * w :]
    flat = image.reshape(-1)[low * w :]
    size = (high - low) * w
    at = 0
    while at + LANES <= size:
        turn(flat.ctypes.data + 4 * at, x_at, planes.ctypes.data, places[at:].ctypes.data)
        at += LANES
    while at < size:
        for i in range(LANES):
            planes[places[at] + i] = flat[x_at[i] + at]
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
def transform_back(m, m_step, k_step, y, first, last, start, stop, tile, planes):
    """Channels `first` to `last` of y, for the rows of tiles `start` to `stop`, from m (places, tiles, k_step)."""
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
                    back(tile, source, (tile + 2) * m_step, m_step, target, w * LANES, LANES)
                    source += 4 * k_step
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
def products(v, tiles, offsets, u, first, last, m, k_step, steps, places):
    """m (places, tiles, k_step) = Σ_c V U, of channels `first` to `last`."""
    u_step, v_step, m_step = steps
    c = len(offsets)
    for place in range(places):
        for channel in range(first, last, K_TILE):
            x = v.ctypes.data + 4 * place * v_step
            w = u.ctypes.data + 4 * (channel // K_TILE * places + place) * u_step
            y = m.ctypes.data + 4 * (place * m_step + channel - first)
            for _ in range(-(-tiles // TALL)):
                if last - channel > LANES:
                    product_tile_of_2(x, offsets.ctypes.data, c, w, y, k_step)
                else:
                    product_tile_of_1(x, offsets.ctypes.data, c, w, y, k_step)
                x += 4 * TALL * LANES
                y += 4 * TALL * k_step


@inner
def correlate_part(x, u, y, tile, offsets, pixels, rows, length, k_step, steps, memory):
    """y (n, k, h, w) from x (n, c, h, w) and U, `rows` rows of tiles and `k_step` channels at a time.

    steps: how far apart the places of U, V and m lie. memory: scratch numbers.
    """
    n, k, h, w = y.shape
    places = (tile + 2) ** 2
    _, v_step, m_step = steps
    v, rest = memory[: places * v_step], memory[places * v_step :]
    m, planes = rest[: places * m_step], rest[places * m_step :]
    for start in range(0, n * (h // tile), rows):
        stop = min(start + rows, n * (h // tile))
        tiles = (stop - start) * (w // tile)
        transform(x, start, stop, tile, pixels, planes, v, length, v_step, True)
        for first in range(0, k, k_step):
            last = min(first + k_step, k)
            products(v, tiles, offsets, u, first, last, m, k_step, steps, places)
            transform_back(m, m_step, k_step, y, first, last, start, stop, tile, planes)


@loop
def correlate(work, x, u, y, tile, offsets, pixels, rows, length, k_step, steps, memory):
    """The same of the images whose turn it is."""
    for start, stop in turns(work):
        correlate_part(
            x[start:stop], u, y[start:stop], tile, offsets, pixels, rows, length, k_step, steps, memory
        )


@loop
def transform_weights(work, w, tile, columns, row_step, column_step, first, tap_step, u, u_step):
    """U, by sixteens of rows, as the tiles of products read it: (sixteens, places, columns, 16),
    the last perhaps of 8. Tap t of row r and column c is w[r row_step + c column_step + first + t tap_step]; the last
    row is repeated past it.
    """
    rows = len(w) // (9 * columns)
    taps = np.empty((9, LANES), np.float32)
    for start, stop in turns(work):
        for sixteen in range(start, stop):
            own = u[sixteen * (tile + 2) ** 2 * u_step :]
            wide = K_TILE if rows - sixteen * K_TILE > LANES else LANES
            for panel in range(0, wide, LANES):
                for c in range(columns):
                    for r in range(LANES):
                        at = min(sixteen * K_TILE + panel + r, rows - 1) * row_step + c * column_step + first
                        for tap in range(9):
                            taps[tap, r] = w[at + tap * tap_step]
                    target = own[c * wide + panel :].ctypes.data
                    weights(tile, taps.ctypes.data, 3 * LANES, LANES, target, (tile + 2) * u_step, u_step)
