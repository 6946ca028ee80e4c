"""Lesson 2: the gradient of a convolution's input, with a stride."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise import ops
from minise.backend import Array
from minise.ops.conv2d import windows
from minise.teach.exercises.by_tape import gradients
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake

Shape = tuple[int, ...]


def _conv_gx(gy: Array, w: Array, shape: Shape, stride: int) -> Array:
    return gradients(lambda x: ops.conv2d(x, w, stride=stride), gy, np.zeros(shape))[0]


def _strides(*sizes: tuple[Shape, Shape, int]) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, w, shape of x, stride)."""

    def cases(rng: np.random.Generator) -> list[Inputs]:
        found: list[Inputs] = []
        for x, w, stride in sizes:
            ho, wo = (x[2] - w[2]) // stride + 1, (x[3] - w[3]) // stride + 1
            found.append((rng.standard_normal((x[0], w[0], ho, wo)), rng.standard_normal(w), x, stride))
        return found

    return cases


def _overwritten(gy: Array, w: Array, shape: Shape, stride: int) -> Array:
    """Every tap overwrites what the taps before it gave to the same pixels."""
    gx = np.zeros(shape)
    kh, kw = w.shape[2:]
    taps = windows(gx, kh, kw, stride)
    for p, q in np.ndindex(kh, kw):
        taps[:, :, p, q] = np.einsum("nkij,kc->ncij", gy, w[:, :, p, q])
    return gx


def _in_turns(gy: Array, w: Array, shape: Shape, stride: int) -> Array:
    """Windows that move by the whole kernel, as far as they stay in the image."""
    gx = np.zeros(shape)
    (kh, kw), (ho, wo) = w.shape[2:], gy.shape[2:]
    for i, j in np.ndindex(ho, wo):
        part = gx[:, :, i * kh : (i + 1) * kh, j * kw : (j + 1) * kw]
        part += np.einsum("nk,kcpq->ncpq", gy[:, :, i, j], w)[:, :, : part.shape[2], : part.shape[3]]
    return gx


CONV_STRIDE = Exercise(
    name="conv-stride",
    lesson=2,
    title="The gradient of a convolution's input, with a stride",
    asks="gx of a convolution with a stride and without padding; shape: that of x, (n, c, h, w)",
    signatures=("conv_gx(gy, w, shape, stride)",),
    inputs=("gy", "w", "shape", "stride"),
    results=("gx",),
    right=_conv_gx,
    checks=(
        Check(
            "stride 1, as in the lesson",
            _strides(((1, 1, 4, 3), (1, 1, 2, 2), 1), ((2, 3, 4, 5), (4, 3, 3, 2), 1)),
            (
                "Look at the loops of the lesson: stride 1 must give what they give.",
                "A pixel lies under several windows, under another tap of each.",
                "Read the forward backwards: y += w x becomes gx += w gy, at the same places.",
            ),
        ),
        Check(
            "stride 2",
            _strides(((1, 1, 5, 4), (1, 1, 3, 2), 2), ((2, 3, 7, 5), (4, 3, 3, 3), 2)),
            (
                "Look at where the window of the output (i, j) begins.",
                "The forward reads x[i·stride + p, j·stride + q] for the output (i, j) and the tap (p, q).",
                "In taps: a slice with a step picks every second pixel; gy itself is not spread out.",
            ),
        ),
        Check(
            "a stride larger than the kernel, and pixels that no window reaches",
            _strides(((1, 2, 7, 9), (3, 2, 2, 2), 3), ((1, 1, 6, 6), (1, 1, 1, 1), 4)),
            (
                "Look at the pixels between the windows, and at the right and lower edge.",
                "A pixel that no window has read has no influence on y.",
                "gx has x's shape, whatever gy's shape is.",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, w, shape, stride: _conv_gx(
                np.pad(
                    gy,
                    (
                        *((0, 0),) * 2,
                        (0, shape[2] - w.shape[2] + 1 - gy.shape[2]),
                        (0, shape[3] - w.shape[3] + 1 - gy.shape[3]),
                    ),
                ),
                w,
                shape,
                1,
            ),
            "You put the windows side by side as if the stride were 1.",
        ),
        Mistake(
            lambda gy, w, shape, stride: _conv_gx(gy, w[:, :, ::-1, ::-1], shape, stride),
            "Your kernel is turned around. A gather with gy turns it; adding back to where it was read does not.",
        ),
        Mistake(
            _overwritten,
            "Where windows overlap, the last tap overwrites what the others gave to the pixel.",
        ),
        Mistake(_in_turns, "You move by a whole kernel from window to window, whatever the stride is."),
        Mistake(
            lambda gy, w, shape, stride: _conv_gx(gy, np.ones_like(w), shape, stride),
            "Every pixel of a window gets the same: where are the weights?",
        ),
    ),
)
