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

from minise.kernels.numba.tiles import (
    INT32,
    INT64,
    LANES,
    VECTOR,
    element,
    emitted,
    lines,
    load,
    muladd,
    pointers,
    shuffled,
    store,
)

TILE, PLACES = 4, 36
"""y is cut into squares of 4 x 4, and a patch of x has 6 x 6 places."""
Vectors = list[Any]
Matrix = Callable[[Any, Vectors], Vectors]
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


def _patch(b: Any, d: Vectors) -> Vectors:
    """Bᵀ d of 6 values."""
    first = _plus(b, b.fadd(d[0], d[4]), -2.5, d[2])
    last = _plus(b, b.fadd(d[1], d[5]), -2.5, d[3])
    inner = _both(b, _plus(b, d[4], -2, d[2]), _times(b, ROOT / 2, _plus(b, d[3], -2, d[1])))
    outer = _both(b, _plus(b, d[4], -0.5, d[2]), _times(b, ROOT, _plus(b, d[3], -0.5, d[1])))
    return [first, *inner, *outer, last]


def _gradient(b: Any, g: Vectors) -> Vectors:
    """A g of 4 values."""
    inner = _both(b, _plus(b, g[0], 0.5, g[2]), _times(b, ROOT / 2, _plus(b, g[1], 0.5, g[3])))
    outer = _both(b, _plus(b, g[0], 2, g[2]), _times(b, ROOT, _plus(b, g[1], 2, g[3])))
    return [g[0], *inner, *outer, g[3]]


def _back(b: Any, m: Vectors) -> Vectors:
    """Aᵀ m of 6 values."""
    even_inner, odd_inner = _both(b, m[1], m[2])
    even_outer, odd_outer = _both(b, m[3], m[4])
    return [
        b.fadd(m[0], b.fadd(even_inner, even_outer)),
        _plus(b, _times(b, ROOT / 2, odd_inner), ROOT, odd_outer),
        _plus(b, _times(b, 0.5, even_inner), 2, even_outer),
        _plus(b, _plus(b, m[5], ROOT / 4, odd_inner), 2 * ROOT, odd_outer),
    ]


def _weights(b: Any, g: Vectors) -> Vectors:
    """G g of 3 values."""
    inner = _both(b, _plus(b, g[0], 0.5, g[2]), _times(b, ROOT / 2, g[1]))
    outer = _both(b, _plus(b, g[0], 2, g[2]), _times(b, ROOT, g[1]))
    return [g[0], *(_times(b, -2 / 3, v) for v in inner), *(_times(b, 1 / 6, v) for v in outer), g[2]]


def _weights_back(b: Any, u: Vectors) -> Vectors:
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


def _transform(matrix: Matrix, size: int) -> Any:
    """The transform by a matrix of squares of this size."""

    @emitted
    def transform_square(builder, x, x_row, x_column, y, y_row, y_column):
        """The square at y from that at x; so many numbers lie between rows and columns."""
        x, y = pointers(builder, x, y)

        def at(i: int, row: Any, j: int, column: Any) -> Any:
            return builder.add(builder.mul(INT64(i), row), builder.mul(INT64(j), column))

        square = [[load(builder, x, at(i, x_row, j, x_column)) for j in range(size)] for i in range(size)]
        for i, row in enumerate(_both_sides(builder, matrix, square)):
            for j, vector in enumerate(row):
                store(builder, vector, y, at(i, y_row, j, y_column))

    return transform_square


patch, gradient, back = _transform(_patch, 6), _transform(_gradient, 4), _transform(_back, 6)
weights, weights_back = _transform(_weights, 3), _transform(_weights_back, 6)


def _transposed(builder: Any, rows: Vectors) -> Vectors:
    """Eight vectors for eight, rows for columns."""
    rows = list(rows)
    for half in (4, 2, 1):  # swap the off-diagonal quarters of every square of 2·half by 2·half
        low = [j // half % 2 * LANES + j // (2 * half) * 2 * half + j % half for j in range(LANES)]
        for i in range(LANES):
            if i // half % 2 == 0:
                a, b = rows[i], rows[i + half]
                rows[i] = shuffled(builder, low, a, b)
                rows[i + half] = shuffled(builder, (j + half for j in low), a, b)
    return rows


@emitted
def turn(builder, x, first, count, size, y, places):
    """y[places[j] + i] = x[size min(first + i, count - 1) + j] for i, j < 8.

    That is eight pixels of eight channels, channels side by side.
    """
    x, y = pointers(builder, x, y)
    (places,) = pointers(builder, places, kind=INT32)
    rows = [load(builder, x, at) for at in lines(builder, first, count, size, LANES)]
    for j, column in enumerate(_transposed(builder, rows)):
        store(builder, column, y, element(builder, places, INT64(j)))


@emitted
def turn_back(builder, x, y, first, count, size):
    """y[size min(first + i, count - 1) + j] = x[8 j + i] for i, j < 8."""
    x, y = pointers(builder, x, y)
    pixels = [load(builder, x, INT64(j * LANES)) for j in range(LANES)]
    for at, channel in zip(
        lines(builder, first, count, size, LANES), _transposed(builder, pixels), strict=True
    ):
        store(builder, channel, y, at)
