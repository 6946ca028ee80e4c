"""The numba backend: loops compiled for this machine's processor, in float32. Needs the extra `fast`."""

from pathlib import Path
from typing import Any

import numpy as np

from minise.backend import register
from minise.kernels.numba import correlate, planes, pool
from minise.kernels.numba import winograd_loops as winograd
from minise.kernels.numba.add import ADD, SMALL
from minise.kernels.numba.cache import TEMPORARY as TEMPORARY
from minise.kernels.numba.conv2d import CONV2D
from minise.kernels.numba.norm import BATCH_NORM, BATCH_NORM_ACT
from minise.kernels.numba.pool import MAX_POOL2D
from minise.kernels.numba.winograd import CHANNELS

LOOPS: tuple[Any, ...] = (
    *(correlate.forward, correlate.backward, pool.forward, pool.forward_pairs, pool.backward),
    *(winograd.correlate, winograd.transform_weights, winograd.reduce, winograd.gather),
    *(planes.moments, planes.affine, planes.sums, planes.combine, planes.add),
)

register("numba", "add", ADD)
register("numba", "conv2d", CONV2D)
register("numba", "batch_norm", BATCH_NORM)
register("numba", "batch_norm_act", BATCH_NORM_ACT)
register("numba", "max_pool2d", MAX_POOL2D)


def compiled() -> bool:
    """Whether the loops lie in numba's cache, compiled: if not, their first use takes some seconds each."""

    def cached(loop: Any) -> bool:
        name = f"{loop.__module__.rpartition('.')[2]}.{loop.__qualname__}-{loop.__code__.co_firstlineno}"
        return any(Path(loop.stats.cache_path).glob(f"{name}.*nbi"))

    return all(cached(loop) for loop in LOOPS)


def prepare() -> None:
    """Run every loop once: what is not in the cache is compiled now, the rest is read from it."""
    x, c = np.ones((2, 4, 8, 8), np.float32), np.ones(4, np.float32)
    for channels in (4, CHANNELS):
        images, weights = (
            np.ones((2, channels, 8, 8), np.float32),
            np.ones((channels, channels, 3, 3), np.float32),
        )
        y, saved = CONV2D.forward(images, weights, padding=1)
        CONV2D.backward(y, saved, (True, True, False))
    for act, residual in (("relu", x), ("gelu", None)):
        y, saved = BATCH_NORM_ACT.forward(x, c, c, residual, act=act)
        BATCH_NORM_ACT.backward(y, saved, (True,) * 10)
    for kernel in (2, 3):
        y, saved = MAX_POOL2D.forward(x, kernel=kernel)
        MAX_POOL2D.backward(y, saved, (True,))
    row = np.ones(SMALL, np.float32)
    ADD.forward(row, row)
