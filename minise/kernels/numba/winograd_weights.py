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
