"""The loss of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def softmax_cross_entropy_forward(x: Array, labels: Array, *, smoothing: float = 0.0) -> tuple[Array, Any]:
    """y = mean over n of -Σ_k t_k log p_k, with p = softmax(x) and targets t.

    x: (n, k) logits; labels: (n,) integers in [0, k); y: a scalar.
    t is one-hot, mixed with the uniform distribution: t = (1 - smoothing) onehot + smoothing / k; 0 log 0 is 0.
    log p_k = x_k - max x - log Σ exp(x - max x) does not overflow; gx = gy (p - t) / n.
    Label smoothing: Szegedy et al., 2015, arXiv:1512.00567.
    """
    check_loss(x, labels, smoothing)
    xp = array_module(x)
    shifted = x - x.max(axis=1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    uniform = smoothing * log_p.mean() if smoothing else 0
    y = -uniform - (1 - smoothing) * log_p[xp.arange(len(x)), labels].mean()
    return xp.asarray(y), (log_p, labels, smoothing)


def softmax_cross_entropy_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    log_p, labels, smoothing = saved
    xp = array_module(log_p)
    n, k = log_p.shape
    gx = xp.exp(log_p) - smoothing / k
    gx[xp.arange(n), labels] -= 1 - smoothing
    return (gx * (gy / n), None)


def check_loss(x: Array, labels: Array, smoothing: float) -> None:
    """Raise ShapeError unless the arrays fit together and the labels, where looking at them is cheap, are classes."""
    if x.ndim != 2 or labels.shape != x.shape[:1] or not x.size:
        raise ShapeError(
            f"softmax_cross_entropy: x {x.shape} and labels {labels.shape} do not fit, expected (n, k) and (n,)"
        )
    if not 0 <= smoothing < 1:
        raise ShapeError(f"softmax_cross_entropy: smoothing is {smoothing}, expected 0 <= smoothing < 1")
    if labels.dtype.kind not in "iu":
        raise ShapeError(f"softmax_cross_entropy: labels have dtype {labels.dtype}, expected integers")
    k = x.shape[1]
    # on a GPU the check would stall the queue
    if array_module(x) is np and not (labels.min() >= 0 and labels.max() < k):
        raise ShapeError(
            f"softmax_cross_entropy: labels run from {labels.min()} to {labels.max()}, expected 0 to {k - 1}"
        )


softmax_cross_entropy = Op(softmax_cross_entropy_forward, softmax_cross_entropy_backward)
