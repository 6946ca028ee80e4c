"""A convolution's weights in the order in which the GPU's blocks read them: the launches around `cuda/pack.cu`.

Each use of a convolution packs its weights, a launch of its own. Where it is known that weights do not change, in one
step of a training or while a model is evaluated, `ConstantWeights` keeps what was packed; from the second step
on, all of a network are packed at once.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.kernels.cuda_capture import once_captured
from minise.kernels.cuda_launch import address, cover, dense, half, launch

FILE, THREADS, BLOCK = "pack.cu", 256, 1024


@dataclass(frozen=True)
class Layout:
    """How packed weights lie, in the terms of `cuda/pack.cu`."""

    c: int
    k: int
    taps: int
    k_padded: int
    chunk: int
    turned: int

    @property
    def size(self) -> int:
        return cover(self.c, self.chunk) * self.chunk * self.taps * self.k_padded

    def numbers(self) -> tuple[int, ...]:
        return *astuple(self), self.size


@dataclass(frozen=True)
class Packed:
    """Weights, and what was made of them."""

    w: Array
    packed: Array
    layout: Layout


class ConstantWeights:
    """Inside the block no weights change. Entered again, it packs anew all that were used before, in one launch."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int, Layout], Packed] = {}
        self.tables: dict[tuple[int, int], Array] = {}
        self.tokens: list[Token[ConstantWeights | None]] = []

    def __enter__(self) -> ConstantWeights:
        for kind in (0, 1):
            self.pack(kind, [row for row in self.rows.values() if half(row.packed) == kind])
        self.tokens.append(_inside.set(self))
        return self

    def __exit__(self, *error: object) -> None:
        _inside.reset(self.tokens.pop())

    def pack(self, kind: int, rows: list[Packed]) -> None:
        """Pack them all: float16 for kind 1, float32 for 0."""
        if not rows:
            return
        key = kind, len(rows)
        if key not in self.tables:  # none is given up: a captured step may read it
            places = np.array(
                [(address(r.w), address(r.packed), *r.layout.numbers()) for r in rows], np.int64
            )
            xp = array_module(rows[0].w)
            table = self.tables[key] = xp.empty(places.shape, np.int64)
            once_captured(lambda: table.__setitem__(..., xp.asarray(places)))
        launch(
            FILE, "pack_all", self.tables[key], grid=(cover(max(r.layout.size for r in rows), BLOCK), len(rows)),
            block=THREADS, through=[a for r in rows for a in (r.w, r.packed)], constants={"HALF": kind},
        )  # fmt: skip

    def forget(self) -> None:
        """Let go of everything."""
        self.rows, self.tables = {}, {}


_inside: ContextVar[ConstantWeights | None] = ContextVar("minise_constant_weights", default=None)


def packed_weights(w: Array, layout: Layout, dtype: Any) -> Array:
    """The weights w, contiguous or not, as `layout` says and in `dtype`."""
    inside = _inside.get() if w.flags.c_contiguous else None
    key = id(w), np.dtype(dtype).itemsize, layout
    if inside is not None and key in inside.rows:
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
