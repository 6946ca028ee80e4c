"""The backend `cuda`: what it replaces."""

from __future__ import annotations

from minise.backend import register
from minise.kernels.cuda.conv2d import CONV2D
from minise.kernels.cuda.layout import ADD, PAD, SLICE
from minise.kernels.cuda.loss import SOFTMAX_CROSS_ENTROPY
from minise.kernels.cuda.norm import BATCH_NORM, BATCH_NORM_ACT, SE
from minise.kernels.cuda.pool import GLOBAL_AVG_POOL, MAX_POOL2D
from minise.kernels.cuda.product import LINEAR, MATMUL
from minise.kernels.cuda.update import RULES, STEP

register("cuda", "add", ADD)
register("cuda", "pad", PAD)
register("cuda", "slice", SLICE)
register("cuda", "conv2d", CONV2D)
register("cuda", "batch_norm", BATCH_NORM)
register("cuda", "batch_norm_act", BATCH_NORM_ACT)
register("cuda", "se", SE)
register("cuda", "max_pool2d", MAX_POOL2D)
register("cuda", "global_avg_pool", GLOBAL_AVG_POOL)
register("cuda", "linear", LINEAR)
register("cuda", "matmul", MATMUL)
register("cuda", "softmax_cross_entropy", SOFTMAX_CROSS_ENTROPY)
for optimizer in RULES:
    register("cuda", f"{optimizer}.step", STEP)
