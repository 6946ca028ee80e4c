"""How numba's parallel loops are run: by how many threads, one loop at a time, on scratch memory that is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from minise.backend import Array
from minise.kernels.threads import thread_count

_one_at_a_time = threading.Lock()  # not every threading layer of numba bears two callers
_kept = np.empty(0, np.float32)


def thread_limit() -> int:
    """How many threads a loop runs on; a thread's number is below it."""
    return min(thread_count(), int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]


def run(loop: Callable[..., Any], *arguments: Any) -> None:
    """Call a compiled parallel loop on `thread_limit` threads."""
    with _one_at_a_time:
        numba.set_num_threads(thread_limit())
        loop(*arguments)


def scratch(shape: tuple[int, int]) -> Array:
    """An array with undefined contents, valid until the next call: fresh memory costs more than it computes."""
    global _kept
    size = shape[0] * shape[1]
    if _kept.size < size:
        _kept = np.empty(size, np.float32)
    return _kept[:size].reshape(shape)
