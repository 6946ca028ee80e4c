"""Batch normalisation, with the statistics of the batch or with those gathered while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def check_batch_norm(x: Array, w: Array, b: Array, train: bool) -> int:
    """How many values of x share a channel's statistics, or ShapeError."""
    if x.ndim not in (2, 4) or w.shape != x.shape[1:2] or b.shape != x.shape[1:2]:
        raise ShapeError(
            f"batch_norm: x {x.shape}, w {w.shape} and b {b.shape} do not fit,"
            " expected (n, c) or (n, c, h, w), (c,) and (c,)"
        )
    m = x.size // max(x.shape[1], 1)
    if train and m < 2:
        raise ShapeError(f"batch_norm: {m} value a channel in training, expected at least 2, x {x.shape}")
    return m


def batch_norm_forward(
    x: Array,
    w: Array,
    b: Array,
    *,
    running: tuple[Array, Array] | None = None,
    train: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Any]:
    """y = w x̂ + b with x̂ = (x - μ) / √(σ² + eps), for each channel.

    x: (n, c) or (n, c, h, w); w, b: (c,). running: (mean, var), each (c,).
    train: μ and σ² are the batch's (σ² divides by m, the number of values a channel); `running`, where
    given, moves towards them in place, by `momentum`, with the unbiased variance: the one side effect an op
    has. Otherwise μ and σ² are the running ones, and constants. Statistics of float16 are float32.

    Every value of a batch moves μ and σ², so in training, with ĝ = w gy:
        gx = (ĝ - mean(ĝ) - x̂ mean(ĝ x̂)) / √(σ² + eps)
    and without: gx = ĝ / √(σ² + eps). Always gw = Σ gy x̂, gb = Σ gy.
    Source: Ioffe and Szegedy, 2015, arXiv:1502.03167.
    """
    m = check_batch_norm(x, w, b, train)
    axes, dtype = (0, *range(2, x.ndim)), np.result_type(x, w)
    x = x.astype(np.result_type(x, np.float32), copy=False)
    x, unit = in_range(x) if train else (x, 1)
    if train:
        mean = x.mean(axis=axes)
        centred = x - column(mean, x.ndim)
        var = (centred * centred).mean(axis=axes)
        if running is not None:
            update_running(running, mean * unit, var * (m / (m - 1)) * unit * unit, momentum)
    else:
        if running is None:
            raise ShapeError("batch_norm: running is None, expected (mean, var) outside training")
        mean, var = running
        centred = x - column(mean, x.ndim)
    inv = 1 / array_module(x).sqrt(var + eps / unit / unit)
    x_hat = centred * column(inv, x.ndim)
    y = column(w, x.ndim) * x_hat + column(b, x.ndim)
    return y.astype(dtype, copy=False), (x_hat, inv / unit, w, train)


def batch_norm_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x_hat, inv, w, train = saved
    axes = (0, *range(2, gy.ndim))
    gw = (gy * x_hat).sum(axis=axes)
    gb = gy.sum(axis=axes)
    gx = None
    if needs[0]:
        gx = gy
        if train:
            m = gy.size // len(w)
            gx = gy - column(gb / m, gy.ndim) - x_hat * column(gw / m, gy.ndim)
        gx = gx * column(w * inv, gy.ndim)
    found = (gx, gw if needs[1] else None, gb if needs[2] else None)
    return tuple(None if g is None else g.astype(gy.dtype, copy=False) for g in found)


def in_range(x: Array) -> tuple[Array, Array]:
    """(x / unit, unit): (c,), of channels that reach 2^32 the next power of two, so that σ² is finite, else 1."""
    xp = array_module(x)
    largest = xp.abs(x).max(axis=(0, *range(2, x.ndim)))
    _, exponent = xp.frexp(largest)
    unit = xp.ldexp(xp.ones_like(largest), xp.where(exponent > 32, exponent - 1, 0))
    return x / column(unit, x.ndim), unit


def column(a: Array, ndim: int) -> Array:
    """(c,) shaped so that it broadcasts along axis 1 of ndim axes."""
    return a.reshape(-1, *(1,) * (ndim - 2))


def update_running(running: tuple[Array, Array], mean: Array, var: Array, momentum: float) -> None:
    """running += momentum (batch - running), in place."""
    for old, new in zip(running, (mean, var), strict=True):
        old += momentum * (new - old)


batch_norm = Op(batch_norm_forward, batch_norm_backward)
