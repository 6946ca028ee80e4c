"""The tiles of the compiled loops: what they keep in registers, written as vector instructions.

A product of matrices is fast when it keeps a tile of its results in registers while it runs over the sum, and no
compiler finds that by itself; so the tiles are LLVM code, emitted through a `builder`, which numba puts into its
loops. Addresses are plain integers, as `array.ctypes.data` gives them. Which numbers are added to which is written
out: a result is the same bit for bit however often, and into whatever, a loop is compiled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES, ROWS, WIDE = 8, 4, 3
"""Numbers in a vector, rows in a tile, vectors (or columns) in a tile: 12 sums and 4 operands fill 16 registers."""
TALL = 6
"""Rows in a tile of one or two vectors."""

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ZEROS = ir.Constant(VECTOR, [0.0] * LANES)


def emitted(emit: Callable[..., None]) -> Any:
    """What numba's loops call for the code that `emit` appends to a builder, from integers and addresses."""
    signature = types.void(*[types.intp] * (len(inspect.signature(emit).parameters) - 1))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit(builder, *arguments)
        return context.get_dummy_value()

    @wraps(emit)
    def typed(context: Any, *arguments: Any) -> Any:
        return signature, generate

    return intrinsic(typed)


def load(builder: Any, base: Any, index: Any) -> Any:
    """base[index : index + 8] as a vector."""
    vector = builder.load(builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer()))
    vector.align = 4
    return vector


def store(builder: Any, vector: Any, base: Any, index: Any) -> None:
    """base[index : index + 8] = vector."""
    target = builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer())
    builder.store(vector, target).align = 4


def splat(builder: Any, number: Any) -> Any:
    """A vector of eight times the same number."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, INT32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INT32, LANES), [0] * LANES))


def muladd(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, in one instruction where the processor has it."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def sum_lanes(builder: Any, vector: Any) -> Any:
    """The sum of a vector's numbers: its halves are added, then their halves, and so on."""
    width = LANES
    while width > 1:
        width //= 2
        low, high = (
            ir.Constant(ir.VectorType(INT32, width), list(range(first, first + width)))
            for first in (0, width)
        )
        halves = [builder.shuffle_vector(vector, vector, half) for half in (low, high)]
        vector = builder.fadd(*halves)
    return builder.extract_element(vector, INT32(0))


def pointers(builder: Any, *addresses: Any, kind: Any = FLOAT) -> list[Any]:
    """Addresses as pointers."""
    return [builder.inttoptr(address, kind.as_pointer()) for address in addresses]


def element(builder: Any, base: Any, index: Any) -> Any:
    """base[index]; a small integer as a large one."""
    value = builder.load(builder.gep(base, [index]))
    return builder.sext(value, INT64) if value.type == INT32 else value


def plus(builder: Any, index: Any, offset: int) -> Any:
    """index + offset."""
    return builder.add(index, INT64(offset))


def lines(builder: Any, first: Any, count: Any, size: Any, how_many: int) -> list[Any]:
    """Where the lines first, first + 1, … of `count` lie, each of so many numbers; past the last one, that one."""
    last = plus(builder, count, -1)
    numbers = [plus(builder, first, i) for i in range(how_many)]
    inside = [builder.select(builder.icmp_signed("<", i, last), i, last) for i in numbers]
    return [builder.mul(i, size) for i in inside]


def sums_of_products(
    builder: Any,
    count: Any,
    shape: tuple[int, int],
    rows: Callable[[Any], Iterable[Any]],
    columns: Callable[[Any], list[Any]],
) -> list[list[Any]]:
    """Σ over i < count of rows(i)[r] columns(i)[v], a tile of sums that the compiler keeps in registers."""
    tile = [[cgutils.alloca_once(builder, VECTOR) for _ in range(shape[1])] for _ in range(shape[0])]
    for row in tile:
        for total in row:
            builder.store(ZEROS, total)
    with cgutils.for_range(builder, count, intp=INT64) as loop:
        vectors = columns(loop.index)
        for row, factor in zip(tile, rows(loop.index), strict=True):
            for total, vector in zip(row, vectors, strict=True):
                builder.store(muladd(builder, factor, vector, builder.load(total)), total)
    return [[builder.load(total) for total in row] for row in tile]


def by_width(builder: Any, wide: Any, emit: Callable[[int], None], most: int = WIDE) -> None:
    """emit(wide), for the number from 1 to `most` that it is while the loop runs."""
    if most == 1:
        emit(1)
        return
    with builder.if_else(builder.icmp_signed("==", wide, INT64(most))) as (then, otherwise):
        with then:
            emit(most)
        with otherwise:
            by_width(builder, wide, emit, most - 1)


@njit(inline="always")
def next_width(rest):
    """How many of the vectors that are left a tile takes: three, but not of four, which make two of two."""
    return 3 if rest == 3 or rest > 4 else min(rest, 2)


