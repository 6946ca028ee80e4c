"""Threads for the CPU's kernels: NumPy's loops, its matrix products and compiled loops let go of the interpreter
lock, so blocks of a batch run side by side.

How a batch is cut into blocks depends on shapes alone where results are added up, never on the number of threads, and
they come back in block order: a sum over blocks is the same bit for bit on one thread or many. The thread that
asks works too, and takes blocks as long as there are any; so a thread that comes late, because the
machine is busy, delays nobody. Compiled loops do so without Python: see `numba/parallel.py`.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from minise.backend import Array
from minise.errors import ConfigError

T = TypeVar("T")
BLOCK_BYTES = 4 << 20
"""How much a block's scratch memory may take, of NumPy's columns: a share of the L3 cache."""
MOST = 1024
"""Threads that may be asked for: more than any machine has cores for."""


class Crew:
    """The calling thread and `size` - 1 others that wait for work."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        for i in range(size - 1):
            threading.Thread(target=self._wait, name=f"minise-{i + 1}", daemon=True).start()

    def _wait(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def map(self, work: Callable[[int], T], tasks: int) -> list[T]:
        """[work(0), …, work(tasks - 1)]; what it raises is raised here, once every task has ended."""
        results: list[Any] = [None] * tasks
        numbers = count()
        ended: SimpleQueue[BaseException | None] = SimpleQueue()

        def take() -> None:
            for i in numbers:
                if i >= tasks:
                    return
                try:
                    results[i] = work(i)
                except BaseException as error:
                    ended.put(error)
                else:
                    ended.put(None)

        with one_blas_thread:
            for _ in range(min(self.size, tasks) - 1):
                self._jobs.put(take)
            take()
            errors = [error for error in (ended.get() for _ in range(tasks)) if error is not None]
        if errors:
            raise errors[0]
        return results

    def dismiss(self) -> None:
        for _ in range(self.size - 1):
            self._jobs.put(None)


_crew: Crew | None = None
_scratch = threading.local()


def available_threads() -> int:
    """How many cores this process may use: those it may run on, or fewer where its cgroups grant it less time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, granted_cores())))


def granted_cores(root: Path = Path("/")) -> float:
    """Cores' worth of time that Linux grants the process, by the limits of its cgroups, v2 or v1; infinity if none.

    root: where /proc and /sys lie. A container sees its own group as the top one, and its path may lead nowhere.
    """
    granted = math.inf
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, kinds, group = line.split(":", 2)
            if kinds and "cpu" not in kinds.split(","):
                continue
            top = root / "sys/fs/cgroup" / ("cpu" if kinds else "")
            place = top / group.strip("/")
            for folder in (place, *place.parents):
                granted = min(granted, _quota(folder))
                if folder == top:
                    break
    return granted


def _quota(folder: Path) -> float:
    """The cores' worth of time of one group; infinity where it has no limit."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        if (folder / "cpu.max").exists():
            quota, period = map(float, (folder / "cpu.max").read_text().split())  # "max" is no number
        else:
            quota, period = (float((folder / f"cpu.cfs_{x}_us").read_text()) for x in ("quota", "period"))
        return quota / period if quota > 0 else math.inf
    return math.inf


@cache
def blas() -> Any:
    """threadpoolctl's controller of every BLAS in this process; None where it does not work: it needs ctypes."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController().select(user_api="blas")


class _OneThread(AbstractContextManager[None]):
    """Limits the BLAS under NumPy to one thread for as long as anybody is inside; then it is as it was."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1 and (found := blas()) is not None:
                self.limit = found.limit(limits=1)

    def __exit__(self, *exc: object) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0 and self.limit is not None:
                self.limit.restore_original_limits()


one_blas_thread = _OneThread()
"""Holds the BLAS to one thread inside a `with`: blocks are what shares out the cores, and sums stay the same."""


def set_threads(count: int | None) -> int:
    """Use `count` threads (None: one a core) for the blocks, and one for the BLAS under each of them, from here on.

    Returns how many. Raises ConfigError unless count is 1 to MOST.
    """
    global _crew
    count = available_threads() if count is None else count
    if count < 1:
        raise ConfigError(f"threads: found {count}, expected at least 1")
    if count > MOST:
        raise ConfigError(f"threads: found {count}, expected at most {MOST}")
    if _crew is not None:
        _crew.dismiss()
    _crew = Crew(count)
    return count


def crew() -> Crew:
    """The threads that `set_threads` asked for, or as many as there are cores."""
    if _crew is None:
        set_threads(None)
    assert _crew is not None
    return _crew


def map_blocks(work: Callable[[slice], T], n: int, bytes_each: int) -> list[T]:
    """[work(block) for the blocks of range(n)], side by side; bytes_each: scratch memory of one element."""
    size = max(1, min(BLOCK_BYTES // max(bytes_each, 1), -(-n // 8)))
    return crew().map(lambda i: work(slice(i * size, min((i + 1) * size, n))), -(-n // size))


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array with undefined contents that this thread reuses: fresh memory costs more than it computes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    held: Array | None = getattr(_scratch, name, None)
    if held is None or held.nbytes < size:
        held = np.empty(size, np.uint8)
        setattr(_scratch, name, held)
    return held[:size].view(dtype).reshape(shape)
