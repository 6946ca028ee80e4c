"""Winograd's transforms of eight channels at once, as vector instructions; `numba_winograd` says what for.

Each is a matrix product from both sides with one of the matrices, whose entries are 0, 1 or -1, and 1/2 for weights:
so they are additions. A pixel's eight channels lie side by side; `turn` and `turn_back` bring them there and back.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minise.kernels.numba_tiles import (
    INT32,
    INT64,
    LANES,
    VECTOR,
    ZEROS,
    load,
    numbers,
    pointer,
    store,
)

HALVES = ir.Constant(VECTOR, [0.5] * LANES)

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


def _weights(b: Any, g: Vectors) -> Vectors:
    """G g of 3 values."""
    outer = b.fadd(g[0], g[2])
    halves = [b.fmul(HALVES, f(outer, g[1])) for f in (b.fadd, b.fsub)]
    return [g[0], *halves, g[2]]


def _weights_back(b: Any, u: Vectors) -> Vectors:
    """Gᵀ u of 4 values."""
    plus, minus = (b.fmul(HALVES, f(u[1], u[2])) for f in (b.fadd, b.fsub))
    return [b.fadd(u[0], plus), minus, b.fadd(u[3], plus)]


def _both_sides(builder: Any, transform: Any, square: list[Vectors]) -> list[Vectors]:
    """The transform of a square's columns, then of its rows."""
    columns = [transform(builder, list(column)) for column in zip(*square, strict=True)]
    return [transform(builder, list(row)) for row in zip(*columns, strict=True)]


def _transform(transform: Any, size: int) -> Any:
    """A transform of `size` x `size` vectors."""
    signature = types.void(_ADDRESS, _INT, _INT, _ADDRESS, _INT, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_row, x_column, y, y_row, y_column = arguments
        x, y = pointer(builder, x), pointer(builder, y)

        def at(i: int, row: Any, j: int, column: Any) -> Any:
            return builder.add(builder.mul(INT64(i), row), builder.mul(INT64(j), column))

        square = [[load(builder, x, at(i, x_row, j, x_column)) for j in range(size)] for i in range(size)]
        for i, row in enumerate(_both_sides(builder, transform, square)):
            for j, vector in enumerate(row):
                store(builder, vector, y, at(i, y_row, j, y_column))
        return context.get_dummy_value()

    @intrinsic
    def transform_square(context, x, x_row, x_column, y, y_row, y_column):
        """The square at y from that at x; so many numbers lie between rows and between columns."""
        return signature, generate

    return transform_square


patch, gradient, back = _transform(_patch, 4), _transform(_gradient, 2), _transform(_back, 4)
weights, weights_back = _transform(_weights, 3), _transform(_weights_back, 4)


def _transposed(builder: Any, rows: Vectors) -> Vectors:
    """Eight vectors for eight, rows for columns."""
    rows = list(rows)
    for half in (4, 2, 1):  # swap the off-diagonal quarters of every square of 2·half by 2·half
        low, high = (
            ir.Constant(
                ir.VectorType(INT32, LANES),
                [j // half % 2 * LANES + j // (2 * half) * 2 * half + j % half + first for j in range(LANES)],
            )
            for first in (0, half)
        )
        for i in range(LANES):
            if i // half % 2 == 0:
                a, b = rows[i], rows[i + half]
                rows[i] = builder.shuffle_vector(a, b, low)
                rows[i + half] = builder.shuffle_vector(a, b, high)
    return rows


@intrinsic
def turn(context, x, x_at, y, places):
    """y[places[j] + i] = x[x_at[i] + j] for i, j < 8: eight pixels of eight channels, channels side by side."""
    signature = types.void(_ADDRESS, types.UniTuple(_INT, LANES), _ADDRESS, _ADDRESS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, y, places = arguments
        x, y, places = pointer(builder, x), pointer(builder, y), pointer(builder, places, INT32)
        rows = [load(builder, x, at) for at in numbers(builder, x_at, LANES)]
        for j, column in enumerate(_transposed(builder, rows)):
            at = builder.sext(builder.load(builder.gep(places, [INT64(j)])), INT64)
            store(builder, column, y, at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def turn_back(context, x, y, y_at):
    """y[y_at[i] + j] = x[8 j + i] for i, j < 8."""
    signature = types.void(_ADDRESS, _ADDRESS, types.UniTuple(_INT, LANES))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y, y_at = arguments
        x, y = pointer(builder, x), pointer(builder, y)
        pixels = [load(builder, x, INT64(j * LANES)) for j in range(LANES)]
        channels = _transposed(builder, pixels)
        for at, channel in zip(numbers(builder, y_at, LANES), channels, strict=True):
            store(builder, channel, y, at)
        return context.get_dummy_value()

    return signature, generate
