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


def whole(count: int, step: int) -> int:
    """`count` rounded up to a multiple of `step`."""
    return -(-count // step) * step


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


def shuffled(builder: Any, lanes: Iterable[int], a: Any, b: Any | None = None) -> Any:
    """The lanes of a, and after them those of b, that are named."""
    mask = list(lanes)
    return builder.shuffle_vector(
        a, a if b is None else b, ir.Constant(ir.VectorType(INT32, len(mask)), mask)
    )


def splat(builder: Any, number: Any) -> Any:
    """A vector of eight times the same number."""
    first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), number, INT32(0))
    return shuffled(builder, [0] * LANES, first)


def muladd(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, in one instruction where the processor has it."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    name = f"llvm.fmuladd.v{LANES}f32"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


def sum_lanes(builder: Any, vector: Any) -> Any:
    """The sum of a vector's numbers: its halves are added, then their halves, and so on."""
    for half in (4, 2, 1):
        low, high = (shuffled(builder, range(first, first + half), vector) for first in (0, half))
        vector = builder.fadd(low, high)
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


def vectors(builder: Any, starts: list[Any], at: Any) -> list[Any]:
    """The vector at each of some starts."""
    return [load(builder, start, at) for start in starts]


def splats(builder: Any, base: Any, at: Any, step: int, how_many: int) -> Iterable[Any]:
    """base[at], base[at + step], …, each of them in all lanes; made when the next one is asked for."""
    return (splat(builder, element(builder, base, plus(builder, at, r * step))) for r in range(how_many))


def store_tile(builder: Any, tile: list[list[Any]], y: Any, rows: list[Any], *, add: bool = False) -> None:
    """Write a tile to where its rows begin in y, or add it to what is there."""
    for start, totals in zip(rows, tile, strict=True):
        for v, total in enumerate(totals):
            at = plus(builder, start, v * LANES)
            store(builder, builder.fadd(load(builder, y, at), total) if add else total, y, at)


def multiples(builder: Any, step: Any, how_many: int) -> list[Any]:
    """0, step, 2 step, …"""
    return [builder.mul(INT64(i), step) for i in range(how_many)]


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
        tile = sums_of_products(
            *(builder, m, (ROWS, wide)),
            rows=lambda i: splats(builder, w, builder.mul(i, INT64(ROWS)), 1, ROWS),
            columns=lambda i: vectors(builder, starts, element(builder, offsets, i)),
        )
        store_tile(builder, tile, y, y_rows)

    by_width(builder, wide, emit)


@emitted
def product_tile(builder, x, panel, count, w, wide, y, step):
    """y[step r + 8 v + lane] = Σ_c x[panel (c // 8) + 8 r + c % 8] w[c, v, lane], c < count.

    For 6 rows r and `wide` vectors v, two at most.
    """
    x, w, y = pointers(builder, x, w, y)

    def numbers(c: Any) -> Iterable[Any]:
        lane = builder.and_(c, INT64(LANES - 1))
        at = builder.add(builder.mul(builder.udiv(c, INT64(LANES)), panel), lane)
        return splats(builder, x, at, LANES, TALL)

    def emit(wide: int) -> None:
        starts = [builder.gep(w, [INT64(v * LANES)]) for v in range(wide)]
        tile = sums_of_products(
            *(builder, count, (TALL, wide)),
            rows=numbers,
            columns=lambda c: vectors(builder, starts, builder.mul(c, INT64(wide * LANES))),
        )
        store_tile(builder, tile, y, multiples(builder, step, TALL))

    by_width(builder, wide, emit, most=2)


@emitted
def sum_tile(builder, x, panel, wide, g, count, y, step):
    """y[step r + 8 v + lane] += Σ_i g[8 i + r] x[panel v + 8 i + lane], i < count.

    For 4 rows r and `wide` vectors v, three at most.
    """
    x, g, y = pointers(builder, x, g, y)

    def emit(wide: int) -> None:
        starts = [builder.gep(x, [at]) for at in multiples(builder, panel, wide)]
        tile = sums_of_products(
            *(builder, count, (ROWS, wide)),
            rows=lambda i: splats(builder, g, builder.mul(i, INT64(LANES)), 1, ROWS),
            columns=lambda i: vectors(builder, starts, builder.mul(i, INT64(LANES))),
        )
        store_tile(builder, tile, y, multiples(builder, step, ROWS), add=True)

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

    def under(starts: list[Any], which: int, i: Any) -> list[Any]:
        pixel = plus(builder, builder.mul(i, INT64(2)), which)
        return vectors(builder, starts, element(builder, pixels, pixel))

    tile = sums_of_products(builder, count, (ROWS, WIDE), partial(under, gs, 1), partial(under, xs, 0))
    for i, total in enumerate(total for row in tile for total in row):
        builder.store(sum_lanes(builder, total), builder.gep(sums, [INT64(i)]))
