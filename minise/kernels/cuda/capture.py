"""A training step as one CUDA graph: captured once, then replayed.

A small network's step is some hundred kernels of a few microseconds, less than Python takes to launch them. A graph
is launched as one. It repeats the launches with the same arguments, so everything in it keeps its address: the batch
in two arrays that the next batch is copied into, and the rest in a memory pool that belongs to the graph. What
varies from step to step is read from the device (see `src/update.cu`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from minise.backend import Array, cupy_module

OUT_OF_MEMORY = 2
"""cudaErrorMemoryAllocation, for which CuPy has no name."""
WARM_UP = 2
"""Steps before the capture: they compile the kernels, and let memory settle."""


def lasting_pool(cupy: Any) -> Any:
    """A memory pool that gives nothing back by itself.

    Short of memory, CuPy's pools free what no array holds at the moment and ask again. In a graph's pool, that is
    memory which its kernels will write to. So the lack of memory is an error at once here, and there is no limit.
    """

    def allocate(size: int) -> Any:
        try:
            return cupy.cuda.MemoryPointer(cupy.cuda.Memory(size), 0)
        except cupy.cuda.runtime.CUDARuntimeError as error:
            if error.status != OUT_OF_MEMORY:
                raise
            raise cupy.cuda.memory.OutOfMemoryError(size, pool.total_bytes()) from error

    pool = cupy.cuda.MemoryPool(allocate)
    pool.set_limit(size=0)
    return pool


class CapturedStep:
    """`step(x, y)`, a function on arrays of the GPU that returns such arrays, captured at the third call in a row
    with arrays of the same shapes, and replayed from then on.

    before: called ahead of every step, to bring to the device what has changed since the last one. A batch of another
    shape than the captured one is computed without the graph, and so are all batches if a step cannot be captured:
    if it has an op that waits for the GPU, or that CuPy computes by cuBLAS, or if memory is short.
    """

    def __init__(self, step: Callable[[Array, Array], Any], before: Callable[[], None]) -> None:
        self.step, self.before = step, before
        self.kind: Any = None
        self.warm = 0
        self.graph: Any = None
        self.pool: Any = None
        self.inputs: tuple[Array, Array] | None = None
        self.results: Any = None
        self.why_not: str | None = None

    def __call__(self, x: Array, y: Array) -> Any:
        """What `step` returns; of a replayed step, arrays that the next one writes again."""
        self.before()
        kind = x.shape, x.dtype
        if self.inputs is None and self.why_not is None:
            self.warm = self.warm + 1 if kind == self.kind else 1
            self.kind = kind
            if self.warm > WARM_UP:
                self.capture(x, y)
        if self.inputs is None or kind != self.kind:
            return self.step(x, y)
        for own, given in zip(self.inputs, (x, y), strict=True):
            own[...] = given
        self.graph.launch()
        return self.results

    def capture(self, x: Array, y: Array) -> None:
        """Record the launches of a step on copies of x and y; nothing runs."""
        cupy = cupy_module()
        inputs = x.copy(order="K"), y.copy()
        self.pool = lasting_pool(cupy)
        stream = cupy.cuda.Stream(non_blocking=True)
        cupy.cuda.get_current_stream().synchronize()
        cupy.get_default_memory_pool().free_all_blocks()  # the steps before had theirs there
        try:
            with cupy.cuda.using_allocator(self.pool.malloc), stream:
                stream.begin_capture(cupy.cuda.runtime.streamCaptureModeRelaxed)
                try:
                    self.results = self.step(*inputs)
                except BaseException:
                    with contextlib.suppress(Exception):  # of a capture that is broken off
                        stream.end_capture()
                    raise
                self.graph = stream.end_capture()
            self.inputs = inputs
        except (RuntimeError, MemoryError) as error:
            # What cannot be captured, CuPy says by several kinds; a GPU that fails will say so again.
            self.why_not = str(error) or "an op of the step cannot be captured"
            self.release()

    def release(self) -> None:
        """Give the graph's memory back, but for what arrays still lie in: a pool that is dropped would keep it."""
        self.graph = self.results = self.inputs = None
        if self.pool is not None:
            self.pool.free_all_blocks()
