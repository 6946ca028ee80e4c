"""The numpy backend: the reference's arithmetic on blocks of images that stay in the cache, over threads."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, register
from minise.kernels.numpy.batch_norm import BATCH_NORM
from minise.kernels.numpy.conv2d import CONV2D
from minise.kernels.threads import map_blocks
from minise.ops.basic import Gradients, Needs


def relu_supports(x: Array) -> bool:
    """Batches of maps: elsewhere there is too little to share out."""
    return x.ndim == 4 and x.size > 0


def relu_forward(x: Array) -> tuple[Array, Any]:
    """`minise.ops.activation.relu_forward`, block by block."""
    y = np.empty(x.shape, x.dtype)
    map_blocks(lambda block: np.maximum(x[block], 0, out=y[block]), len(x), x[0].nbytes)
    return y, y


def relu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.activation.relu_backward`, block by block."""
    gx = np.empty(gy.shape, gy.dtype)
    map_blocks(lambda block: np.multiply(gy[block], saved[block] > 0, out=gx[block]), len(gy), gy[0].nbytes)
    return (gx,)


register("numpy", "conv2d", CONV2D)
register("numpy", "batch_norm", BATCH_NORM)
register("numpy", "relu", Kernel(relu_forward, relu_backward, relu_supports))
