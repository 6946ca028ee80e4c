"""Batch norm, SE gate, shortcut and ReLU or GELU in one kernel: one pass over x for its statistics, one for y.

Batch norm makes u = w x̂ + b of x, SE makes s u of that, with a gate s for each plane (image and channel).
Both are affine in x, so y = act(scale x + shift + residual) with coefficients for each plane; and SE's squeeze,
the mean of u, is w and b applied to the mean of x̂, which the statistics have already found.

Backward, with g = gy where y > 0 (and gy gelu'(scale x + shift) for GELU), two sums for each plane are enough:
A = Σ g and B = Σ g x̂.
    the gate        gs = Σ g u = w B + b A, from which the excitation's backward makes gz
    by u            gu = s g + gz / hw
    the norm        gw = Σ gu x̂ = Σ_n s B + gz mean(x̂),   gb = Σ gu = Σ_n s A + gz
    by x            gx = w (gu - gb / m - x̂ gw / m) / √(σ² + eps), affine in g and in x
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array, Kernel
from minise.errors import ShapeError
from minise.kernels.memory import empty
from minise.kernels.numba import planes as loops
from minise.kernels.numba.parallel import side_by_side
from minise.ops.activation import ACTIVATIONS, sigmoid
from minise.ops.basic import Gradients, Needs
from minise.ops.batch_norm import check_batch_norm, in_range, update_running
from minise.ops.linear import linear
from minise.ops.se import check_se

NOTHING = np.empty((0, 0), np.float32)
ACTS = {None: loops.LINEAR, "relu": loops.RELU, "gelu": loops.GELU}
WHICH = {None: loops.ALL, "relu": loops.ABOVE_ZERO_BY_X, "gelu": loops.BY_GELU}


def supports(
    x: Array, w: Array, b: Array, residual: Array | None = None, *others: Any, **options: Any
) -> bool:
    """Maps in float32, with ReLU or nothing after them, or GELU where no shortcut comes in.

    What is wrong with shapes is for the reference to say.
    """
    return (
        x.ndim == 4
        and x.size > 0
        and all(a.dtype == np.float32 for a in (x, w, b, residual, *others) if a is not None)
        and (residual is None or (residual.shape == x.shape and options.get("act") != "gelu"))
        and options.get("act") in ACTS
        and options.get("se_act") in (None, *ACTIVATIONS)
    )


def planes(x: Array) -> Array:
    """(n, c, h, w) as planes: (n·c, h·w)."""
    return np.ascontiguousarray(x).reshape(x.shape[0] * x.shape[1], -1)


def every(a: Array, n: int) -> Array:
    """(c,) or (n, c) as one number a plane: (n·c,), float32."""
    return np.array(np.broadcast_to(a, (n, a.shape[-1])), np.float32).reshape(-1)


def over_planes(loop: Callable[..., None], *arguments: Any) -> None:
    """The loop on all planes: every array among its arguments has a row a plane, or none."""
    side_by_side(loop, len(arguments[0]), *arguments)


def plane_moments(x: Array) -> tuple[Array, Array]:
    """Mean and sum of squares about it, of each plane: (n, c) each."""
    mean, squares = np.empty((2, *x.shape[:2]), x.dtype)
    over_planes(loops.moments, planes(x), mean.reshape(-1), squares.reshape(-1))
    return mean, squares


@np.errstate(over="ignore", invalid="ignore")
def statistics(x: Array) -> tuple[Array, Array, Array]:
    """The planes' means (n, c); mean and variance of each channel: (c,), (c,)."""
    hw = x.shape[2] * x.shape[3]
    plane_mean, squares = plane_moments(x)
    mean = plane_mean.mean(axis=0)
    var = (squares + hw * (plane_mean - mean) ** 2).sum(axis=0) / (len(x) * hw)
    return plane_mean, mean, var


def excite(z: Array, w1: Any, b1: Any, w2: Any, b2: Any, alpha: Any, *, act: str) -> tuple[Array, Any]:
    """The gates s (n, c) of the squeezed z (n, c), and what `excite_backward` needs."""
    given = () if alpha is None else (alpha,)
    steps = (linear, (w1, b1)), (ACTIVATIONS[act].op, given), (linear, (w2, b2)), (sigmoid, ())
    saved = []
    for op, parameters in steps:
        z, kept = op.forward(z, *parameters)
        saved.append((op, kept, len(parameters)))
    return z, saved


