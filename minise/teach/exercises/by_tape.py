"""What the tape gives: most right answers come from it, since an answer is written by hand."""

from __future__ import annotations

from collections.abc import Callable

from minise.backend import Array
from minise.tape import Tensor


def gradients(f: Callable[..., Tensor], gy: Array, *arrays: Array) -> tuple[Array, ...]:
    """The gradient of Σ gy f by each of the arrays that are f's inputs."""
    leaves = [Tensor(x, requires_grad=True) for x in arrays]
    f(*leaves).backward(gy)
    return tuple(leaf.grad for leaf in leaves if leaf.grad is not None)
