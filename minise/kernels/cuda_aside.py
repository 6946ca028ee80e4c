"""What a training step needs at its end only, computed beside the rest: on a second stream, a branch of the graph.

The gradient of a convolution's weights is such work. Nothing but the optimiser reads it, while the gradient of x is
what the whole step waits for; and the kernels of a small network leave much of a GPU idle. `Aside` is entered for the
time from a step's forward to its backward, and brings the branch back at its end.

Memory that is given back is used again by the next launch that asks, which knows nothing of the branch; so whatever a
branch reads or writes is held until the main stream has waited for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextvars import ContextVar, Token
from typing import Any, Protocol

from minise.backend import Array, cupy_module

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
    """By CuPy; it can be captured."""

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
    """From a step's forward to its backward: gradients of these parameters may be computed beside the rest.

    Only of a parameter that one op alone has used: two gradients of it would be added up within the step.
    """

    def __init__(self, parameters: Iterable[Array]) -> None:
        self.parameters = {id(a): a for a in parameters}
        self.uses: dict[int, int] = {}
        self.branch: Branch | None = None
        self.under_way: list[tuple[Any, Any]] = []
        self.tokens: list[Token[Aside | None]] = []

    def __enter__(self) -> Aside:
        self.uses = {}
        self.branch = self.branch or branch()
        self.tokens.append(_inside.set(self))
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        _inside.reset(self.tokens.pop())
        with contextlib.suppress(
            *(() if error is None else (Exception,))
        ):  # the first error is the one to tell
            self.wait(0)
        self.under_way = []

    def wait(self, left: int) -> None:
        """Let the current stream wait for all branches but the last few, and let go of what they held."""
        assert self.branch is not None
        while len(self.under_way) > left:
            self.branch.join(self.under_way[0][0])
            del self.under_way[0]


_inside: ContextVar[Aside | None] = ContextVar("minise_aside", default=None)


def used(w: Array) -> None:
    """An op's forward has used w."""
    inside = _inside.get()
    if inside is not None:
        inside.uses[id(w)] = inside.uses.get(id(w), 0) + 1


@contextlib.contextmanager
def gradient_of(w: Array, *held: Array) -> Iterator[None]:
    """A context for the launches that make the gradient of w, from and in the arrays `held`: beside the rest where
    that is allowed. It makes no arrays.
    """
    inside = _inside.get()
    if inside is None or not LAG or id(w) not in inside.parameters or inside.uses.get(id(w)) != 1:
        yield
        return
    assert inside.branch is not None
    inside.wait(LAG - 1)
    with inside.branch.fork():
        yield
    inside.under_way.append((inside.branch.mark(), held))
