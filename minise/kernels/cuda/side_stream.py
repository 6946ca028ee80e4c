"""What a captured step needs at its end only, computed beside the rest: on a second stream, a branch of the graph.

The gradient of a convolution's weights is such work. Nothing but the optimiser reads it, while the gradient of x is
what the whole step waits for; and the kernels of a small network leave much of a GPU idle. `Aside` is entered for the
time from a step's forward to its backward, and brings the branch back at its end. It does nothing but in a capture.

Memory that is given back is used again by the next launch that asks, which knows nothing of the branch; so whatever a
branch reads or writes is held until the main stream has waited for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol

from minise.backend import Array, cupy_module
from minise.kernels.cuda.capture import capturing
from minise.tape import Tensor

LAG = 2
"""How many branches may be under way at once, each of which holds its memory. 0: everything on one stream."""


class Branch(Protocol):
    """A second stream, and how it and the current one wait for each other."""

    def fork(self) -> Any:
        """A context for launches that wait for all launched so far, and for which nobody waits yet."""

    def mark(self) -> Any:
        """What to `join` to wait for all that was launched there so far."""

    def join(self, mark: Any) -> None:
        """Let the current stream wait."""


class CudaBranch:
    """By CuPy."""

    def __init__(self) -> None:
        self.cuda = cupy_module().cuda
        self.stream = self.cuda.Stream(non_blocking=True)

    def event(self, stream: Any) -> Any:
        event = self.cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def fork(self) -> Any:
        self.stream.wait_event(self.event(self.cuda.get_current_stream()))
        return self.stream

    def mark(self) -> Any:
        return self.event(self.stream)

    def join(self, mark: Any) -> None:
        self.cuda.get_current_stream().wait_event(mark)


branch: type[Branch] = CudaBranch
"""What makes a branch; tests put one in its place that needs no GPU."""


class Aside:
    """From a captured step's forward to its backward: gradients of these parameters are computed beside the rest.

    Nobody may read them within. In the end each must be what its parameter's `grad` is: if it was added to another
    gradient, RuntimeError is raised, and the step is not captured.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.branch: Branch | None = None

    def __enter__(self) -> None:
        self.learn = {id(p.data): p for p in self.parameters} if LAG and capturing() else {}
        self.made: list[tuple[Tensor, Array]] = []
        self.under_way: list[tuple[Any, Any]] = []
        self.token = _inside.set(self)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        _inside.reset(self.token)
        if error is None:  # else the capture is broken off
            self.wait(0)
        summed = any(p.grad is not gradient for p, gradient in self.made)
        self.learn, self.made, self.under_way = {}, [], []
        if summed and error is None:
            raise RuntimeError("a parameter has several gradients, of which one was computed beside the rest")

    def wait(self, left: int) -> None:
        """Let the current stream wait for all branches but the last few, and let go of what they held."""
        while len(self.under_way) > left:
            assert self.branch is not None
            self.branch.join(self.under_way[0][0])
            del self.under_way[0]

    @contextlib.contextmanager
    def fork(self, *held: Array) -> Iterator[None]:
        """A context for launches beside the rest that read and write what is `held`. It makes no arrays."""
        self.wait(LAG - 1)
        self.branch = self.branch or branch()
        with self.branch.fork():
            yield
        self.under_way.append((self.branch.mark(), held))


_inside: ContextVar[Aside | None] = ContextVar("minise_aside", default=None)


def gradient_of(w: Array, gradient: Array, *held: Array) -> Any:
    """A context for the launches that make the gradient of w, from and in arrays that are held: beside the rest where
    that is allowed.
    """
    inside = _inside.get()
    if inside is None or id(w) not in inside.learn:
        return contextlib.nullcontext()
    inside.made.append((inside.learn[id(w)], gradient))
    return inside.fork(w, gradient, *held)
