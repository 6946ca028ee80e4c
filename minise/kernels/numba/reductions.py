"""Sums over planes as vector instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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
