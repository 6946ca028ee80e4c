"""Matrix products."""

from __future__ import annotations

from typing import Any

from minise.backend import Array
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs, unbroadcast
from minise.tape import Op


def matmul_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """y = a b, as NumPy's matmul for two or more axes: ga = gy bᵀ, gb = aᵀ gy.

    a: (…, m, k), b: (…, k, n), y: (…, m, n); the leading axes broadcast.
    """
    check_matmul(a, b)
    try:
        return a @ b, (a, b)
    except ValueError as error:
        raise ShapeError(f"matmul: the leading axes of {a.shape} and {b.shape} do not broadcast") from error


def matmul_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a, b = saved
    return (
        unbroadcast(gy @ b.swapaxes(-1, -2), a.shape) if needs[0] else None,
        unbroadcast(a.swapaxes(-1, -2) @ gy, b.shape) if needs[1] else None,
    )


def linear_forward(x: Array, w: Array, b: Array | None = None) -> tuple[Array, Any]:
    """A fully connected layer: y = x wᵀ + b.

    x: (n, in), w: (out, in), b: (out,) or None, y: (n, out).
    gx = gy w, gw = gyᵀ x, gb = Σ_n gy.
    """
    check_linear(x, w, b)
    y = x @ w.T
    return (y if b is None else y + b), (x, w)


def linear_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w = saved
    return (
        gy @ w if needs[0] else None,
        gy.T @ x if needs[1] else None,
        gy.sum(axis=0) if needs[2] else None,
    )


def check_matmul(a: Array, b: Array) -> None:
    """Raise ShapeError unless the last two axes fit together."""
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape} do not fit, expected (…, m, k) and (…, k, n)"
        )


def check_linear(x: Array, w: Array, b: Array | None) -> None:
    """Raise ShapeError unless the arrays fit together."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ShapeError(f"linear: x {x.shape} and w {w.shape} do not fit, expected (n, in) and (out, in)")
    if b is not None and b.shape != w.shape[:1]:
        raise ShapeError(f"linear: b has shape {b.shape}, expected {w.shape[:1]} for w {w.shape}")


matmul = Op(matmul_forward, matmul_backward)
linear = Op(linear_forward, linear_backward)