@emitted
def correlate_tile(builder, x, x_at, wide, offsets, m, w, y, y_at, row, rows, plane):
    """y[plane min(row + r, rows - 1) + y_at + 8 v + lane] = Σ_m w[m, r] x[offsets[m] + x_at[v] + lane].

    For 4 rows r and `wide` vectors v, three at most.
    """
    x, w, y = pointers(builder, x, w, y)
    (offsets,), (x_at,) = pointers(builder, offsets, kind=INT32), pointers(builder, x_at, kind=INT64)
    y_rows = [builder.add(start, y_at) for start in lines(builder, row, rows, plane, ROWS)]

    def emit(wide: int) -> None:
        starts = [builder.gep(x, [element(builder, x_at, INT64(v))]) for v in range(wide)]

        def pixels(i: Any) -> list[Any]:
            offset = element(builder, offsets, i)
            return [load(builder, start, offset) for start in starts]

        def weights(i: Any) -> Iterable[Any]:
            first = builder.mul(i, INT64(ROWS))
            return (splat(builder, element(builder, w, plus(builder, first, r))) for r in range(ROWS))

        tile = sums_of_products(builder, m, (ROWS, wide), weights, pixels)
        for start, totals in zip(y_rows, tile, strict=True):
            for v, total in enumerate(totals):
                store(builder, total, y, plus(builder, start, v * LANES))

    by_width(builder, wide, emit)


@emitted
def product_tile(builder, x, offsets, m, w, wide, y, step):
    """y[step r + 8 v + lane] = Σ_m x[offsets[m] + 8 r] w[m, v, lane] for 6 rows r and one or two vectors v."""
    x, w, y = pointers(builder, x, w, y)
    (offsets,) = pointers(builder, offsets, kind=INT32)

    def emit(wide: int) -> None:
        def numbers(i: Any) -> Iterable[Any]:
            at = element(builder, offsets, i)
            return (splat(builder, element(builder, x, plus(builder, at, r * LANES))) for r in range(TALL))

        def weights(i: Any) -> list[Any]:
            first = builder.mul(i, INT64(wide * LANES))
            return [load(builder, w, plus(builder, first, v * LANES)) for v in range(wide)]

        for r, totals in enumerate(sums_of_products(builder, m, (TALL, wide), numbers, weights)):
            for v, total in enumerate(totals):
                store(builder, total, y, plus(builder, builder.mul(INT64(r), step), v * LANES))

    by_width(builder, wide, emit, most=2)


@emitted
def sum_tile(builder, x, panel, wide, g, count, y, step):
    """y[step r + 8 v + lane] += Σ_i g[8 i + r] x[panel v + 8 i + lane] for 4 rows r, `wide` vectors v, i < count."""
    x, g, y = pointers(builder, x, g, y)

    def emit(wide: int) -> None:
        starts = [builder.gep(x, [builder.mul(INT64(v), panel)]) for v in range(wide)]

        def vectors(i: Any) -> list[Any]:
            return [load(builder, start, builder.mul(i, INT64(LANES))) for start in starts]

        def numbers(i: Any) -> Iterable[Any]:
            at = builder.mul(i, INT64(LANES))
            return (splat(builder, element(builder, g, plus(builder, at, r))) for r in range(ROWS))

        for r, totals in enumerate(sums_of_products(builder, count, (ROWS, wide), numbers, vectors)):
            for v, total in enumerate(totals):
                at = plus(builder, builder.mul(INT64(r), step), v * LANES)
                store(builder, builder.fadd(load(builder, y, at), total), y, at)

    by_width(builder, wide, emit)


@emitted
def reduce_tile(builder, x, offsets, column, columns, g, row, rows, plane, pixels, count, sums):
    """sums[r, v] = Σ_i Σ_lane g[plane k + pixels[i, 1] + lane] x[offsets[m] + pixels[i, 0] + lane].

    For 4 rows k from `row` and 3 columns m from `column` on; the last of each is repeated past it.
    """
    x, g, sums = pointers(builder, x, g, sums)
    offsets, pixels = pointers(builder, offsets, pixels, kind=INT32)
    own = lines(builder, column, columns, INT64(1), WIDE)
    xs = [builder.gep(x, [element(builder, offsets, m)]) for m in own]
    gs = [builder.gep(g, [at]) for at in lines(builder, row, rows, plane, ROWS)]

    def vectors(starts: list[Any], which: int, i: Any) -> list[Any]:
        at = element(builder, pixels, plus(builder, builder.mul(i, INT64(2)), which))
        return [load(builder, start, at) for start in starts]

    tile = sums_of_products(builder, count, (ROWS, WIDE), partial(vectors, gs, 1), partial(vectors, xs, 0))
    for i, total in enumerate(total for row in tile for total in row):
        builder.store(sum_lanes(builder, total), builder.gep(sums, [INT64(i)]))
