"""The tiles of the compiled loops: what they keep in registers, written as vector instructions.

A product of matrices is fast when it keeps a tile of its results in registers while it runs over the sum, and no
compiler finds that by itself; so the tiles are LLVM code, emitted through a `builder`, which numba puts into its
loops. Addresses are plain integers, as `array.ctypes.data` gives them. Which numbers are added to which is written
out: a result is the same bit for bit however often, and into whatever, a loop is compiled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES, ROWS, WIDE = 8, 4, 3
"""Numbers in a vector, rows in a tile, vectors (or columns) in a tile: 12 sums and 4 operands fill 16 registers."""
TALL = 6
"""Rows in a tile of one or two vectors."""

FLOAT, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ZEROS = ir.Constant(VECTOR, [0.0] * LANES)

_ADDRESS, _INT = types.uintp, types.intp
_ROWS, _WIDE = types.UniTuple(_INT, ROWS), types.UniTuple(_INT, WIDE)


def load(builder: Any, base: Any, index: Any) -> Any:
    """base[index : index + 8] as a vector."""
    vector = builder.load(builder.bitcast(builder.gep(base, [index]), VECTOR.as_pointer()))
    vector.align = 4
    return vector


def store(builder: Any, vector: Any, base: Any, index: Any) -> None:
    """base[index : index + lanes] = vector."""
    target = builder.bitcast(builder.gep(base, [index]), vector.type.as_pointer())
    builder.store(vector, target).align = 1 if vector.type.element == ir.IntType(8) else 4


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


def add_product(builder: Any, accumulator: Any, a: Any, b: Any) -> None:
    """accumulator += a b."""
    builder.store(muladd(builder, a, b, builder.load(accumulator)), accumulator)


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


def pointer(builder: Any, address: Any, kind: Any = FLOAT) -> Any:
    """An address as a pointer."""
    return builder.inttoptr(address, kind.as_pointer())


def numbers(builder: Any, pack: Any, count: int) -> list[Any]:
    """The members of a tuple."""
    return [builder.extract_value(pack, i) for i in range(count)]


def accumulators(builder: Any, wide: int = WIDE, rows: int = ROWS) -> list[list[Any]]:
    """rows x wide vectors of zeros, which the compiler keeps in registers."""
    tile = [[cgutils.alloca_once(builder, VECTOR) for _ in range(wide)] for _ in range(rows)]
    for row in tile:
        for accumulator in row:
            builder.store(ZEROS, accumulator)
    return tile


def _correlate_tile(wide: int) -> Any:
    """A tile of 4 rows by `wide` vectors."""
    where = types.UniTuple(_INT, wide)
    signature = types.void(_ADDRESS, _ADDRESS, _INT, _ADDRESS, _ADDRESS, where, _ROWS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, m, w, y, x_at, y_row, y_at = arguments
        x, w, y = (pointer(builder, a) for a in (x, w, y))
        offsets = pointer(builder, offsets, INT32)
        starts = [builder.gep(x, [at]) for at in numbers(builder, x_at, wide)]
        tile = accumulators(builder, wide)
        with cgutils.for_range(builder, m, intp=INT64) as loop:
            offset = builder.sext(builder.load(builder.gep(offsets, [loop.index])), INT64)
            pixels = [load(builder, start, offset) for start in starts]
            first = builder.mul(loop.index, INT64(ROWS))
            for r, row in enumerate(tile):
                weight = splat(builder, builder.load(builder.gep(w, [builder.add(first, INT64(r))])))
                for accumulator, vector in zip(row, pixels, strict=True):
                    add_product(builder, accumulator, vector, weight)
        for start, row in zip(numbers(builder, y_row, ROWS), tile, strict=True):
            first = builder.add(start, y_at)
            for v, accumulator in enumerate(row):
                store(builder, builder.load(accumulator), y, builder.add(first, INT64(v * LANES)))
        return context.get_dummy_value()

    @intrinsic
    def correlate_tile(context, x, offsets, m, w, y, x_at, y_row, y_at):
        """y[y_row[r] + y_at + 8 v + lane] = Σ_m w[m, r] x[offsets[m] + x_at[v] + lane] for rows r, vectors v."""
        return signature, generate

    return correlate_tile


tile_of_3, tile_of_2, tile_of_1 = (_correlate_tile(wide) for wide in (3, 2, 1))


def _product_tile(wide: int) -> Any:
    """A tile of 6 rows by `wide` vectors."""
    signature = types.void(_ADDRESS, _ADDRESS, _INT, _ADDRESS, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, m, w, y, step = arguments
        x, w, y = (pointer(builder, a) for a in (x, w, y))
        offsets = pointer(builder, offsets, INT32)
        tile = accumulators(builder, wide, TALL)
        with cgutils.for_range(builder, m, intp=INT64) as loop:
            offset = builder.sext(builder.load(builder.gep(offsets, [loop.index])), INT64)
            first = builder.mul(loop.index, INT64(wide * LANES))
            vectors = [load(builder, w, builder.add(first, INT64(v * LANES))) for v in range(wide)]
            for r, row in enumerate(tile):
                at = builder.add(offset, INT64(r * LANES))
                number = splat(builder, builder.load(builder.gep(x, [at])))
                for accumulator, vector in zip(row, vectors, strict=True):
                    add_product(builder, accumulator, number, vector)
        for r, row in enumerate(tile):
            first = builder.mul(INT64(r), step)
            for v, accumulator in enumerate(row):
                store(builder, builder.load(accumulator), y, builder.add(first, INT64(v * LANES)))
        return context.get_dummy_value()

    @intrinsic
    def product_tile(context, x, offsets, m, w, y, step):
        """y[step r + 8 v + lane] = Σ_m x[offsets[m] + 8 r] w[m, v, lane] for rows r, vectors v."""
        return signature, generate

    return product_tile


product_tile_of_2, product_tile_of_1 = (_product_tile(wide) for wide in (2, 1))


def _sum_tile(wide: int) -> Any:
    """A tile of 4 rows by `wide` vectors."""
    signature = types.void(_ADDRESS, types.UniTuple(_INT, wide), _ADDRESS, _INT, _ADDRESS, _INT)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, g, count, y, step = arguments
        x, g, y = (pointer(builder, a) for a in (x, g, y))
        starts = [builder.gep(x, [at]) for at in numbers(builder, x_at, wide)]
        tile = accumulators(builder, wide)
        with cgutils.for_range(builder, count, intp=INT64) as loop:
            at = builder.mul(loop.index, INT64(LANES))
            vectors = [load(builder, start, at) for start in starts]
            for r, row in enumerate(tile):
                number = splat(builder, builder.load(builder.gep(g, [builder.add(at, INT64(r))])))
                for accumulator, vector in zip(row, vectors, strict=True):
                    add_product(builder, accumulator, vector, number)
        for r, row in enumerate(tile):
            first = builder.mul(INT64(r), step)
            for v, accumulator in enumerate(row):
                at = builder.add(first, INT64(v * LANES))
                store(builder, builder.fadd(load(builder, y, at), builder.load(accumulator)), y, at)
        return context.get_dummy_value()

    @intrinsic
    def sum_tile(context, x, x_at, g, count, y, step):
        """y[step r + 8 v + lane] += Σ_i g[8 i + r] x[x_at[v] + 8 i + lane] for rows r, vectors v, i < count."""
        return signature, generate

    return sum_tile


sum_tile_of_3, sum_tile_of_2, sum_tile_of_1 = (_sum_tile(wide) for wide in (3, 2, 1))


@intrinsic
def reduce_tile(context, x, x_at, g, g_at, pixels, count, sums):
    """sums[r, v] = Σ_i Σ_lane g[g_at[r] + pixels[i, 1] + lane] x[x_at[v] + pixels[i, 0] + lane]."""
    signature = types.void(_ADDRESS, _WIDE, _ADDRESS, _ROWS, _ADDRESS, _INT, _ADDRESS)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, g, g_at, pixels, count, sums = arguments
        x, g, sums = (pointer(builder, a) for a in (x, g, sums))
        pixels = pointer(builder, pixels, INT32)
        xs = [builder.gep(x, [at]) for at in numbers(builder, x_at, WIDE)]
        gs = [builder.gep(g, [at]) for at in numbers(builder, g_at, ROWS)]
        tile = accumulators(builder)
        with cgutils.for_range(builder, count, intp=INT64) as loop:
            first = builder.mul(loop.index, INT64(2))
            x_pixel, g_pixel = (
                builder.sext(builder.load(builder.gep(pixels, [builder.add(first, INT64(i))])), INT64)
                for i in range(2)
            )
            columns = [load(builder, start, x_pixel) for start in xs]
            for start, row in zip(gs, tile, strict=True):
                gradient = load(builder, start, g_pixel)
                for accumulator, column in zip(row, columns, strict=True):
                    add_product(builder, accumulator, gradient, column)
        for i, accumulator in enumerate(a for row in tile for a in row):
            builder.store(sum_lanes(builder, builder.load(accumulator)), builder.gep(sums, [INT64(i)]))
        return context.get_dummy_value()

    return signature, generate
