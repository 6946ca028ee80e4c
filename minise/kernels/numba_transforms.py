"""Winograd's transforms, eight at once, as vector instructions; `numba_winograd` says what for.

Each is a matrix product from both sides with one of the matrices below, all of whose entries are 0, 1 or -1: so
they are additions. A tile's 4 x 4 results lie `stride` numbers apart from one another. Lanes are eight neighbouring
tiles of a channel, or eight channels of a tile.
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
    ZEROS,
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


@intrinsic
def patch_tile(context, x, plane, pitch, y, stride):
    """The transform of the patches of eight neighbouring tiles, found in the phase planes at x."""
    signature = types.void(_ADDRESS, _INT, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, plane, pitch, y, stride = arguments
        x, y = pointer(builder, x), pointer(builder, y)
        square = [[_phase(builder, x, plane, pitch, r, s) for s in range(4)] for r in range(4)]
        _store_square(builder, _both_sides(builder, _patch, square), y, stride)
        return context.get_dummy_value()

    return signature, generate


def _of_channels(transform: Any, size: int) -> Any:
    signature = types.void(_ADDRESS, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, pitch, y, stride = arguments
        x, y = pointer(builder, x), pointer(builder, y)

        def pixel(r: int, s: int) -> Any:
            return load(builder, x, builder.add(_at(builder, r, pitch), INT64(s * LANES)))

        square = [[pixel(r, s) for s in range(size)] for r in range(size)]
        _store_square(builder, _both_sides(builder, transform, square), y, stride)
        return context.get_dummy_value()

    @intrinsic
    def tile(context, x, pitch, y, stride):
        """The transform of a tile's pixels in eight channels, which lie beside one another; rows `pitch` apart."""
        return signature, generate

    return tile


patch_of_channels = _of_channels(_patch, 4)
gradient_of_channels = _of_channels(_gradient, 2)


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


@intrinsic
def turn(context, x, x_at, y, places):
    """y[places[j] + i] = x[x_at[i] + j] for i, j < 8: eight pixels of eight channels, channels side by side."""
    signature = types.void(_ADDRESS, types.UniTuple(_INT, LANES), _ADDRESS, _ADDRESS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, y, places = arguments
        x, y, places = pointer(builder, x), pointer(builder, y), pointer(builder, places, INT32)
        rows = [load(builder, x, at) for at in numbers(builder, x_at, LANES)]
        for half in (4, 2, 1):  # swap the off-diagonal quarters of every square of 2·half by 2·half
            low, high = (
                ir.Constant(
                    ir.VectorType(INT32, LANES),
                    [
                        j // half % 2 * LANES + j // (2 * half) * 2 * half + j % half + first
                        for j in range(LANES)
                    ],
                )
                for first in (0, half)
            )
            for i in range(LANES):
                if i // half % 2 == 0:
                    a, b = rows[i], rows[i + half]
                    rows[i] = builder.shuffle_vector(a, b, low)
                    rows[i + half] = builder.shuffle_vector(a, b, high)
        for j, column in enumerate(rows):
            at = builder.sext(builder.load(builder.gep(places, [INT64(j)])), INT64)
            store(builder, column, y, at)
        return context.get_dummy_value()

    return signature, generate
