"""Winograd's transforms of eight channels at once, as vector instructions; `winograd` says what for.

Each is a matrix product from both sides. The matrices are full of 0, 1 and -1 and of pairs of rows that differ in
the signs of every other entry, so few operations make one. A pixel's eight channels lie side by side; `turn` and
`turn_back` bring them there and back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minise.kernels.numba.tiles import (
    INT32,
    INT64,
    LANES,
    VECTOR,
    ZEROS,
    load,
    muladd,
    numbers,
    pointer,
    store,
)

Vectors = list[Any]
Matrix = Callable[[Any, Vectors], Vectors]
_ADDRESS, _INT = types.uintp, types.intp
ROOT = math.sqrt(2)


def _constant(number: float) -> Any:
    return ir.Constant(VECTOR, [number] * LANES)


def _plus(b: Any, y: Any, factor: float, x: Any) -> Any:
    """y + factor x."""
    return muladd(b, _constant(factor), x, y)


def _times(b: Any, factor: float, x: Any) -> Any:
    return b.fmul(_constant(factor), x)


def _both(b: Any, even: Any, odd: Any) -> Vectors:
    """What a polynomial is at a point and at its negative, from its even and its odd part."""
    return [b.fadd(even, odd), b.fsub(even, odd)]


def _patch_2(b: Any, d: Vectors) -> Vectors:
    """Bᵀ d of 4 values."""
    return [b.fsub(d[0], d[2]), b.fadd(d[1], d[2]), b.fsub(d[2], d[1]), b.fsub(d[1], d[3])]


def _patch_4(b: Any, d: Vectors) -> Vectors:
    """Bᵀ d of 6 values."""
    first = _plus(b, b.fadd(d[0], d[4]), -2.5, d[2])
    last = _plus(b, b.fadd(d[1], d[5]), -2.5, d[3])
    inner = _both(b, _plus(b, d[4], -2, d[2]), _times(b, ROOT / 2, _plus(b, d[3], -2, d[1])))
    outer = _both(b, _plus(b, d[4], -0.5, d[2]), _times(b, ROOT, _plus(b, d[3], -0.5, d[1])))
    return [first, *inner, *outer, last]


def _gradient_2(b: Any, g: Vectors) -> Vectors:
    """A g of 2 values."""
    return [g[0], *_both(b, g[0], g[1]), b.fsub(ZEROS, g[1])]


def _gradient_4(b: Any, g: Vectors) -> Vectors:
    """A g of 4 values."""
    inner = _both(b, _plus(b, g[0], 0.5, g[2]), _times(b, ROOT / 2, _plus(b, g[1], 0.5, g[3])))
    outer = _both(b, _plus(b, g[0], 2, g[2]), _times(b, ROOT, _plus(b, g[1], 2, g[3])))
    return [g[0], *inner, *outer, g[3]]


def _back_2(b: Any, m: Vectors) -> Vectors:
    """Aᵀ m of 4 values."""
    return [b.fadd(b.fadd(m[0], m[1]), m[2]), b.fsub(b.fsub(m[1], m[2]), m[3])]


def _back_4(b: Any, m: Vectors) -> Vectors:
    """Aᵀ m of 6 values."""
    even_inner, odd_inner = _both(b, m[1], m[2])
    even_outer, odd_outer = _both(b, m[3], m[4])
    return [
        b.fadd(m[0], b.fadd(even_inner, even_outer)),
        _plus(b, _times(b, ROOT / 2, odd_inner), ROOT, odd_outer),
        _plus(b, _times(b, 0.5, even_inner), 2, even_outer),
        _plus(b, _plus(b, m[5], ROOT / 4, odd_inner), 2 * ROOT, odd_outer),
    ]


def _weights_2(b: Any, g: Vectors) -> Vectors:
    """G g of 3 values."""
    outer = b.fadd(g[0], g[2])
    return [g[0], *(_times(b, 0.5, v) for v in _both(b, outer, g[1])), g[2]]


def _weights_4(b: Any, g: Vectors) -> Vectors:
    """G g of 3 values."""
    inner = _both(b, _plus(b, g[0], 0.5, g[2]), _times(b, ROOT / 2, g[1]))
    outer = _both(b, _plus(b, g[0], 2, g[2]), _times(b, ROOT, g[1]))
    return [g[0], *(_times(b, -2 / 3, v) for v in inner), *(_times(b, 1 / 6, v) for v in outer), g[2]]


def _weights_back_2(b: Any, u: Vectors) -> Vectors:
    """Gᵀ u of 4 values."""
    even, odd = (_times(b, 0.5, v) for v in _both(b, u[1], u[2]))
    return [b.fadd(u[0], even), odd, b.fadd(u[3], even)]


def _weights_back_4(b: Any, u: Vectors) -> Vectors:
    """Gᵀ u of 6 values."""
    even_inner, odd_inner = (_times(b, -2 / 3, v) for v in _both(b, u[1], u[2]))
    even_outer, odd_outer = (_times(b, 1 / 6, v) for v in _both(b, u[3], u[4]))
    return [
        b.fadd(u[0], b.fadd(even_inner, even_outer)),
        _plus(b, _times(b, ROOT / 2, odd_inner), ROOT, odd_outer),
        _plus(b, _plus(b, u[5], 0.5, even_inner), 2, even_outer),
    ]


def _both_sides(builder: Any, matrix: Matrix, square: list[Vectors]) -> list[Vectors]:
    """The matrix times a square's columns, then times its rows."""
    columns = [matrix(builder, list(column)) for column in zip(*square, strict=True)]
    return [matrix(builder, list(row)) for row in zip(*columns, strict=True)]


def _transform(two: Matrix, four: Matrix, sizes: tuple[int, int]) -> Any:
    """A transform by the matrix of F(2 x 2) or of F(4 x 4), of squares of these sizes."""
    signature = types.void(_INT, _ADDRESS, _INT, _INT, _ADDRESS, _INT, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tile, x, x_row, x_column, y, y_row, y_column = arguments
        x, y = pointer(builder, x), pointer(builder, y)

        def at(i: int, row: Any, j: int, column: Any) -> Any:
            return builder.add(builder.mul(INT64(i), row), builder.mul(INT64(j), column))

        def emit(matrix: Matrix, size: int) -> None:
            square = [[load(builder, x, at(i, x_row, j, x_column)) for j in range(size)] for i in range(size)]
            for i, row in enumerate(_both_sides(builder, matrix, square)):
                for j, vector in enumerate(row):
                    store(builder, vector, y, at(i, y_row, j, y_column))

        with builder.if_else(builder.icmp_signed("==", tile, INT64(2))) as (then, otherwise):
            with then:
                emit(two, sizes[0])
            with otherwise:
                emit(four, sizes[1])
        return context.get_dummy_value()

    @intrinsic
    def transform_square(context, tile, x, x_row, x_column, y, y_row, y_column):
        """The square at y from that at x, for tiles of 2 or 4; so many numbers lie between rows and columns."""
        return signature, generate

    return transform_square


patch = _transform(_patch_2, _patch_4, (4, 6))
gradient = _transform(_gradient_2, _gradient_4, (2, 4))
back = _transform(_back_2, _back_4, (4, 6))
weights = _transform(_weights_2, _weights_4, (3, 3))
weights_back = _transform(_weights_back_2, _weights_back_4, (4, 6))


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
