"""The numba backend: loops compiled for this machine's processor, in float32. Needs the extra `fast`."""

from pathlib import Path
from typing import Any

import numpy as np

from minise.backend import register
from minise.kernels import (
    numba_correlate,
    numba_planes,
    numba_pool,
    numba_winograd_loops,
    numba_winograd_weights,
)
from minise.kernels.numba_add import ADD, SMALL
from minise.kernels.numba_conv2d import CONV2D
from minise.kernels.numba_norm import BATCH_NORM, BATCH_NORM_ACT
from minise.kernels.numba_pool import MAX_POOL2D
from minise.kernels.numba_winograd import CHANNELS

LOOPS: tuple[Any, ...] = (
    *(numba_correlate.forward, numba_correlate.backward),
    *(numba_winograd_loops.correlate, numba_winograd_loops.transform_weights),
    *(numba_winograd_weights.reduce, numba_winograd_weights.gather),
    *(numba_planes.moments, numba_planes.affine, numba_planes.sums, numba_planes.combine, numba_planes.add),
    *(numba_pool.forward, numba_pool.forward_pairs, numba_pool.backward),
)

register("numba", "add", ADD)
register("numba", "conv2d", CONV2D)
register("numba", "batch_norm", BATCH_NORM)
register("numba", "batch_norm_act", BATCH_NORM_ACT)
register("numba", "max_pool2d", MAX_POOL2D)


def compiled() -> bool:
    """Whether the loops lie in numba's cache, compiled: if not, their first use takes some seconds each."""
    return all(any(Path(loop.stats.cache_path).glob(f"*.{loop.__name__}-*.nbi")) for loop in LOOPS)


def prepare() -> None:
    """Run every loop once: what is not in the cache is compiled now, the rest is read from it."""
    x, c = np.ones((2, 4, 8, 8), np.float32), np.ones(4, np.float32)
    for channels in (4, CHANNELS):
        images, weights = (
            np.ones((2, channels, 8, 8), np.float32),
            np.ones((channels, channels, 3, 3), np.float32),
        )
        y, saved = CONV2D.forward(images, weights, padding=1)
        CONV2D.backward(y, saved, (True, True))
    y, saved = BATCH_NORM_ACT.forward(x, c, c, x, act="relu")
    BATCH_NORM_ACT.backward(y, saved, (True, True, True, True))
    for kernel in (2, 3):
        y, saved = MAX_POOL2D.forward(x, kernel=kernel)
        MAX_POOL2D.backward(y, saved, (True,))
    row = np.ones(SMALL, np.float32)
    ADD.forward(row, row)
