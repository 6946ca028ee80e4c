"""Large arrays from memory that is used again: a fresh array costs the system more than a loop over it.

A training step asks for the same sizes again and again. When the last view of an array is gone, its memory waits
here for the next array of exactly that size. Never more than `KEPT_BYTES` wait, and what waited longest goes first.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from minise.backend import Array


def physical_memory() -> int:
    """The machine's memory in bytes, or 16 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return 16 << 30


SMALL = 64 << 10
"""Below so many bytes the C library's own lists are as good."""
KEPT_BYTES = min(4 << 30, physical_memory() // 4)

_waiting: OrderedDict[int, list[Array]] = OrderedDict()  # by size; the sizes asked for last stand last
_lock = threading.RLock()  # the collector may give back while this thread takes
_kept = 0


class _Lease:
    """Lends memory to one array and its views, and takes it back when all are gone."""

    __slots__ = ("__array_interface__", "memory")

    def __init__(self, memory: Array) -> None:
        self.memory = memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        _give_back(self.memory)


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """`numpy.empty`: an array with undefined contents."""
    global _kept
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < SMALL:
        return np.empty(shape, dtype)
    with _lock:
        blocks = _waiting.get(size)
        memory = blocks.pop() if blocks else None
        if memory is not None:
            _kept -= size
    if memory is None:
        memory = np.empty(size, np.uint8)
    return np.asarray(_Lease(memory)).view(dtype).reshape(shape)


def _give_back(memory: Array) -> None:
    global _kept
    with _lock:
        _waiting.setdefault(memory.size, []).append(memory)
        _waiting.move_to_end(memory.size)
        _kept += memory.size
        while _kept > KEPT_BYTES:
            size, blocks = next(iter(_waiting.items()))
            if blocks:
                blocks.pop()
                _kept -= size
            else:
                del _waiting[size]
