"""Compiled loops that share their work out among themselves: a counter says whose turn it is, not Python.

Each thread enters the loop once and takes one part after the other until there is none left. So a thread that comes
late delays nobody, and to hand out a part costs nanoseconds. `side_by_side` runs a loop; its first argument, `work`,
is an array of (the next part, how much there is, how many parts), and it goes over `turns(work)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from minise.kernels.numba import cache as cache  # before any loop: it sees to the folder of what is compiled
from minise.kernels.threads import crew, scratch

loop = njit(cache=True, nogil=True, error_model="numpy")
"""Makes a loop that `side_by_side` runs."""
inner = njit(error_model="numpy")
"""Makes what such loops call."""
PARTS = 8
"""Into how many parts for each thread a loop is cut whose results are not added up."""


@intrinsic
def take(typing, address):
    """The integer at an address, which is one more from then on, whoever else takes it at the same time."""

    def generate(context, builder, signature, arguments):
        integer = ir.IntType(64)
        place = builder.inttoptr(arguments[0], integer.as_pointer())
        return builder.atomic_rmw("add", place, ir.Constant(integer, 1), "monotonic")

    return types.int64(types.intp), generate


@inner
def parts(next_part, size, count):
    """(start, stop) of one part after the other. Of integers: numba's generators never release an array."""
    part = take(next_part)
    while part < count:
        yield part * size // count, (part + 1) * size // count
        part = take(next_part)


@njit(inline="always")
def turns(work):
    """(start, stop) of one part after the other; a loop over range(start, stop) inside loses nothing by it."""
    return parts(work.ctypes.data, work[1], work[2])


def side_by_side(
    loop: Callable[..., None],
    size: int,
    *arguments: Any,
    least: int = 1,
    count: int | None = None,
    memory: int | None = None,
) -> None:
    """loop(work, *arguments) on every thread, for range(size) in parts.

    least: how many a part should have. count: into how many parts, instead of some for each thread. memory: how many
    float32 of scratch memory each thread brings along, as the last argument.
    """
    if count is None:
        count = min(size, max(1, size // least), PARTS * crew().size)
    work = np.array([0, size, count], np.int64)

    def enter(_: int) -> None:
        own = () if memory is None else (scratch("loop", (memory,), np.float32),)
        loop(work, *arguments, *own)

    crew().map(enter, min(crew().size, count))
