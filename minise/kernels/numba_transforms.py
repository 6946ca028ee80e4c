"""Winograd's transforms for eight tiles at once, as vector instructions; `numba_winograd` says what for.

Each is a matrix product from both sides with one of the matrices below, all of whose entries are 0, 1 or -1: so
they are additions. A tile's 4 x 4 results lie `stride` numbers apart from one another, lanes are tiles.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minise.kernels.numba_tiles import (
    FLOAT,
    INT32,
    INT64,
    LANES,
    ROWS,
    WIDE,
    ZEROS,
    accumulators,
    add_product,
    load,
    numbers,
    pointer,
    store,
)

Vectors = list[Any]
_ADDRESS, _INT = types.uintp, types.intp


def _patch(b: Any, d: Vectors) -> Vectors:
    """Bᵀ d of 4 values."""
    return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]


def _gradient(b: Any, g: Vectors) -> Vectors:
    """A g of 2 values."""
    return [g[0], b.fadd(g[0], g[1]), b.fsub(g[0], g[1]), b.fsub(ZEROS, g[1])]


def _back(b: Any, m: Vectors) -> Vectors:
    """Aᵀ m of 4 values."""
    return [b.fadd(b.fadd(m[0], m[1]), m[2]), b.fsub(b.fsub(m[1], m[2]), m[3])]


def _both_sides(builder: Any, transform: Any, square: list[Vectors]) -> list[Vectors]:
    """The transform of a square's columns, then of its rows."""
    columns = [transform(builder, list(column)) for column in zip(*square, strict=True)]
    return [transform(builder, list(row)) for row in zip(*columns, strict=True)]


def _at(builder: Any, numbers: int, step: Any) -> Any:
    return builder.mul(INT64(numbers), step)


def _phase(builder: Any, x: Any, plane: Any, pitch: Any, r: int, s: int) -> Any:
    """Pixel (r, s) of eight neighbouring patches, two pixels apart: neighbours in the plane of its phase."""
    at = builder.add(_at(builder, r % 2 * 2 + s % 2, plane), _at(builder, r // 2, pitch))
    return load(builder, x, builder.add(at, INT64(s // 2)))


def _store_square(builder: Any, square: list[Vectors], y: Any, stride: Any) -> None:
    for i, vector in enumerate(v for row in square for v in row):
        store(builder, vector, y, _at(builder, i, stride))


def _from_phases(transform: Any, pixels: tuple[int, ...]) -> Any:
    signature = types.void(_ADDRESS, _INT, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, plane, pitch, y, stride = arguments
        x, y = pointer(builder, x), pointer(builder, y)
        square = [[_phase(builder, x, plane, pitch, r, s) for s in pixels] for r in pixels]
        _store_square(builder, _both_sides(builder, transform, square), y, stride)
        return context.get_dummy_value()

    @intrinsic
    def tile(context, x, plane, pitch, y, stride):
        """The transform of the pixels of eight tiles, found in the phase planes at x."""
        return signature, generate

    return tile


patch_tile = _from_phases(_patch, (0, 1, 2, 3))
gradient_tile = _from_phases(_gradient, (1, 2))


@intrinsic
def back_tile(context, m, stride, y, pitch):
    """Two rows of 16 pixels, y and y + pitch, from the products of eight tiles."""
    signature = types.void(_ADDRESS, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        m, stride, y, pitch = arguments
        m, y = pointer(builder, m), pointer(builder, y)
        square = [[load(builder, m, _at(builder, 4 * i + j, stride)) for j in range(4)] for i in range(4)]
        for i, (even, odd) in enumerate(_both_sides(builder, _back, square)):
            for half in range(2):
                lanes = [
                    lane for j in range(half * 4, half * 4 + 4) for lane in (j, j + LANES)
                ]  # one of even, one of odd
                mask = ir.Constant(ir.VectorType(INT32, LANES), lanes)
                row = builder.shuffle_vector(even, odd, mask)
                store(builder, row, y, builder.add(_at(builder, i, pitch), INT64(half * LANES)))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def split(context, x, even, odd):
    """even[j] = x[2 j], odd[j] = x[2 j + 1] for j < 4."""
    signature = types.void(_ADDRESS, _ADDRESS, _ADDRESS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, even, odd = (pointer(builder, a) for a in arguments)
        vector = load(builder, x, INT64(0))
        for first, target in ((0, even), (1, odd)):
            lanes = ir.Constant(ir.VectorType(INT32, LANES // 2), list(range(first, LANES, 2)))
            store(builder, builder.shuffle_vector(vector, vector, lanes), target, INT64(0))
        return context.get_dummy_value()

    return signature, generate


def _sums_of_four(builder: Any, vectors: Vectors) -> Any:
    """[Σ a, Σ b, Σ c, Σ d] of four vectors, in 7 shuffles: halves are folded while two vectors share one."""

    def fold(a: Any, b: Any, low: list[int], high: list[int]) -> Any:
        masks = (ir.Constant(ir.VectorType(INT32, len(lanes)), lanes) for lanes in (low, high))
        return builder.fadd(*(builder.shuffle_vector(a, b, mask) for mask in masks))

    a, b, c, d = vectors
    ac = fold(a, c, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    bd = fold(b, d, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    abcd = fold(ac, bd, [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15])
    return fold(abcd, abcd, [0, 2, 4, 6], [1, 3, 5, 7])


_COLUMNS, _ROWS = types.UniTuple(_INT, WIDE), types.UniTuple(_INT, ROWS)


@intrinsic
def dot_tile(context, x, x_at, g, g_at, count, y, step):
    """y[step v + r] += Σ_i g[g_at[r] + i] x[x_at[v] + i] over 8 count numbers i, for 4 rows r and 3 columns v."""
    signature = types.void(_ADDRESS, _COLUMNS, _ADDRESS, _ROWS, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from numba.core import cgutils

        x, x_at, g, g_at, count, y, step = arguments
        x, g, y = (pointer(builder, a) for a in (x, g, y))
        xs = [builder.gep(x, [at]) for at in numbers(builder, x_at, WIDE)]
        gs = [builder.gep(g, [at]) for at in numbers(builder, g_at, ROWS)]
        tile = accumulators(builder)
        with cgutils.for_range(builder, count, intp=INT64) as loop:
            at = builder.mul(loop.index, INT64(LANES))
            columns = [load(builder, start, at) for start in xs]
            for start, row in zip(gs, tile, strict=True):
                gradient = load(builder, start, at)
                for accumulator, column in zip(row, columns, strict=True):
                    add_product(builder, accumulator, gradient, column)
        for v in range(WIDE):
            sums = _sums_of_four(builder, [builder.load(row[v]) for row in tile])
            four = builder.bitcast(
                builder.gep(y, [_at(builder, v, step)]), ir.VectorType(FLOAT, ROWS).as_pointer()
            )
            held = builder.load(four)
            held.align = 4
            builder.store(builder.fadd(held, sums), four).align = 4
        return context.get_dummy_value()

    return signature, generate
