"""Threads for NumPy: its loops and matrix products let go of the interpreter lock, so blocks run side by side.

The blocks of a batch depend on shapes alone, never on the number of threads, and partial results come back in
block order: a sum over blocks is the same bit for bit on one thread or many.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from minise.backend import Array
from minise.errors import ConfigError

T = TypeVar("T")
BLOCK_BYTES = 4 << 20
"""How much a block's scratch memory may take: measured best between 2 and 8 MB, within a core's share of L3."""

_pool: ThreadPoolExecutor | None = None
_count: int | None = None
_scratch = threading.local()


def available_threads() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_count() -> int:
    """How many threads the kernels use."""
    return available_threads() if _count is None else _count


def set_threads(count: int) -> None:
    """Use `count` threads for the blocks, and one for the BLAS under each of them, from here on."""
    global _pool, _count
    if count < 1:
        raise ConfigError(f"threads: found {count}, expected at least 1")
    if _pool is not None:
        _pool.shutdown()
    threadpool_limits(1, user_api="blas")
    _count = count
    _pool = ThreadPoolExecutor(count, thread_name_prefix="minise")


def map_blocks(work: Callable[[slice], T], n: int, bytes_each: int) -> list[T]:
    """[work(block) for the blocks of range(n)], side by side; bytes_each: scratch memory of one element."""
    if _pool is None:
        set_threads(available_threads())
    assert _pool is not None
    size = max(1, min(BLOCK_BYTES // max(bytes_each, 1), -(-n // 8)))
    return list(_pool.map(work, [slice(i, min(i + size, n)) for i in range(0, n, size)]))


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array with undefined contents that this thread reuses: fresh memory costs more than it computes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    held: Array | None = getattr(_scratch, name, None)
    if held is None or held.nbytes < size:
        held = np.empty(size, np.uint8)
        setattr(_scratch, name, held)
    return held[:size].view(dtype).reshape(shape)
