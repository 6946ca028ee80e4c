"""Matrix products on a GPU by our own kernel: CuPy cannot capture those of its library, cuBLAS."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import cover, dense, half, is_map_type, launch
from minise.ops.basic import Gradients, Needs
from minise.ops.linear import check_linear, check_matmul

FILE = "product.cu"
TILE, CHUNK, THREADS = 64, 32, 128
BLOCKS = 64
"""As many blocks as k is cut for, where y alone has fewer."""


def lies(a: Array) -> tuple[Array, int]:
    """(the matrix without gaps, 0), or (its transpose, 1) where that is what lies in memory."""
    if a.T.flags.c_contiguous and not a.flags.c_contiguous:
        return a.T, 1
    return array_module(a).ascontiguousarray(a), 0


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
    xp = array_module(a)
    (m, k), n = a.shape, b.shape[1]
    (a, a_lies), (b, b_lies) = lies(a), lies(b)
    y = xp.empty((m, n), np.float32)
    blocks = cover(n, TILE) * cover(m, TILE)
    count = max(1, min(BLOCKS // blocks, cover(k, 2 * CHUNK)))
    per_part = cover(cover(k, count), CHUNK) * CHUNK
    count = cover(k, per_part)
    parts = xp.empty((count, m, n), np.float32) if count > 1 else None
    constants = {"A_HALF": half(a), "A_LIES": a_lies, "B_LIES": b_lies}
    added, bias = dense(added, bias)
    last = (np.float32(scale), np.float32(add_scale))
    sizes = (np.int32(m), np.int32(n))
    launch(
        FILE, "product", a, b, added, bias, y, parts, *last, *sizes, np.int32(k), np.int32(per_part),
        grid=(cover(n, TILE), cover(m, TILE), count), block=THREADS, constants=constants,
    )  # fmt: skip
    if parts is not None:
        launch(
            FILE, "add_parts", parts, added, bias, y, *last, *sizes, np.int32(count),
            grid=(cover(m * n, THREADS),), block=THREADS, constants=constants,
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
    wide = x.astype(np.float32, copy=False)
    return (
        product(gy, w).astype(x.dtype, copy=False) if needs[0] else None,
        product(gy.T, wide) if needs[1] else None,
        gy.sum(axis=0) if needs[2:] == (True,) else None,
    )[: len(needs)]


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
