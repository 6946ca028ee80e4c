"""The tape: tensors that remember which op made them, and the backward pass over that memory: reverse mode.

An op is a pair of plain functions on plain arrays:

    y, saved = forward(*arrays, **options)
    gradients = backward(gy, saved, needs)      one per array input; None is enough where needs[i] is False

`needs` has an entry for every positional parameter of the forward, so a backward can always ask for each; the
gradients of inputs at the end that a call left out may be missing.

The tape knows no op. It only keeps, for every result, the inputs, what the forward saved and the backward
that belongs to it, and walks that graph from the loss to the leaves. `minise.ops` installs the operators of
tensors, and how two gradients are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from minise._util.context import held
from minise.backend import Array, Backward, Forward, Kernel, array_module, find_kernel, wait_for
from minise.errors import MiniseError, ShapeError

_recording: ContextVar[bool] = ContextVar("minise_recording", default=True)
_watchers: ContextVar[tuple[Callable[[Call], None], ...]] = ContextVar("minise_watchers", default=())


USED_UP = object()
"""What a node has saved once the backward pass has been through it."""


class Op:
    """A differentiable function on tensors, made from a pair of plain functions on arrays.

    The name is the forward's without `_forward`; backends replace the pair under that name.
    """

    def __init__(self, forward: Forward, backward: Backward) -> None:
        self.name = forward.__name__.removesuffix("_forward")
        self.forward = forward
        self.backward = backward
        self.takes = positional(forward)
        self.__doc__ = forward.__doc__

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """Apply the op to tensors, arrays, numbers or None; the result is recorded if a gradient can flow."""
        return _apply(self, inputs, options)

    def needs_for(self, *flags: bool) -> tuple[bool, ...]:
        """What a backward is given as `needs`: the flags, and False for every input that was left out."""
        return (*flags, *(False,) * (self.takes - len(flags)))

    def __repr__(self) -> str:
        return f"Op({self.name})"


class FusedOp:
    """A function that is composed of ops, unless the active backend has one kernel for the whole of it.

    The composition is its definition, its name without `_composed` the kernel's.
    """

    def __init__(self, composed: Callable[..., Tensor]) -> None:
        self.name = composed.__name__.removesuffix("_composed")
        self.composed = composed
        self.takes = positional(composed)
        self.__doc__ = composed.__doc__

    def __call__(self, *inputs: Any, **options: Any) -> Tensor:
        """Apply the kernel to tensors, arrays, numbers or None, or else the composition."""
        return _apply(self, inputs, options)

    def __repr__(self) -> str:
        return f"FusedOp({self.name})"


def positional(function: Callable[..., Any]) -> int:
    """How many positional parameters a function has, without `*args`."""
    return getattr(getattr(function, "__code__", None), "co_argcount", 0)


def _apply(op: Op | FusedOp, inputs: tuple[Any, ...], options: dict[str, Any]) -> Tensor:
    """Run the forward of the pair that the backend chooses, and remember its backward if a gradient can flow."""
    arrays = tuple(x.data if isinstance(x, Tensor) else x for x in inputs)
    pair: Kernel | Op | FusedOp = find_kernel(op.name, arrays, options) or op
    if isinstance(pair, FusedOp):
        return pair.composed(*inputs, **options)
    began = perf_counter()
    y, saved = pair.forward(*arrays, **options)
    for watcher in _watchers.get():
        wait_for(y)
        watcher(Call(op.name, False, arrays, (y,), perf_counter() - began, options))
    needs = tuple(isinstance(x, Tensor) and x.requires_grad for x in inputs)
    if not (_recording.get() and any(needs)):
        return Tensor(y)
    left_out = op.takes - len(inputs)
    inputs, needs = (*inputs, *(None,) * left_out), (*needs, *(False,) * left_out)
    return Tensor(y, node=Node(op.name, inputs, needs, saved, pair.backward))


class Node:
    """One application of an op on the tape. `backward` empties it: what is used up is let go at once."""

    __slots__ = ("backward", "inputs", "name", "needs", "saved")

    def __init__(
        self, name: str, inputs: tuple[Any, ...], needs: tuple[bool, ...], saved: Any, backward: Backward
    ) -> None:
        self.name, self.inputs, self.needs, self.saved, self.backward = name, inputs, needs, saved, backward

    def parents(self) -> list[Tensor]:
        """The input tensors into which a gradient flows, in order, repeats included."""
        return [x for x, need in zip(self.inputs, self.needs, strict=True) if need]

    @staticmethod
    def total(a: Array, b: Array) -> Array:
        """a + b as a new array, for two gradients of one tensor; `minise.ops` puts a kernel's sum in its place."""
        return a + b


