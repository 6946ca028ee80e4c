"""The loops under the fused norm's numba kernels. A *plane* is one channel of one image: hw numbers in a row.

Batch norm, SE's gate and their gradients are affine in a plane's pixels, so the work on pixels is a few loops with
two or three coefficients a plane; all else is arithmetic on tables of (n, c) or (c,) numbers.
The compiler may reorder nothing here (no fastmath): sums run in vectors of 8, what is over at a plane's end last.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minise.kernels.numba.gelu import gelu, gelu_slope
from minise.kernels.numba.parallel import turns
from minise.kernels.numba.reductions import (
    sum_of_plane,
    sum_of_squares,
    sums_of_cut_products,
    sums_of_cut_products_by_x,
    sums_of_products,
)
from minise.kernels.numba.tiles import LANES

ZERO = np.float32(0)
loop = njit(cache=True, nogil=True, error_model="numpy")


@loop
def moments(work, x, mean, squares):
    """mean[p] = Σ x[p] / hw, squares[p] = Σ (x[p] - mean[p])²; the plane stays in the cache between the two."""
    hw = x.shape[1]
    whole = hw // LANES
    for start, stop in turns(work):
        for p in range(start, stop):
            (total,) = sum_of_plane((x[p].ctypes.data,), (ZERO,), whole)
            for i in range(whole * LANES, hw):
                total += x[p, i]
            own = total / np.float32(hw)
            (total,) = sum_of_squares((x[p].ctypes.data,), (own,), whole)
            for i in range(whole * LANES, hw):
                total += (x[p, i] - own) * (x[p, i] - own)
            mean[p] = own
            squares[p] = total


LINEAR, RELU, GELU = 0, 1, 2
"""What the numbers go through at the end, as the loops are told it."""


@loop
def affine(work, x, scale, shift, residual, act, y):
    """y[p] = act(scale[p] x[p] + shift[p] (+ residual[p])); residual may be empty."""
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            a, b = scale[p], shift[p]
            if len(residual):
                for i in range(hw):
                    y[p, i] = a * x[p, i] + b + residual[p, i]
            else:
                for i in range(hw):
                    y[p, i] = a * x[p, i] + b
            if act == RELU:
                for i in range(hw):
                    y[p, i] = ZERO if y[p, i] <= 0 else y[p, i]
            elif act == GELU:
                for i in range(hw):
                    y[p, i] = gelu(y[p, i])


ALL, ABOVE_ZERO, ABOVE_ZERO_BY_X = 0, 1, 2
"""Which pixels' gradients count: all, those where y > 0, or where scale x + shift > 0: then y is not read."""


@loop
def sums(work, gy, y, x, mean, scale, shift, which, total, products):
    """total[p] = Σ g[p], products[p] = Σ g[p] (x[p] - mean[p]), where g is gy, or 0 where it does not count."""
    hw = x.shape[1]
    whole = hw // LANES
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b = mean[p], scale[p], shift[p]
            pair = (gy[p].ctypes.data, x[p].ctypes.data)
            if which == ABOVE_ZERO_BY_X:
                t, s = sums_of_cut_products_by_x(pair, (own, a, b), whole)
            elif which == ABOVE_ZERO:
                t, s = sums_of_cut_products((*pair, y[p].ctypes.data), (own,), whole)
            else:
                t, s = sums_of_products(pair, (own,), whole)
            for i in range(whole * LANES, hw):
                above = (a * x[p, i] + b if which == ABOVE_ZERO_BY_X else y[p, i]) > 0
                g = gy[p, i] if above or which == ALL else ZERO
                t += g
                s += g * (x[p, i] - own)
            total[p] = t
            products[p] = s


@loop
def gelu_sums(work, gy, x, mean, scale, shift, g, total, products):
    """g = gy gelu'(scale[p] x[p] + shift[p]), and the sums of that g as in `sums`."""
    hw = x.shape[1]
    whole = hw // LANES
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b = mean[p], scale[p], shift[p]
            for i in range(hw):
                g[p, i] = gy[p, i] * gelu_slope(a * x[p, i] + b)
            t, s = sums_of_products((g[p].ctypes.data, x[p].ctypes.data), (own,), whole)
            for i in range(whole * LANES, hw):
                t += g[p, i]
                s += g[p, i] * (x[p, i] - own)
            total[p] = t
            products[p] = s


@loop
def combine(work, gy, y, x, mean, scale, shift, which, by_g, by_x, by_one, gx, gr):
    """gx[p] = by_g[p] g[p] + by_x[p] (x[p] - mean[p]) + by_one[p], and gr = g unless gr is empty; g as in `sums`."""
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b, c = mean[p], by_g[p], by_x[p], by_one[p]
            if which == ABOVE_ZERO_BY_X:
                d, e = scale[p], shift[p]
                for i in range(hw):
                    g = gy[p, i] if d * x[p, i] + e > 0 else ZERO
                    gx[p, i] = a * g + b * (x[p, i] - own) + c
            elif which == ABOVE_ZERO and len(gr):
                for i in range(hw):
                    g = gy[p, i] if y[p, i] > 0 else ZERO
                    gr[p, i] = g
                    gx[p, i] = a * g + b * (x[p, i] - own) + c
            elif which == ABOVE_ZERO:
                for i in range(hw):
                    g = gy[p, i] if y[p, i] > 0 else ZERO
                    gx[p, i] = a * g + b * (x[p, i] - own) + c
            else:
                for i in range(hw):
                    gx[p, i] = a * gy[p, i] + b * (x[p, i] - own) + c


@loop
def combine_in_place(work, g, x, mean, by_g, by_x, by_one):
    """The same with g as it is, and gx where g was: of one array for both, the compiler makes no vectors."""
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b, c = mean[p], by_g[p], by_x[p], by_one[p]
            for i in range(hw):
                g[p, i] = a * g[p, i] + b * (x[p, i] - own) + c


@loop
def add(work, a, b, y):
    """y = a + b, numbers in a row."""
    for start, stop in turns(work):
        one, other, own = a[start:stop], b[start:stop], y[start:stop]
        for i in range(len(own)):
            own[i] = one[i] + other[i]
