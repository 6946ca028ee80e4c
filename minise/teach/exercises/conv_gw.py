"""Lesson 2: the gradient of a convolution's weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise import ops
from minise.backend import Array
from minise.teach.exercises.by_tape import gradients
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake

Shape = tuple[int, ...]


def _conv_gw(gy: Array, x: Array, shape: Shape) -> Array:
    return gradients(lambda w: ops.conv2d(x, w), gy, np.zeros(shape))[0]


def _convolutions(*sizes: tuple[Shape, Shape]) -> Callable[[np.random.Generator], list[Inputs]]:
    """(gy, x, shape of w) for pairs of the shapes of x and w."""

    def cases(rng: np.random.Generator) -> list[Inputs]:
        return [
            (
                rng.standard_normal((x[0], w[0], x[2] - w[2] + 1, x[3] - w[3] + 1)),
                rng.standard_normal(x),
                w,
            )
            for x, w in sizes
        ]

    return cases


def _turned(answer: Callable[..., Array]) -> Callable[..., Array]:
    """The answer with the taps of its result turned around by 180 degrees."""
    return lambda *inputs: answer(*inputs)[:, :, ::-1, ::-1].copy()


CONV_GW = Exercise(
    name="conv-gw",
    lesson=2,
    title="The gradient of a convolution's weights",
    asks="gw of a convolution without stride and padding; shape: that of w, (k, c, kh, kw)",
    signatures=("conv_gw(gy, x, shape)",),
    inputs=("gy", "x", "shape"),
    results=("gw",),
    right=_conv_gw,
    checks=(
        Check(
            "one image, one channel, one tap",
            _convolutions(((1, 1, 4, 3), (1, 1, 1, 1)), ((1, 1, 1, 1), (1, 1, 1, 1))),
            (
                "Look at how often the one weight is used.",
                "With one tap, y = w x at every pixel: w is a number that is shared by all of them.",
                "A weight that is used in many places gets a gradient from each of them.",
            ),
        ),
        Check(
            "many taps",
            _convolutions(((1, 1, 5, 4), (1, 1, 3, 2)), ((1, 1, 3, 3), (1, 1, 3, 3))),
            (
                "Look at which pixels of x one tap is multiplied with.",
                "The tap (p, q) meets x[i + p, j + q] in the output (i, j).",
                "For the tap (p, q), those pixels are a rectangle of x, as large as the output, p down and q across.",
            ),
        ),
        Check(
            "many channels",
            _convolutions(((1, 3, 4, 5), (2, 3, 2, 3)), ((1, 2, 3, 3), (4, 2, 1, 1))),
            (
                "Look at which output channel and which input channel a weight joins.",
                "w[k, c] joins the output channel k with the input channel c, and with no other.",
                "Every (k, c) is the small case again, with gy's channel k and x's channel c.",
            ),
        ),
        Check(
            "many images",
            _convolutions(((3, 2, 4, 5), (4, 2, 3, 3)), ((2, 1, 3, 4), (1, 1, 3, 4))),
            (
                "One image is right: look at what becomes of the others.",
                "All images share the weights.",
                "What does a loss that looks at every image see, when a weight moves?",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            lambda gy, x, shape: _conv_gw(gy, x, shape) / len(x),
            "Your gw is the right one divided by n. If the loss is a mean over the images, gy has the 1 / n already.",
        ),
        Mistake(
            lambda gy, x, shape: _conv_gw(gy, x, shape) / (gy.shape[2] * gy.shape[3]),
            "Your gw is a mean over the pixels: a shared weight is not used less because it is used often.",
        ),
        Mistake(
            _turned(_conv_gw),
            "Your taps are turned around: which tap meets the pixel above and left of the middle?",
        ),
        Mistake(
            lambda gy, x, shape: _conv_gw(gy[:1], x[:1], shape),
            "That is the gradient from the first image alone.",
        ),
        Mistake(
            lambda gy, x, shape: _conv_gw(np.ones_like(gy), x, shape),
            "You add up the pixels under each tap as if every output counted alike: where is gy?",
        ),
        Mistake(
            lambda gy, x, shape: _conv_gw(gy, np.broadcast_to(x.sum(axis=1, keepdims=True), x.shape), shape),
            "All input channels get the same: you add x up over its channels before it meets gy.",
        ),
    ),
)
