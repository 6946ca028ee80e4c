"""Batch normalisation of maps on blocks of images, for the numpy backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel
from minise.errors import ShapeError
from minise.kernels.threads import map_blocks, scratch
from minise.ops.basic import Gradients, Needs
from minise.ops.batch_norm import check_batch_norm, column, in_range, update_running


def batch_norm_supports(x: Array, w: Array, b: Array, **options: Any) -> bool:
    """Maps, all of float32 or of float64; the reference does the rest and reports what is wrong."""
    return (
        x.ndim == 4 and x.dtype == w.dtype == b.dtype and x.dtype in (np.float32, np.float64) and x.size > 0
    )


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
    """`minise.ops.batch_norm.batch_norm_forward`: one pass for the statistics in training, one for y."""
    m = check_batch_norm(x, w, b, train)
    unit: Array | int = 1
    if train:
        mean, var = batch_statistics(x, m)
        if not (var < 2.0**64).all():  # else `in_range` has nothing to do
            x, unit = in_range(x)
            mean, var = batch_statistics(x, m)
        if running is not None:
            update_running(running, mean * unit, var * (m / (m - 1)) * unit * unit, momentum)
    elif running is not None:
        mean, var = (a.astype(x.dtype) for a in running)  # a copy: the running ones may move before backward
    else:
        raise ShapeError("batch_norm: running is None, expected (mean, var) outside training")
    inv = 1 / np.sqrt(var + eps / unit / unit)
    y = np.empty(x.shape, x.dtype)

    def normalise(block: slice) -> None:
        part = np.subtract(x[block], column(mean, 4), out=y[block])
        part *= column(w * inv, 4)
        part += column(b, 4)

    map_blocks(normalise, len(x), x[0].nbytes)
    return y, (x, mean, inv, w, unit, train)


@np.errstate(over="ignore", invalid="ignore")
def batch_statistics(x: Array, m: int) -> tuple[Array, Array]:
    """Mean and variance of each channel over its m values: (c,), (c,).

    Each block has a mean μ_i and a sum of squares about it, q_i, over m_i values; together they give
    μ = Σ m_i μ_i / m and m σ² = Σ (q_i + m_i (μ_i - μ)²), which loses nothing where the mean is large.
    """

    def statistics(block: slice) -> tuple[int, Array, Array]:
        mean = x[block].mean(axis=(0, 2, 3))
        part = centred(x[block], mean)
        return part[:, 0].size, mean, _sum_of_products(part, part)

    blocks = map_blocks(statistics, len(x), x[0].nbytes)
    counts = np.array([count for count, _, _ in blocks], x.dtype)[:, None]
    means = np.stack([mean for _, mean, _ in blocks])
    mean = (counts * means).sum(axis=0) / m
    squares = np.sum([q for _, _, q in blocks], axis=0) + (counts * (means - mean) ** 2).sum(axis=0)
    return mean, squares / m


def batch_norm_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.batch_norm.batch_norm_backward`; x̂ is made again from x, block by block."""
    x, mean, inv, w, unit, train = saved
    m = x.size // len(w)

    def sums(block: slice) -> tuple[Array, Array]:
        return _sum_of_products(gy[block], centred(x[block], mean)), gy[block].sum(axis=(0, 2, 3))

    gw, gb = (np.sum(parts, axis=0) for parts in zip(*map_blocks(sums, len(x), x[0].nbytes), strict=True))
    gw *= inv
    gx = np.empty(x.shape, x.dtype) if needs[0] else None

    def input_gradient(block: slice) -> None:
        assert gx is not None
        if train:
            shift = centred(x[block], mean)
            shift *= column(gw * inv / m, 4)
            shift += column(gb / m, 4)
            np.subtract(gy[block], shift, out=gx[block])
            gx[block] *= column(w * inv / unit, 4)
        else:
            np.multiply(gy[block], column(w * inv, 4), out=gx[block])

    if gx is not None:
        map_blocks(input_gradient, len(x), x[0].nbytes)
    return gx, gw if needs[1] else None, gb if needs[2] else None


def centred(x: Array, mean: Array) -> Array:
    """x - μ, in scratch memory."""
    return np.subtract(x, column(mean, 4), out=scratch("bn", x.shape, x.dtype))


def _sum_of_products(a: Array, b: Array) -> Array:
    """Σ a b over images and pixels: (c,)."""
    n, c = a.shape[:2]
    sums: Array = np.einsum("ncp,ncp->c", a.reshape(n, c, -1), b.reshape(n, c, -1))
    return sums


BATCH_NORM = Kernel(batch_norm_forward, batch_norm_backward, batch_norm_supports)
