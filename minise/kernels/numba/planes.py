"""The loops under the fused norm's numba kernels. A *plane* is one channel of one image: hw numbers in a row.

Batch norm, SE's gate and their gradients are affine in a plane's pixels, so the work on pixels is a few loops with
two or three coefficients a plane; all else is arithmetic on tables of (n, c) or (c,) numbers.
The compiler may reorder nothing here (no fastmath): sums run in vectors of 8, what is over at a plane's end last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minise.kernels.numba.gelu import gelu, gelu_slope
from minise.kernels.numba.parallel import loop, turns
from minise.kernels.numba.tiles import INT32, INT64, LANES, ZEROS, element, load, pointers, splat, sum_lanes

Vectors = list[Any]


def _plane_sums(arrays: int, terms: Callable[[Any, Vectors, Vectors], Vectors], results: int) -> Any:
    """Sums over a plane: `terms` makes vectors of what is added up from a vector of each array and the plane's
    numbers, each of them in all lanes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addresses, own, count = arguments
        starts = pointers(builder, *cgutils.unpack_tuple(builder, addresses))
        splats = [splat(builder, number) for number in cgutils.unpack_tuple(builder, own)]
        whole = builder.sdiv(count, INT64(LANES))
        past = builder.mul(whole, INT64(LANES))

        def add_up(
            totals: Vectors, count: Any, read: Callable[[Any, Any], Any], take: Callable[[Any], Any]
        ) -> None:
            with cgutils.for_range(builder, count, intp=INT64) as loop:
                found = terms(builder, [read(start, loop.index) for start in starts], splats)
                for total, term in zip(totals, found, strict=True):
                    builder.store(builder.fadd(builder.load(total), take(term)), total)

        def eight(start: Any, i: Any) -> Any:
            return load(builder, start, builder.mul(i, INT64(LANES)))

        def one(start: Any, i: Any) -> Any:
            return splat(builder, element(builder, start, builder.add(past, i)))

        lanes = [cgutils.alloca_once(builder, ZEROS.type) for _ in range(results)]
        for total in lanes:
            builder.store(ZEROS, total)
        add_up(lanes, whole, eight, lambda term: term)
        sums = [
            cgutils.alloca_once_value(builder, sum_lanes(builder, builder.load(total))) for total in lanes
        ]
        rest = builder.sub(count, past)
        add_up(sums, rest, one, lambda term: builder.extract_element(term, INT32(0)))
        return context.make_tuple(builder, signature.return_type, [builder.load(total) for total in sums])

    @intrinsic
    def plane_sums(context, addresses, own, count):
        """A tuple of sums over `count` numbers of each array: in eight lanes, what is over at the end last."""
        packs = types.UniTuple(types.intp, arrays), own, types.intp
        return types.UniTuple(types.float32, results)(*packs), generate

    return plane_sums


def _squares(builder: Any, vectors: Vectors, own: Vectors) -> Vectors:
    """x, mean -> (x - mean)²."""
    centred = builder.fsub(vectors[0], own[0])
    return [builder.fmul(centred, centred)]


def _products(builder: Any, vectors: Vectors, own: Vectors) -> Vectors:
    """g, x, mean -> g and g (x - mean)."""
    g, x = vectors
    return [g, builder.fmul(g, builder.fsub(x, own[0]))]


def _cut_products(builder: Any, vectors: Vectors, own: Vectors) -> Vectors:
    """g, x, y, mean -> the same, with 0 for g where y <= 0."""
    g, x, y = vectors
    return _products(builder, [builder.select(builder.fcmp_ordered(">", y, ZEROS), g, ZEROS), x], own)


def _cut_products_by_x(builder: Any, vectors: Vectors, own: Vectors) -> Vectors:
    """g, x, mean, scale, shift -> the same for y = scale x + shift."""
    g, x = vectors
    y = builder.fadd(builder.fmul(own[1], x), own[2])
    return _cut_products(builder, [g, x, y], own)


sum_of_plane = _plane_sums(1, lambda builder, vectors, own: vectors, 1)
sum_of_squares = _plane_sums(1, _squares, 1)
sums_of_products = _plane_sums(2, _products, 2)
sums_of_cut_products = _plane_sums(3, _cut_products, 2)
sums_of_cut_products_by_x = _plane_sums(2, _cut_products_by_x, 2)

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
