"""Dropout."""

from __future__ import annotations

from typing import Any

from minise.backend import Array
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def dropout_forward(x: Array, *, p: float, rng: Any) -> tuple[Array, Any]:
    """y = x k / (1 - p), where each k is 0 with probability p and 1 otherwise; gx = gy k / (1 - p).

    rng: a Generator of x's module (`numpy.random` or `cupy.random`). Dividing by 1 - p keeps the mean, so
    that nothing changes when dropout is left out. Source: Srivastava et al., JMLR 15, 2014.
    """
    if not 0 <= p < 1:
        raise ShapeError(f"dropout: p is {p}, expected 0 <= p < 1")
    keep = (rng.random(x.shape) >= p).astype(x.dtype) / (1 - p)
    return x * keep, keep


def dropout_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy * saved,)


dropout = Op(dropout_forward, dropout_backward)
