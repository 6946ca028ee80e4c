"""The loops of Winograd's algorithm for the gradient of w: a product of matrices over tiles.

V and E are panels of eight channels, so that no sum runs along a vector.
"""

from __future__ import annotations

import numpy as np

from minise.kernels.numba.parallel import inner, loop, turns
from minise.kernels.numba.tiles import LANES, ROWS, next_width, sum_tile
from minise.kernels.numba.transforms import PLACES, TILE, weights_back
from minise.kernels.numba.winograd_loops import transform


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


@inner
def reduce_chunk(x, gy, gu, pixels, rows, steps, memory):
    """gu (places, k8, c8) = Σ over tiles of E times V for each place; k8, c8: whole eights of channels."""
    n, _, h, w = x.shape
    _, k_whole, c_whole = gu.shape
    length = rows * (w // TILE)
    c_panels, k_panels = c_whole // LANES, k_whole // LANES
    v_step, e_step = steps
    v, rest = memory[: PLACES * v_step], memory[PLACES * v_step :]
    e, planes = rest[: PLACES * e_step], rest[PLACES * e_step :]
    gu[:] = 0
    for start in range(0, n * (h // TILE), rows):
        stop = min(start + rows, n * (h // TILE))
        transform(x, start, stop, pixels, planes, v, length, v_step, True)
        transform(gy, start, stop, pixels, planes, e, length, e_step, False)
        tiles = (stop - start) * (w // TILE)
        for place in range(PLACES):
            own_v, own_e = v[place * v_step :], e[place * e_step :]
            add_products(own_v, own_e, tiles, length, c_panels, k_panels, gu[place].reshape(-1))


@loop
def reduce(work, x, gy, gu, pixels, rows, steps, memory):
    """The same for one chunk of the images after the other: gu (chunks, places, k8, c8)."""
    n, chunks = len(x), len(gu)
    for start, stop in turns(work):
        for i in range(start, stop):
            a, b = i * n // chunks, (i + 1) * n // chunks
            reduce_chunk(x[a:b], gy[a:b], gu[i], pixels, rows, steps, memory)


@inner
def gather_rows(gu, gw, start, stop):
    """gw (k, c, 3, 3) = Gᵀ [Σ over chunks of gu (chunks, places, k8, c8)] G, for channels start … stop of gy."""
    c = gw.shape[1]
    chunks, _, _, width = gu.shape
    u = np.empty((PLACES, (stop - start) * width), np.float32)
    taps = np.empty((9, LANES), np.float32)
    for place in range(PLACES):
        own = u[place]
        own[:] = gu[0, place, start:stop].reshape(-1)
        for chunk in range(1, chunks):
            more = gu[chunk, place, start:stop].reshape(-1)
            for i in range(len(own)):
                own[i] += more[i]
    step = (stop - start) * width
    for r in range(stop - start):
        for first in range(0, c, LANES):
            source = u[0, r * width + first :].ctypes.data
            weights_back(source, 6 * step, step, taps.ctypes.data, 3 * LANES, LANES)
            filters = gw[start + r, first:].reshape(-1)
            for i in range(min(LANES, c - first)):
                for tap in range(9):
                    filters[9 * i + tap] = taps[tap, i]


@loop
def gather(work, gu, gw):
    """The same for the channels whose turn it is."""
    for start, stop in turns(work):
        gather_rows(gu, gw, start, stop)
