"""The loops of Winograd's algorithm for the gradient of w: a product of matrices over tiles.

V and E are laid out as panels of eight channels, (16, panels, tiles, 8), so that a vector holds eight channels and no
sum runs along it. For channels to be neighbours, eight at a time of an image are first turned: (rows, columns, 8),
with a border of one zero. Channels that a last panel lacks repeat the last one. `numba_winograd` has the
algebra.
"""

from __future__ import annotations

import numpy as np

from minise.kernels.numba_tiles import LANES, ROWS, sum_tile_of_1, sum_tile_of_2, sum_tile_of_3
from minise.kernels.numba_transforms import gradient_of_channels, patch_of_channels, turn
from minise.kernels.numba_winograd_loops import PLACES, inner, loop


@inner
def turn_channels(image, first, top, count, places, planes):
    """Eight channels of an image (c, h, w) side by side, for `count` rows of tiles from `top` on.

    places: where each pixel goes when the planes begin with the image's first row; rows are w + 2 pixels.
    """
    c, h, w = image.shape
    pitch = (w + 2) * LANES
    low, high = max(0, 2 * top - 1), min(h, 2 * (top + count) + 1)
    shift = (2 * top - 1) * pitch
    if top == 0:
        planes[:pitch] = 0
    if high == 2 * (top + count):
        planes[(2 * count + 1) * pitch : (2 * count + 2) * pitch] = 0
    for i in range(2 * count + 2):
        planes[i * pitch : i * pitch + LANES] = 0
        planes[(i + 1) * pitch - LANES : (i + 1) * pitch] = 0
    size = h * w
    x_at = (
        min(first, c - 1) * size,
        min(first + 1, c - 1) * size,
        min(first + 2, c - 1) * size,
        min(first + 3, c - 1) * size,
        min(first + 4, c - 1) * size,
        min(first + 5, c - 1) * size,
        min(first + 6, c - 1) * size,
        min(first + 7, c - 1) * size,
    )
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
def transform_panels(x, start, stop, places, planes, v, length, patches):
    """V (16, panels, length, 8), or E, of the rows of tiles from `start` to `stop`, counted through all images."""
    _, c, h, w = x.shape
    th, tw, panels = h // 2, w // 2, -(-c // LANES)
    pitch, stride = (w + 2) * LANES, panels * length * LANES
    at, row = 0, start
    while row < stop:
        top = row % th
        count = min(th - top, stop - row)
        for panel in range(panels):
            turn_channels(x[row // th], panel * LANES, top, count, places, planes)
            target = v.ctypes.data + 4 * (panel * length + at) * LANES
            for i in range(count):
                for j in range(tw):
                    corner = planes.ctypes.data + 4 * (2 * i * pitch + 2 * j * LANES)
                    y = target + 4 * (i * tw + j) * LANES
                    if patches:
                        patch_of_channels(corner, pitch, y, stride)
                    else:
                        gradient_of_channels(corner + 4 * (pitch + LANES), pitch, y, stride)
        at += count * tw
        row += count


@inner
def add_products(v, e, tiles, length, panels, rows, gu):
    """gu (k8, c8) += Eᵀ V for one place."""
    panel = length * LANES
    width = panels * LANES
    i = 0
    while i < panels:
        rest = panels - i
        at = (i * panel, (i + 1) * panel, (i + 2) * panel)
        for half in range(rows * LANES // ROWS):
            g = e[half // 2 * panel + half % 2 * ROWS :].ctypes.data
            y = gu[half * ROWS * width + i * LANES :].ctypes.data
            if rest == 3 or rest > 4:
                sum_tile_of_3(v.ctypes.data, at, g, tiles, y, width)
            elif rest > 1:
                sum_tile_of_2(v.ctypes.data, (at[0], at[1]), g, tiles, y, width)
            else:
                sum_tile_of_1(v.ctypes.data, (at[0],), g, tiles, y, width)
        i += 3 if rest == 3 or rest > 4 else 2 if rest > 1 else 1


@loop
def reduce(x, gy, gu, rows, length, places, memory):
    """gu (16, k8, c8) = Σ over tiles of E times V for each place; k8, c8: whole eights of channels."""
    n, c, h, w = x.shape
    panels, k_panels = -(-c // LANES), -(-gy.shape[1] // LANES)
    v_size, e_size = panels * length * LANES, k_panels * length * LANES
    v, rest = memory[: PLACES * v_size], memory[PLACES * v_size :]
    e, planes = rest[: PLACES * e_size], rest[PLACES * e_size :]
    gu[:] = 0
    for start in range(0, n * (h // 2), rows):
        stop = min(start + rows, n * (h // 2))
        transform_panels(x, start, stop, places, planes, v, length, True)
        transform_panels(gy, start, stop, places, planes, e, length, False)
        tiles = (stop - start) * (w // 2)
        for place in range(PLACES):
            own = gu[place].reshape(-1)
            add_products(v[place * v_size :], e[place * e_size :], tiles, length, panels, k_panels, own)


@loop
def gather(gu, gw, start, stop):
    """gw (k, c, 3, 3) = Gᵀ [Σ over chunks of gu (chunks, 16, k8, c8)] G, for channels start … stop of gy."""
    half = np.float32(0.5)
    c = gw.shape[1]
    u = np.empty((PLACES, gu.shape[3]), np.float32)
    t = np.empty((3, 4), np.float32)
    for r in range(start, stop):
        for place in range(PLACES):
            own = u[place]
            own[:] = gu[0, place, r]
            for chunk in range(1, len(gu)):
                more = gu[chunk, place, r]
                for i in range(len(own)):
                    own[i] += more[i]
        for i in range(c):
            for q in range(4):
                plus, minus = u[4 + q, i] + u[8 + q, i], u[4 + q, i] - u[8 + q, i]
                t[0, q] = u[q, i] + half * plus
                t[1, q] = half * minus
                t[2, q] = u[12 + q, i] + half * plus
            for p in range(3):
                plus, minus = t[p, 1] + t[p, 2], t[p, 1] - t[p, 2]
                gw[r, i, p, 0] = t[p, 0] + half * plus
                gw[r, i, p, 1] = half * minus
                gw[r, i, p, 2] = t[p, 3] + half * plus