def excite_backward(gs: Any, saved: Any) -> tuple[Any, ...]:
    """gz, and the gradients of w1, b1, w2, b2 and alpha."""
    found = []
    for op, kept, count in reversed(saved):
        gs, *gradients = op.backward(gs, kept, op.needs_for(*(True,) * (1 + count)))
        found.append(gradients)
    _, second, galpha, first = found
    return gs, *first, *second, *(galpha or (None,))


def batch_norm_act_forward(
    x: Array,
    w: Array,
    b: Array,
    residual: Array | None = None,
    alpha: Array | None = None,
    w1: Array | None = None,
    b1: Array | None = None,
    w2: Array | None = None,
    b2: Array | None = None,
    se_alpha: Array | None = None,
    *,
    act: str | None = None,
    se_act: str | None = None,
    running: tuple[Array, Array] | None = None,
    train: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Any]:
    """`minise.ops.batch_norm_act.batch_norm_act_composed`."""
    m = check_batch_norm(x, w, b, train)
    n, x = len(x), np.ascontiguousarray(x)
    plane_mean: Any = None
    unit: Array | int = 1
    if train:
        plane_mean, mean, var = statistics(x)
        if not (var < 2.0**64).all():  # else `in_range` has nothing to do
            x, unit = in_range(x)
            plane_mean, mean, var = statistics(x)
        if running is not None:
            update_running(running, mean * unit, var * (m / (m - 1)) * unit * unit, momentum)
    elif running is not None:
        plane_mean = plane_moments(x)[0] if se_act is not None else None
        mean, var = (a.astype(x.dtype) for a in running)  # a copy: the running ones may move before backward
    else:
        raise ShapeError("batch_norm: running is None, expected (mean, var) outside training")
    inv = 1 / np.sqrt(var + eps / unit / unit)
    scale, shift = w * inv, b - w * inv * mean
    s = excitation = None
    if se_act is not None:
        se: Any = (w1, b1, w2, b2, se_alpha)
        check_se(x, *se, act=se_act)
        s, excitation = excite(scale * plane_mean + shift, *se, act=se_act)
        scale, shift = s * scale, s * shift
    y = empty(x.shape, x.dtype)
    others = NOTHING if residual is None else planes(residual)
    affine = every(scale, n), every(shift, n)
    over_planes(loops.affine, planes(x), *affine, others, ACTS[act], planes(y))
    cut = act == "relu" and residual is not None  # else x tells what was cut off, or nothing was
    return y, (x, y if cut else None, act, affine, plane_mean, mean, inv, w, b, unit, s, excitation, train)


def batch_norm_act_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """The gradients as the formulas above have them."""
    x, y, act, affine, plane_mean, mean, inv, w, b, unit, s, excitation, train = saved
    n, c, hw = len(x), len(w), x.shape[2] * x.shape[3]
    m = n * hw
    gy = np.ascontiguousarray(gy, x.dtype)
    which = loops.ABOVE_ZERO if y is not None else WHICH[act]
    maps = planes(gy), NOTHING if y is None else planes(y), planes(x), every(mean, n), *affine, which
    by_one, by_x_hat = np.empty((2, n, c), x.dtype)  # A and B, for each plane
    gx = empty(x.shape, x.dtype)
    over_planes(loops.sums, *maps, planes(gx), by_one.reshape(-1), by_x_hat.reshape(-1))
    by_x_hat *= inv
    if s is None:
        s, gz, gse = 1, 0, [None] * 5
        gw, gb = by_x_hat.sum(axis=0), by_one.sum(axis=0)
    else:
        gz, *gse = excite_backward(w * by_x_hat + b * by_one, excitation)
        gw = (s * by_x_hat + gz * (plane_mean - mean) * inv).sum(axis=0)
        gb = (s * by_one + gz).sum(axis=0)
    gr = gy if y is None else empty(x.shape, x.dtype)
    w = w / unit
    by_x, shift = (-w * inv**2 * gw / m, gz / hw - gb / m) if train else (np.zeros_like(w), gz / hw)
    coefficients = every(w * inv * s, n), every(by_x, n), every(w * inv * shift, n)
    over_planes(loops.combine, *maps, *coefficients, planes(gx), planes(gr))
    return gx, gw, gb, gr, None, *gse


def batch_norm_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """The gradients of a batch norm alone."""
    return batch_norm_act_backward(gy, saved, needs)[:3]


BATCH_NORM = Kernel(batch_norm_act_forward, batch_norm_backward, supports)
BATCH_NORM_ACT = Kernel(batch_norm_act_forward, batch_norm_act_backward, supports)
