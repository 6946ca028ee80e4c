"""Pooling on a GPU: the launches around `src/pool.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import THREADS, cover, empty_maps, half, is_map_type, launch, nhwc
from minise.ops.basic import Gradients, Needs
from minise.ops.pool import check_pool

FILE = "pool.cu"


def supports(x: Array, **options: Any) -> bool:
    """Maps of a type that the kernels know, and windows whose taps fit into a byte."""
    return x.ndim == 4 and is_map_type(x) and x.size > 0 and options.get("kernel", 1) <= 15


def blocks(x: Array) -> int:
    """Blocks enough for a thread per 16 bytes, or per number where channels do not fill them."""
    per_thread = 16 // x.itemsize if x.shape[1] % (16 // x.itemsize) == 0 else 1
    return cover(x.size, per_thread * THREADS)


def max_pool2d_forward(
    x: Array, *, kernel: int, stride: int | None = None, padding: int = 0
) -> tuple[Array, Any]:
    """`minise.ops.pool.max_pool2d_forward`."""
    stride = kernel if stride is None else stride
    ho, wo = check_pool("max_pool2d", x, kernel, stride, padding)
    n, c, h, w = x.shape
    y, winner = empty_maps(x, (n, c, ho, wo)), empty_maps(x, (n, c, ho, wo), np.uint8)
    constants = dict(HALF=half(x), C=c, H=h, W=w, HO=ho, WO=wo, KERNEL=kernel, STRIDE=stride, PAD=padding)
    launch(FILE, "max_forward", nhwc(x), nhwc(y), nhwc(winner), n, grid=blocks(y), **constants)
    return y, (winner, x.shape, x.dtype, constants)


def max_pool2d_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    winner, shape, dtype, constants = saved
    gx = empty_maps(gy, shape, dtype)
    gy = nhwc(gy.astype(dtype, copy=False))
    launch(FILE, "max_backward", gy, nhwc(winner), nhwc(gx), len(gx), grid=blocks(gx), **constants)
    return (gx,)


def global_avg_pool_forward(x: Array) -> tuple[Array, Any]:
    """`minise.ops.pool.global_avg_pool_forward`; y is float32."""
    n, c, h, w = x.shape
    y = array_module(x).empty((n, c), np.float32)
    constants = dict(HALF=half(x), C=c, H=h, W=w, HO=1, WO=1, KERNEL=1, STRIDE=1, PAD=0)
    launch(FILE, "mean_forward", nhwc(x), y, grid=n, **constants)
    return y, (x.shape, x.dtype, constants)


def global_avg_pool_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    shape, dtype, constants = saved
    gx = empty_maps(gy, shape, dtype)
    gy = array_module(gy).ascontiguousarray(gy, np.float32)
    launch(FILE, "mean_backward", gy, nhwc(gx), len(gx), grid=blocks(gx), **constants)
    return (gx,)


MAX_POOL2D = Kernel(max_pool2d_forward, max_pool2d_backward, supports)
GLOBAL_AVG_POOL = Kernel(global_avg_pool_forward, global_avg_pool_backward, supports)