class Tensor:
    """An array with a place on the tape.

    data: the array (NumPy or CuPy); a number or nested lists become one of float64, and ShapeError is raised for what
    cannot. grad: None, or an array like `data`, summed over backward calls; only leaves (tensors made by hand with
    requires_grad=True) keep one.
    """

    __slots__ = ("data", "grad", "node", "requires_grad")

    def __init__(self, data: Array, *, requires_grad: bool = False, node: Node | None = None) -> None:
        self.data = data if hasattr(data, "shape") else _array(data)
        self.grad: Array | None = None
        self.node = node
        self.requires_grad = requires_grad or node is not None

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    def item(self) -> float:
        """The value of a tensor of one element, as a Python float."""
        return float(self.data.item())

    def detach(self) -> Tensor:
        """The same array, off the tape."""
        return Tensor(self.data)

    def backward(self, gy: Array | None = None) -> None:
        """Add d(sum(gy * self))/d(leaf) to the grad of every leaf; gy may be left out for one element."""
        backward(self, gy)

    def _operator(self, other: Any = None) -> Tensor:
        raise MiniseError(
            "tensor: operators such as + come with minise.ops, expected `import minise.ops` before"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _operator
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = _operator

    __array_ufunc__ = None  # array + tensor asks the tensor, instead of making an array of tensors

    def __repr__(self) -> str:
        made_by = f", made by {self.node.name}" if self.node else ""
        return f"Tensor(shape={self.shape}, dtype={self.dtype}{made_by})"


def _array(numbers: Any) -> Array:
    if numbers is not None:  # of which NumPy would make a NaN
        with suppress(TypeError, ValueError):
            return np.asarray(numbers, np.float64)
    raise ShapeError(f"tensor: found {numbers!r:.60}, expected an array or numbers")


def no_grad() -> AbstractContextManager[None]:
    """Compute inside the block without recording anything."""
    return held(_recording, False)


@dataclass(frozen=True)
class Call:
    """An op's forward, from its inputs to (y,), or its backward, from (gy, inputs…) to their gradients.

    options: what the forward was given by keyword; of a backward, nothing.
    """

    op: str
    backward: bool
    inputs: tuple[Any, ...]
    results: tuple[Array | None, ...]
    seconds: float
    options: dict[str, Any]


@contextmanager
def watch(watcher: Callable[[Call], None]) -> Iterator[None]:
    """Call `watcher` after every op's forward and backward inside the block."""
    with held(_watchers, (*_watchers.get(), watcher)):
        yield


def backward(y: Tensor, gy: Array | None = None) -> None:
    """Walk the tape from `y` to its leaves and add to each leaf's `grad`.

    gy: the gradient of the loss with respect to `y`, shaped like `y`; 1 when left out, for one element.
    A node runs once all its consumers have: their gradients are summed out of place, since an op may hand
    the same array to two inputs. Nothing recurses, so the depth of the graph does not matter.
    Raises ShapeError for a gy that does not fit, MiniseError for a graph that is off the tape or used up.
    """
    if y.node is None and not y.requires_grad:
        raise MiniseError("backward: the tensor is not on the tape, expected a result of recorded ops")
    if gy is None:
        if y.size != 1:
            raise ShapeError(f"backward: a tensor of shape {y.shape} needs gy, only one element does not")
        gy = array_module(y.data).ones_like(y.data)
    if gy.shape != y.shape:
        raise ShapeError(f"backward: gy has shape {gy.shape}, expected the tensor's {y.shape}")
    if y.node is None:
        _accumulate(y, gy)
        return

    waiting = _consumers(y.node)
    gradients: dict[Node, Array] = {y.node: gy}
    ready = [y.node]
    while ready:
        node = ready.pop()
        for x, gx in zip(node.parents(), _run(node, gradients.pop(node)), strict=True):
            if x.node is None:
                _accumulate(x, gx)
                continue
            gradients[x.node] = Node.total(gradients[x.node], gx) if x.node in gradients else gx
            waiting[x.node] -= 1
            if not waiting[x.node]:
                ready.append(x.node)


def _run(node: Node, gy: Array) -> list[Array]:
    """The gradients of the node's parents; the node lets go of its inputs and of what it saved."""
    began = perf_counter()
    gradients = node.backward(gy, node.saved, node.needs)
    for watcher in _watchers.get():
        wait_for(gy)
        arrays = (x.data if isinstance(x, Tensor) else x for x in node.inputs)
        watcher(Call(node.name, True, (gy, *arrays), gradients, perf_counter() - began, {}))
    inputs, node.inputs, node.saved = node.inputs, (), USED_UP
    if len(gradients) > len(inputs) or any(node.needs[len(gradients) :]):
        counts = f"{len(gradients)} gradients, expected one for each of {len(inputs)} inputs"
        raise MiniseError(f"{node.name}: backward gave {counts}")
    needed = []
    for i, (x, gx, need) in enumerate(
        zip(inputs, gradients, node.needs, strict=False)
    ):  # those at the end may be missing
        if not need:
            continue
        if gx is None or gx.shape != x.shape:
            found = "None" if gx is None else f"shape {gx.shape}"
            raise ShapeError(f"{node.name}: backward gave {found} for input {i}, expected shape {x.shape}")
        needed.append(gx)
    return needed


def _consumers(root: Node) -> dict[Node, int]:
    """How many gradients each node below `root` waits for."""
    waiting: dict[Node, int] = {}
    stack = [root]
    while stack:
        node = stack.pop()
        if node.saved is USED_UP:
            raise MiniseError(
                f"backward: {node.name} was walked before and is used up; run the forward again"
            )
        for x in node.parents():
            if x.node is not None:
                if x.node not in waiting:
                    stack.append(x.node)
                waiting[x.node] = waiting.get(x.node, 0) + 1
    return waiting


def _accumulate(leaf: Tensor, gx: Array) -> None:
    leaf.grad = gx if leaf.grad is None else leaf.grad + gx
