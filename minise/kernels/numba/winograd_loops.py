"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

Channels are taken eight at a time, a *panel*, so that a vector holds one pixel's, or one tile's, of eight channels.
For that each panel of an image is first turned: (rows, columns, 8), with a border of one zero. V, the transformed
patches, is (36 places, panels, tiles, 8). Channels that a last panel lacks repeat the last one.
`minise.kernels.numba.winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np

from minise.kernels.numba.parallel import inner, loop, turns
from minise.kernels.numba.tiles import LANES, TALL, product_tile
from minise.kernels.numba.transforms import PLACES, TILE, back, gradient, patch, turn, turn_back, weights

K_TILE = 2 * LANES
"""Output channels that a tile of products has side by side."""


@inner
def turn_channels(image, first, top, count, pixels, planes):
    """A panel of an image (c, h, w) with its channels side by side, for `count` rows of tiles from `top` on.

    The planes begin with the row above the tiles and have rows of w + 2 pixels; pixels: where each pixel goes, of as
    many rows, from the first one on.
    """
    c, h, w = image.shape
    pitch = (w + 2) * LANES
    rows = TILE * count + 2
    above = TILE * top - 1
    low, high = max(0, above), min(h, above + rows)
    if low > above:
        planes[:pitch] = 0
    if high < above + rows:
        planes[(rows - 1) * pitch : rows * pitch] = 0
    for i in range(rows):
        planes[i * pitch : i * pitch + LANES] = 0
        planes[(i + 1) * pitch - LANES : (i + 1) * pitch] = 0
    places = pixels[(low - above) * w :]
    source = image.reshape(-1)[low * w :].ctypes.data
    size = (high - low) * w
    for i in range(0, size, LANES):
        at = min(i, size - LANES)  # the last eight may overlap those before
        turn(source + 4 * at, first, c, h * w, planes.ctypes.data, places[at:].ctypes.data)


@inner
def transform(x, start, stop, pixels, planes, v, length, step, patches):
    """V (36 places, panels, length, 8), or E, of the rows of tiles from `start` to `stop`, counted through all
    images. step: how far apart V's places lie.
    """
    _, c, h, w = x.shape
    th, tw = h // TILE, w // TILE
    pitch = (w + 2) * LANES
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for panel in range(-(-c // LANES)):
            turn_channels(x[row // th], panel * LANES, top, count, pixels, planes)
            y = v.ctypes.data + 4 * (panel * length + at) * LANES
            for i in range(count):
                for j in range(tw):
                    corner = planes.ctypes.data + 4 * TILE * (i * pitch + j * LANES)
                    if patches:
                        patch(corner, pitch, LANES, y, 6 * step, step)
                    else:
                        gradient(corner + 4 * (pitch + LANES), pitch, LANES, y, 6 * step, step)
                    y += 4 * LANES
        at += count * tw
        row += count


@inner
def transform_back(m, m_step, k_step, y, first, last, start, stop, planes):
    """Channels `first` to `last` of y, for the rows of tiles `start` to `stop`, from m (places, tiles, k_step)."""
    _, k, h, w = y.shape
    th, tw = h // TILE, w // TILE
    for channel in range(first, last, LANES):
        source = m.ctypes.data + 4 * (channel - first)
        row = start
        while row < stop:
            top = row % th
            count = min(th - top, stop - row)
            for i in range(count):
                for j in range(tw):
                    target = planes.ctypes.data + 4 * TILE * (i * w + j) * LANES
                    back(source, 6 * m_step, m_step, target, w * LANES, LANES)
                    source += 4 * k_step
            image = y[row // th].reshape(-1)[TILE * top * w :].ctypes.data
            for at in range(0, TILE * count * w, LANES):
                turn_back(planes.ctypes.data + 4 * at * LANES, image + 4 * at, channel, k, h * w)
            row += count


@inner
def products(v, tiles, offsets, u, first, last, m, k_step, steps):
    """m (places, tiles, k_step) = Σ_c V U, of channels `first` to `last`."""
    u_step, v_step, m_step = steps
    c = len(offsets)
    for place in range(PLACES):
        for channel in range(first, last, K_TILE):
            x = v.ctypes.data + 4 * place * v_step
            w = u.ctypes.data + 4 * (channel // K_TILE * PLACES + place) * u_step
            y = m.ctypes.data + 4 * (place * m_step + channel - first)
            wide = 2 if last - channel > LANES else 1
            for _ in range(-(-tiles // TALL)):
                product_tile(x, offsets.ctypes.data, c, w, wide, y, k_step)
                x += 4 * TALL * LANES
                y += 4 * TALL * k_step


@loop
def correlate(work, images, u, maps, offsets, pixels, rows, length, k_step, steps, memory):
    """Maps (n, k, h, w) from images (n, c, h, w) and U, `rows` rows of tiles and `k_step` channels at a time.

    steps: how far apart the places of U, V and m lie. memory: scratch numbers.
    """
    _, k, h, w = maps.shape
    _, v_step, m_step = steps
    v, rest = memory[: PLACES * v_step], memory[PLACES * v_step :]
    m, planes = rest[: PLACES * m_step], rest[PLACES * m_step :]
    for begin, end in turns(work):
        x, y = images[begin:end], maps[begin:end]
        for start in range(0, len(x) * (h // TILE), rows):
            stop = min(start + rows, len(x) * (h // TILE))
            tiles = (stop - start) * (w // TILE)
            transform(x, start, stop, pixels, planes, v, length, v_step, True)
            for first in range(0, k, k_step):
                last = min(first + k_step, k)
                products(v, tiles, offsets, u, first, last, m, k_step, steps)
                transform_back(m, m_step, k_step, y, first, last, start, stop, planes)


@loop
def transform_weights(work, w, u, u_step):
    """U of w (rows, columns, 3, 3), by sixteens of rows, as the tiles of products read it: (sixteens, places,
    columns, 16), the last perhaps of 8. The last row is repeated past it.
    """
    rows, columns = w.shape[:2]
    taps = np.empty((9, LANES), np.float32)
    for start, stop in turns(work):
        for sixteen in range(start, stop):
            own = u[sixteen * PLACES * u_step :]
            wide = K_TILE if rows - sixteen * K_TILE > LANES else LANES
            for panel in range(0, wide, LANES):
                for c in range(columns):
                    for r in range(LANES):
                        row = min(sixteen * K_TILE + panel + r, rows - 1)
                        for p in range(3):
                            for q in range(3):
                                taps[3 * p + q, r] = w[row, c, p, q]
                    target = own[c * wide + panel :].ctypes.data
                    weights(taps.ctypes.data, 3 * LANES, LANES, target, 6 * u_step, u_step)
