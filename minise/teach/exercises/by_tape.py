"""The results of a forward and its gradients, computed by the tape: most right answers come from here."""

from __future__ import annotations

from collections.abc import Callable

from minise.backend import Array
from minise.tape import Tensor


def y_and_gradients(f: Callable[..., Tensor], gy: Array, *arrays: Array) -> tuple[Array, ...]:
    """y = f(*arrays), and the gradient of Σ gy y by each of the arrays."""
    leaves = [Tensor(x, requires_grad=True) for x in arrays]
    y = f(*leaves)
    y.backward(gy)
    return y.data, *(leaf.grad for leaf in leaves if leaf.grad is not None)
