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
    load,
    numbers,
    pointer,
    splat,
    store,
    sum_lanes,
)

_ADDRESS, _INT = types.uintp, types.intp


@intrinsic
def pool_tile(context, top, low, y, winner):
    """y[j] = the largest of top[2 j], top[2 j + 1], low[2 j] and low[2 j + 1], winner[j] its place, for j < 4.

    The first of equal values wins, not-a-number always.
    """
    signature = types.void(_ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS)
    four = LANES // 2
    byte = ir.IntType(8)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        top, low, y = (pointer(builder, a) for a in arguments[:3])
        rows = [load(builder, row, INT64(0)) for row in (top, low)]
        masks = [ir.Constant(ir.VectorType(INT32, four), list(range(first, LANES, 2))) for first in range(2)]
        values = [builder.shuffle_vector(row, row, mask) for row in rows for mask in masks]
        best, place = values[0], ir.Constant(ir.VectorType(byte, four), [0] * four)
        for i, value in enumerate(values[1:], start=1):
            wins = _wins(builder, value, best)
            best = builder.select(wins, value, best)
            place = builder.select(wins, ir.Constant(ir.VectorType(byte, four), [i] * four), place)
        store(builder, best, y, INT64(0))
        store(builder, place, pointer(builder, arguments[3], byte), INT64(0))
        return context.get_dummy_value()

    return signature, generate


def _wins(builder: Any, value: Any, best: Any) -> Any:
    """value > best, or value is not a number."""
    return builder.or_(builder.fcmp_ordered(">", value, best), builder.fcmp_unordered("uno", value, value))


def _plane_sums(arrays: int, terms: Callable[[Any, list[Any], list[Any]], list[Any]], results: int) -> Any:
    """Sums over a plane: `terms` makes vectors of what is added up from a vector of each array and the plane's
    numbers, each of them in all lanes.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        addresses, own, count = arguments
        starts = [pointer(builder, address) for address in numbers(builder, addresses, arrays)]
        splats = [splat(builder, number) for number in numbers(builder, own, signature.args[1].count)]
        totals = [cgutils.alloca_once_value(builder, ZEROS) for _ in range(results)]
        for total in totals:
            builder.store(ZEROS, total)
        with cgutils.for_range(builder, count, intp=INT64) as loop:
            at = builder.mul(loop.index, INT64(LANES))
            found = terms(builder, [load(builder, start, at) for start in starts], splats)
            for total, term in zip(totals, found, strict=True):
                builder.store(builder.fadd(builder.load(total), term), total)
        sums = [sum_lanes(builder, builder.load(total)) for total in totals]
        return context.make_tuple(builder, signature.return_type, sums)

    @intrinsic
    def plane_sums(context, addresses, own, count):
        """A tuple of sums over `count` vectors of each array."""
        return types.UniTuple(types.float32, results)(types.UniTuple(_ADDRESS, arrays), own, _INT), generate

    return plane_sums


def _squares(builder: Any, vectors: list[Any], own: list[Any]) -> list[Any]:
    """x, mean -> (x - mean)²."""
    centred = builder.fsub(vectors[0], own[0])
    return [builder.fmul(centred, centred)]


def _products(builder: Any, vectors: list[Any], own: list[Any]) -> list[Any]:
    """g, x, mean -> g and g (x - mean)."""
    g, x = vectors
    return [g, builder.fmul(g, builder.fsub(x, own[0]))]


def _cut_products(builder: Any, vectors: list[Any], own: list[Any]) -> list[Any]:
    """g, x, y, mean -> the same, with 0 for g where y <= 0."""
    g, x, y = vectors
    return _products(builder, [builder.select(builder.fcmp_ordered(">", y, ZEROS), g, ZEROS), x], own)


def _cut_products_by_x(builder: Any, vectors: list[Any], own: list[Any]) -> list[Any]:
    """g, x, mean, scale, shift -> the same for y = scale x + shift."""
    g, x = vectors
    y = builder.fadd(builder.fmul(own[1], x), own[2])
    return _cut_products(builder, [g, x, y], own)


sum_of_plane = _plane_sums(1, lambda builder, vectors, own: vectors, 1)
sum_of_squares = _plane_sums(1, _squares, 1)
sums_of_products = _plane_sums(2, _products, 2)
sums_of_cut_products = _plane_sums(3, _cut_products, 2)
sums_of_cut_products_by_x = _plane_sums(2, _cut_products_by_x, 2)
