"""The loops under the fused norm's numba kernels. A *plane* is one channel of one image: hw numbers in a row.

Batch norm, SE's gate and their gradients are affine in a plane's pixels, so the work on pixels is a few loops with
two or three coefficients a plane; all else is arithmetic on tables of (n, c) or (c,) numbers.
The compiler may reorder nothing here (no fastmath): sums run in vectors of 8, what is over at a plane's end last.
"""

from __future__ import annotations

import numpy as np

from minise.kernels.numba.gelu import gelu, gelu_slope
from minise.kernels.numba.parallel import loop, turns
from minise.kernels.numba.reductions import (
    sum_of_plane,
    sum_of_squares,
    sums_of_cut_products,
    sums_of_cut_products_by_x,
    sums_of_products,
)

ZERO = np.float32(0)


@loop
def moments(work, x, mean, squares):
    """mean[p] = Σ x[p] / hw, squares[p] = Σ (x[p] - mean[p])²; the plane stays in the cache between the two."""
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            plane = (x[p].ctypes.data,)
            (total,) = sum_of_plane(plane, (ZERO,), hw)
            mean[p] = total / np.float32(hw)
            (squares[p],) = sum_of_squares(plane, (mean[p],), hw)


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


ALL, ABOVE_ZERO, ABOVE_ZERO_BY_X, BY_GELU = range(4)
"""What becomes of gradients: all of them count; those where y > 0; those where scale x + shift > 0, when y is not
read; all, times gelu'(scale x + shift).
"""


@loop
def sums(work, gy, y, x, mean, scale, shift, which, g, total, products):
    """total[p] = Σ g[p], products[p] = Σ g[p] (x[p] - mean[p]), where g is what `which` makes of gy.

    g is written for `BY_GELU` only, else it may be empty, as y may where it is not read.
    """
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b = mean[p], scale[p], shift[p]
            pair = (gy[p].ctypes.data, x[p].ctypes.data)
            if which == ABOVE_ZERO_BY_X:
                both = sums_of_cut_products_by_x(pair, (own, a, b), hw)
            elif which == ABOVE_ZERO:
                both = sums_of_cut_products((*pair, y[p].ctypes.data), (own,), hw)
            elif which == BY_GELU:
                for i in range(hw):
                    g[p, i] = gy[p, i] * gelu_slope(a * x[p, i] + b)
                both = sums_of_products((g[p].ctypes.data, pair[1]), (own,), hw)
            else:
                both = sums_of_products(pair, (own,), hw)
            total[p], products[p] = both


@loop
def combine(work, gy, y, x, mean, scale, shift, which, by_g, by_x, by_one, gx, gr):
    """gx[p] = by_g[p] g[p] + by_x[p] (x[p] - mean[p]) + by_one[p], with g as in `sums`.

    `ABOVE_ZERO` writes gr = g; with `BY_GELU` gx is g before: of one array under two names the compiler makes no
    vectors.
    """
    hw = x.shape[1]
    for start, stop in turns(work):
        for p in range(start, stop):
            own, a, b, c = mean[p], by_g[p], by_x[p], by_one[p]
            if which == ABOVE_ZERO_BY_X:
                d, e = scale[p], shift[p]
                for i in range(hw):
                    g = gy[p, i] if d * x[p, i] + e > 0 else ZERO
                    gx[p, i] = a * g + b * (x[p, i] - own) + c
            elif which == ABOVE_ZERO:
                for i in range(hw):
                    g = gy[p, i] if y[p, i] > 0 else ZERO
                    gr[p, i] = g
                    gx[p, i] = a * g + b * (x[p, i] - own) + c
            elif which == BY_GELU:
                for i in range(hw):
                    gx[p, i] = a * gx[p, i] + b * (x[p, i] - own) + c
            else:
                for i in range(hw):
                    gx[p, i] = a * gy[p, i] + b * (x[p, i] - own) + c


@loop
def add(work, a, b, y):
    """y = a + b, numbers in a row."""
    for start, stop in turns(work):
        one, other, own = a[start:stop], b[start:stop], y[start:stop]
        for i in range(len(own)):
            own[i] = one[i] + other[i]
