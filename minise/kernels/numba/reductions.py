"""Reductions as vector instructions: sums over planes, and the largest of a window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minise.kernels.numba.tiles import (
    INT32,
    INT64,
    LANES,
    ZEROS,
    element,
    emitted,
    load,
    pointers,
    splat,
    store,
    sum_lanes,
)

Vectors = list[Any]


@emitted
def pool_tile(builder, top, low, y, winner):
    """y[j] = the largest of top[2 j], top[2 j + 1], low[2 j] and low[2 j + 1], winner[j] its place, for j < 4.

    The first of equal values wins, not-a-number always.
    """
    top, low, y = pointers(builder, top, low, y)
    byte, four = ir.IntType(8), LANES // 2
    (winner,) = pointers(builder, winner, kind=byte)
    places = [ir.Constant(ir.VectorType(byte, four), [i] * four) for i in range(4)]
    masks = [ir.Constant(ir.VectorType(INT32, four), list(range(first, LANES, 2))) for first in range(2)]
    rows = [load(builder, row, INT64(0)) for row in (top, low)]
    values = [builder.shuffle_vector(row, row, mask) for row in rows for mask in masks]
    best, place = values[0], places[0]
    for value, own in zip(values[1:], places[1:], strict=True):
        no_number = builder.fcmp_unordered("uno", value, value)
        wins = builder.or_(builder.fcmp_ordered(">", value, best), no_number)
        best, place = builder.select(wins, value, best), builder.select(wins, own, place)
    store(builder, best, y, INT64(0))
    store(builder, place, winner, INT64(0))


def _plane_sums(arrays: int, terms: Callable[[Any, Vectors, Vectors], Vectors], results: int) -> Any:
    """Sums over a plane: `terms` makes vectors of what is added up from a vector of each array and the plane's
    numbers, each of them in all lanes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addresses, own, count = arguments
        starts = pointers(builder, *cgutils.unpack_tuple(builder, addresses))
        splats = [splat(builder, number) for number in cgutils.unpack_tuple(builder, own)]
        whole = builder.sdiv(count, INT64(LANES))
        totals = [cgutils.alloca_once(builder, ZEROS.type) for _ in range(results)]
        for total in totals:
            builder.store(ZEROS, total)
        with cgutils.for_range(builder, whole, intp=INT64) as loop:
            at = builder.mul(loop.index, INT64(LANES))
            found = terms(builder, [load(builder, start, at) for start in starts], splats)
            for total, term in zip(totals, found, strict=True):
                builder.store(builder.fadd(builder.load(total), term), total)
        sums = [
            cgutils.alloca_once_value(builder, sum_lanes(builder, builder.load(total))) for total in totals
        ]
        with cgutils.for_range_slice(
            builder, builder.mul(whole, INT64(LANES)), count, INT64(1), intp=INT64
        ) as (i, _):
            found = terms(builder, [splat(builder, element(builder, start, i)) for start in starts], splats)
            for total, term in zip(sums, found, strict=True):
                one = builder.extract_element(term, INT32(0))
                builder.store(builder.fadd(builder.load(total), one), total)
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
