"""The numba backend: loops compiled for this machine's processor, in float32. Needs the extra `fast`."""

from minise.backend import register
from minise.kernels.numba_conv2d import CONV2D
from minise.kernels.numba_norm import BATCH_NORM, BATCH_NORM_ACT

register("numba", "conv2d", CONV2D)
register("numba", "batch_norm", BATCH_NORM)
register("numba", "batch_norm_act", BATCH_NORM_ACT)
