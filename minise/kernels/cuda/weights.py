"""A convolution's weights in the order in which the GPU's blocks read them: the launches around `cuda/pack.cu`.

Each use of a convolution packs its weights, a launch of its own. Where it is known that weights do not change, from
a training step's forward to its backward or while a model is evaluated, `ConstantWeights` keeps what was packed;
from the second step on, all of a network are packed at once.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.kernels.cuda.capture import capturing, once_captured
from minise.kernels.cuda.launch import address, cover, dense, half, launch

FILE, THREADS, BLOCK = "pack.cu", 256, 1024
STRAIGHT, TURNED, PLAIN = range(3)
"""How packed weights are ordered, as `cuda/pack.cu` says."""


@dataclass(frozen=True)
class Layout:
    """How packed weights lie, in the terms of `cuda/pack.cu`."""

    c: int
    k: int
    taps: int
    k_padded: int
    chunk: int
    order: int

    @property
    def size(self) -> int:
        return cover(self.c, self.chunk) * self.chunk * self.taps * self.k_padded

    def numbers(self) -> tuple[int, ...]:
        return *astuple(self), self.size


@dataclass
class Packed:
    """Weights, what was made of them, and whether that was asked for since the block was last entered."""

    w: Array
    packed: Array
    layout: Layout
    used: bool = True


Key = tuple[int, int, Layout]


class ConstantWeights:
    """Inside the block no weights change. Entered again, it packs anew what was used the last time, in one launch."""

    def __init__(self) -> None:
        self.rows: dict[Key, Packed] = {}
        self.captured = False  # then a graph will read what is here: nothing is let go
        self.tables: dict[tuple[Key, ...], Array] = {}

    def __enter__(self) -> ConstantWeights:
        used = {key: row for key, row in self.rows.items() if row.used or self.captured}
        if len(used) < len(self.rows):
            self.rows, self.tables = used, {}
        self.captured = self.captured or capturing()
        for kind in (0, 1):
            self.pack(kind, {key: row for key, row in self.rows.items() if half(row.packed) == kind})
        for row in self.rows.values():
            row.used = False
        self.token = _inside.set(self)
        return self

    def __exit__(self, *error: object) -> None:
        _inside.reset(self.token)

    def pack(self, kind: int, rows: dict[Key, Packed]) -> None:
        """Pack them all: float16 for kind 1, float32 for 0."""
        if not rows:
            return
        table = self.tables.get(tuple(rows))
        if table is None:
            table = self.new_table(rows)
        largest = max(row.layout.size for row in rows.values())
        launch(
            FILE, "pack_all", table, grid=(cover(largest, BLOCK), len(rows)), block=THREADS,
            through=[a for row in rows.values() for a in (row.w, row.packed)], constants={"HALF": kind},
        )  # fmt: skip

    def new_table(self, rows: dict[Key, Packed]) -> Array:
        """Where they lie, and how, on the device."""
        places = [(address(r.w), address(r.packed), *r.layout.numbers()) for r in rows.values()]
        xp = array_module(*(row.w for row in rows.values()))
        table = xp.empty((len(rows), len(places[0])), np.int64)

        def fill() -> None:
            table[...] = xp.asarray(places, np.int64)
            self.tables[tuple(rows)] = table

        once_captured(fill)
        return table

    def forget(self) -> None:
        """Let go of everything."""
        self.rows, self.tables, self.captured = {}, {}, False


_inside: ContextVar[ConstantWeights | None] = ContextVar("minise_constant_weights", default=None)


def packed_weights(w: Array, layout: Layout, dtype: Any) -> Array:
    """The weights w, contiguous or not, as `layout` says and in `dtype`."""
    inside = _inside.get() if w.flags.c_contiguous else None
    key = id(w), np.dtype(dtype).itemsize, layout
    if inside is not None and key in inside.rows:
        inside.rows[key].used = True
        return inside.rows[key].packed
    packed = array_module(w).empty(layout.size, dtype)
    numbers = [np.int64(i) for i in layout.numbers()]
    launch(
        FILE, "pack", *dense(w), packed, *numbers, grid=(cover(layout.size, BLOCK),), block=THREADS,
        constants={"HALF": half(packed)},
    )  # fmt: skip
    if inside is not None:
        inside.rows[key] = Packed(w, packed, layout)
    return packed
