"""The loss of a classifier on a GPU: the launches around `cuda/loss.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module, no_backward
from minise.kernels.cuda.launch import cover, launch
from minise.ops.basic import Gradients, Needs
from minise.ops.loss import check_loss

THREADS = 256


def supports(x: Array, labels: Array, **options: Any) -> bool:
    """Logits in float32 and labels in int64."""
    return x.ndim == 2 and x.size > 0 and x.dtype == np.float32 and labels.dtype == np.int64


def softmax_cross_entropy_forward(x: Array, labels: Array, *, smoothing: float = 0.0) -> tuple[Array, Any]:
    """`minise.ops.loss.softmax_cross_entropy_forward`."""
    check_loss(x, labels, smoothing)
    xp = array_module(x)
    n, k = x.shape
    log_p, losses, y = xp.empty((n, k), np.float32), xp.empty(n, np.float32), xp.empty((), np.float32)
    x, labels, mixed = (
        xp.ascontiguousarray(x),
        xp.ascontiguousarray(xp.asarray(labels)),
        np.float32(smoothing),
    )
    rows = THREADS // 32
    launch(
        "loss.cu", "losses", x, labels, mixed, log_p, losses, np.int32(n),
        grid=(cover(n, rows),), block=THREADS, constants={"HALF": 0, "K": k},
    )  # fmt: skip
    launch("loss.cu", "mean", losses, y, np.int32(n), grid=(1,), block=THREADS, constants={"HALF": 0, "K": k})
    return y, (log_p, labels, mixed)


def softmax_cross_entropy_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    log_p, labels, mixed = saved
    n, k = log_p.shape
    gx = array_module(log_p).empty((n, k), np.float32)
    launch(
        "loss.cu", "backward", gy.astype(np.float32, copy=False), log_p, labels, mixed, gx, np.int32(n),
        grid=(cover(n * k, THREADS),), block=THREADS, constants={"HALF": 0, "K": k},
    )  # fmt: skip
    return gx, None


def share_right(x: Array, labels: Array) -> tuple[Array, Any]:
    """The share of the rows of x whose label is their largest number, as `minise.train.step.share_right`."""
    y = array_module(x).empty((), np.float32)
    n, k = x.shape
    x, labels = (array_module(x).ascontiguousarray(a) for a in (x, labels))
    launch(
        "loss.cu", "right", x, labels, y, np.int32(n), grid=(1,), block=THREADS, constants={"HALF": 0, "K": k}
    )
    return y, None


SHARE_RIGHT = Kernel(share_right, no_backward, supports)
SOFTMAX_CROSS_ENTROPY = Kernel(softmax_cross_entropy_forward, softmax_cross_entropy_backward, supports)
