"""The loss of a classifier on a GPU: the launches around `src/loss.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import THREADS, cover, dense, launch
from minise.ops.basic import Gradients, Needs
from minise.ops.loss import check_loss


def supports(x: Array, labels: Array, **options: Any) -> bool:
    """Logits in float32 and labels in int64."""
    return x.ndim == 2 and x.size > 0 and x.dtype == np.float32 and labels.dtype == np.int64


def softmax_cross_entropy_forward(x: Array, labels: Array, *, smoothing: float = 0.0) -> tuple[Array, Any]:
    """`minise.ops.loss.softmax_cross_entropy_forward`."""
    check_loss(x, labels, smoothing)
    xp = array_module(x)
    n, k = x.shape
    log_p, losses, y = xp.empty((n, k), np.float32), xp.empty(n, np.float32), xp.empty((), np.float32)
    x, labels = dense(x, xp.asarray(labels))
    mixed, warps = float(smoothing), THREADS // 32
    launch("loss.cu", "losses", x, labels, mixed, log_p, losses, n, grid=cover(n, warps), HALF=0, K=k)
    launch("loss.cu", "mean", losses, y, n, grid=1, HALF=0, K=k)
    return y, (log_p, labels, mixed)


def softmax_cross_entropy_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    log_p, labels, mixed = saved
    n, k = log_p.shape
    gy, gx = gy.astype(np.float32, copy=False), array_module(log_p).empty((n, k), np.float32)
    launch("loss.cu", "backward", gy, log_p, labels, mixed, gx, n, grid=cover(n * k, THREADS), HALF=0, K=k)
    return gx, None


SOFTMAX_CROSS_ENTROPY = Kernel(softmax_cross_entropy_forward, softmax_cross_entropy_backward, supports)
