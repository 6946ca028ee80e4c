"""Matrix products on a GPU by our own kernel: CuPy cannot capture those of its library, cuBLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import cover, dense, half, is_map_type, launch
from minise.ops.basic import Gradients, Needs
from minise.ops.linear import check_linear, check_matmul

TILE, THREADS = 64, 128


def lies(a: Array) -> tuple[Array, int, int]:
    """A matrix without gaps, copied if need be, and the steps from row to row and from column to column."""
    if a.T.flags.c_contiguous:
        return a.T, 1, a.shape[0]
    return array_module(a).ascontiguousarray(a), a.shape[1], 1


def product(
    a: Array,
    b: Array,
    *,
    bias: Array | None = None,
    scale: float = 1.0,
    added: Array | None = None,
    add_scale: float = 1.0,
) -> Array:
    """scale a b + add_scale added + bias in float32: a (m, k), perhaps float16, b (k, n), added (m, n), bias (n,)."""
    (m, k), n = a.shape, b.shape[1]
    (a, *a_steps), (b, *b_steps) = lies(a), lies(b)
    y = array_module(a).empty((m, n), np.float32)
    launch(
        "product.cu", "product", a, b, *dense(added, bias), y, scale, add_scale, m, n, k, *a_steps, *b_steps,
        grid=(cover(n, TILE), cover(m, TILE)), block=THREADS, A_HALF=half(a),
    )  # fmt: skip
    return y


def supports(a: Array, b: Array, bias: Array | None = None, **options: Any) -> bool:
    """Two matrices of which the first may be float16, with at least one element."""
    return (
        a.ndim == b.ndim == 2
        and is_map_type(a)
        and a.size > 0
        and b.size > 0
        and all(x.dtype == np.float32 for x in (b, bias) if x is not None)
    )


def linear_forward(x: Array, w: Array, b: Array | None = None) -> tuple[Array, Any]:
    """`minise.ops.linear.linear_forward`; y is float32."""
    check_linear(x, w, b)
    return product(x, w.T, bias=b), (x, w)


def linear_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, w = saved
    return (
        product(gy, w).astype(x.dtype, copy=False) if needs[0] else None,
        product(gy.T, x.astype(np.float32, copy=False)) if needs[1] else None,
        gy.sum(axis=0) if needs[2] else None,
    )


def matmul_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """`minise.ops.linear.matmul_forward` for two matrices."""
    check_matmul(a, b)
    return product(a, b), (a, b)


def matmul_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    a, b = saved
    return (
        product(gy, b.T).astype(a.dtype, copy=False) if needs[0] else None,
        product(a.astype(np.float32, copy=False).T, gy) if needs[1] else None,
    )


LINEAR = Kernel(linear_forward, linear_backward, supports)
MATMUL = Kernel(matmul_forward, matmul_backward, supports)
