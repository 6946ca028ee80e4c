"""The loops of Winograd's algorithm: transforms and products of blocks of tiles that stay in the cache.

Channels are taken eight at a time, a *panel*, so that a vector holds one pixel's, or one tile's, of eight channels.
For that each panel of an image is first turned: (rows, columns, 8), with a border of one zero. V, the transformed
patches, is (36 places, panels, tiles, 8). Channels that a last panel lacks repeat the last one. For the gradient of
w, V and E, of gy, are panels too, so that no sum over tiles runs along a vector.
`minise.kernels.numba.winograd` has the algebra.
"""

from __future__ import annotations

import numpy as np

from minise.kernels.numba.parallel import inner, loop, turns
from minise.kernels.numba.tiles import LANES, ROWS, TALL, next_width, product_tile, sum_tile
from minise.kernels.numba.transforms import (
    PLACES,
    TILE,
    back,
    gradient,
    patch,
    turn,
    turn_back,
    weights,
    weights_back,
)

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
def products(v, tiles, length, c, u, first, last, m, k_step, steps):
    """m (places, tiles, k_step) = Σ_c V U, of channels `first` to `last`."""
    u_step, v_step, m_step = steps
    for place in range(PLACES):
        for channel in range(first, last, K_TILE):
            x = v.ctypes.data + 4 * place * v_step
            w = u.ctypes.data + 4 * (channel // K_TILE * PLACES + place) * u_step
            y = m.ctypes.data + 4 * (place * m_step + channel - first)
            wide = 2 if last - channel > LANES else 1
            for _ in range(-(-tiles // TALL)):
                product_tile(x, length * LANES, c, w, wide, y, k_step)
                x += 4 * TALL * LANES
                y += 4 * TALL * k_step


@loop
def correlate(work, images, u, maps, pixels, rows, length, k_step, steps, memory):
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
                products(v, tiles, length, x.shape[1], u, first, last, m, k_step, steps)
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


@inner
def add_products(v, e, tiles, length, c_panels, k_panels, gu):
    """gu (k8, c8) += Eᵀ V for one place."""
    panel = length * LANES
    width = c_panels * LANES
    i = 0
    while i < c_panels:
        wide = next_width(c_panels - i)
        x = v[i * panel :].ctypes.data
        for half in range(k_panels * LANES // ROWS):
            g = e[half // 2 * panel + half % 2 * ROWS :].ctypes.data
            y = gu[half * ROWS * width + i * LANES :].ctypes.data
            sum_tile(x, panel, wide, g, tiles, y, width)
        i += wide


@loop
def reduce(work, x, gy, gu, pixels, rows, steps, memory):
    """gu (chunks, places, k8, c8) = Σ over the tiles of a chunk of the images of E times V, for each place.

    k8, c8: whole eights of channels.
    """
    n, _, h, w = x.shape
    chunks, _, k_whole, c_whole = gu.shape
    tw = w // TILE
    v_step, e_step = steps
    v, rest = memory[: PLACES * v_step], memory[PLACES * v_step :]
    e, planes = rest[: PLACES * e_step], rest[PLACES * e_step :]
    for begin, end in turns(work):
        for chunk in range(begin, end):
            own = gu[chunk]
            own[:] = 0
            last = (chunk + 1) * n // chunks * (h // TILE)
            for start in range(chunk * n // chunks * (h // TILE), last, rows):
                stop = min(start + rows, last)
                transform(x, start, stop, pixels, planes, v, rows * tw, v_step, True)
                transform(gy, start, stop, pixels, planes, e, rows * tw, e_step, False)
                for place in range(PLACES):
                    factors = v[place * v_step :], e[place * e_step :]
                    tiles = (stop - start) * tw
                    add_products(
                        *factors, tiles, rows * tw, c_whole // LANES, k_whole // LANES, own[place].reshape(-1)
                    )


@loop
def gather(work, gu, gw):
    """gw (k, c, 3, 3) = Gᵀ [Σ over chunks of gu (chunks, places, k8, c8)] G."""
    c = gw.shape[1]
    chunks, _, _, width = gu.shape
    taps = np.empty((9, LANES), np.float32)
    for start, stop in turns(work):
        step = (stop - start) * width
        u = np.empty((PLACES, step), np.float32)
        for place in range(PLACES):
            own = u[place]
            own[:] = gu[0, place, start:stop].reshape(-1)
            for chunk in range(1, chunks):
                more = gu[chunk, place, start:stop].reshape(-1)
                for i in range(len(own)):
                    own[i] += more[i]
        for r in range(stop - start):
            for first in range(0, c, LANES):
                source = u[0, r * width + first :].ctypes.data
                weights_back(source, 6 * step, step, taps.ctypes.data, 3 * LANES, LANES)
                filters = gw[start + r, first:].reshape(-1)
                for i in range(min(LANES, c - first)):
                    for tap in range(9):
                        filters[9 * i + tap] = taps[tap, i]
