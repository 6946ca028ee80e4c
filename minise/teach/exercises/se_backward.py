"""Lesson 3: the whole SE block, with its two paths."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops.activation import sigmoid_forward
from minise.ops.se import se_composed
from minise.teach.exercises.by_tape import gradients
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake
from minise.teach.exercises.se_cases import SIZES, weights
from minise.teach.exercises.se_excite import SE_EXCITE


def _whole(gy: Array, *arrays: Array) -> tuple[Any, ...]:
    """By the tape, from the block as a chain of ops."""
    return gradients(partial(se_composed, act="relu"), gy, *arrays)


def _blocks(rng: np.random.Generator) -> list[Inputs]:
    """(gy, u, w1, b1, w2, b2)."""
    return [
        (rng.standard_normal(shape), rng.standard_normal(shape), *weights(rng, shape[1], d))
        for shape, d in SIZES
    ]


def _paths(direct: float, gate: Callable[..., float]) -> Callable[..., tuple[Any, ...]]:
    """The answer with weights on the two paths: the direct one, and, by (n, c, h, w), that through the gate."""

    def answer(gy: Array, u: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Any, ...]:
        gu, *rest = _whole(gy, u, w1, b1, w2, b2)
        a = np.maximum(u.mean(axis=(2, 3)) @ w1.T + b1, 0)
        straight = gy * sigmoid_forward(a @ w2.T + b2)[0][:, :, None, None]
        return (direct * straight + gate(*u.shape) * (gu - straight), *rest)

    return answer


def _with_gs(wrong: Callable[[Array, Array], Array]) -> Callable[..., tuple[Any, ...]]:
    """The answer that goes on with another gs, a function of gy and u."""

    def answer(gy: Array, u: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Any, ...]:
        z = u.mean(axis=(2, 3))
        q = z @ w1.T + b1
        a = np.maximum(q, 0)
        s, _ = sigmoid_forward(a @ w2.T + b2)
        gz, *rest = SE_EXCITE.right(wrong(gy, u), z, q, a, s, w1, w2)
        return (gy * s[:, :, None, None] + (gz / u[0, 0].size)[:, :, None, None], *rest)

    return answer


def _weighted(weight: Callable[[int], float]) -> Callable[..., tuple[Any, ...]]:
    """The answer with the gradients of the weights multiplied by a function of n."""

    def answer(gy: Array, *arrays: Array) -> tuple[Any, ...]:
        gu, *rest = _whole(gy, *arrays)
        return (gu, *(weight(len(gy)) * g for g in rest))

    return answer


SE_BACKWARD = Exercise(
    name="se-backward",
    lesson=3,
    title="Step 3: the whole block, two paths",
    asks="the gradients of u, W1, b1, W2 and b2 of an SE block with ReLU, from gy and what went into its forward",
    signatures=("se_backward(gy, u, w1, b1, w2, b2)",),
    inputs=("gy", "u", "w1", "b1", "w2", "b2"),
    results=("gu", "gw1", "gb1", "gw2", "gb2"),
    right=_whole,
    checks=(
        Check(
            "gw2 and what lies behind it",
            _blocks,
            (
                "Look at what you put into step 2, and in which order its results come back.",
                "Compute z, q, a and s again from u and the weights, as the forward does.",
                "If steps 1 and 2 are solved, only their order can be wrong here.",
            ),
            result=3,
        ),
        Check(
            "gb2",
            _blocks,
            (
                "Look at the last of the five results.",
                "The order is that of the inputs: u, W1, b1, W2, b2.",
                "It is what step 2 gave.",
            ),
            result=4,
        ),
        Check(
            "gw1",
            _blocks,
            (
                "Look at the z that went into step 2.",
                "z is the mean of u over the map.",
                "It is what step 2 gave.",
            ),
            result=1,
        ),
        Check(
            "gb1",
            _blocks,
            (
                "Look at the third of the five results.",
                "The order is that of the inputs: u, W1, b1, W2, b2.",
                "It is what step 2 gave.",
            ),
            result=2,
        ),
        Check(
            "gu, from both paths",
            _blocks,
            (
                "Look at the ways on which u reaches y.",
                "Draw u → z → … → s → y, and u → y beside it.",
                "z[n, c] is a mean of h·w pixels: how much does it move when one of them moves by 1?",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            _paths(1, lambda n, c, h, w: 0),
            "Your gu is the direct path alone: the gate was computed from u too.",
        ),
        Mistake(
            _paths(0, lambda n, c, h, w: 1),
            "Your gu is the path through the gate alone: u is also what is gated.",
        ),
        Mistake(
            _paths(1, lambda n, c, h, w: h * w),
            "Every pixel gets the whole of gz: how much does a mean move with one of its pixels?",
        ),
        Mistake(
            _paths(1, lambda n, c, h, w: w),
            "You divide gz by one side of the map: how many pixels has it?",
        ),
        Mistake(
            _paths(1, lambda n, c, h, w: 1 / n),
            "You divide gz by n as well: the squeeze averages over the map, not over the images.",
        ),
        Mistake(_paths(1, lambda n, c, h, w: -1), "The two paths are subtracted: u moves y on both."),
        Mistake(
            _with_gs(lambda gy, u: u.sum(axis=(2, 3))),
            "Your gs does not know gy. With gy all ones nobody would notice.",
        ),
        Mistake(
            _with_gs(lambda gy, u: gy.sum(axis=(2, 3)) * u.mean(axis=(2, 3))),
            "For gs you add up before you multiply. With gy all ones nobody would notice.",
        ),
        Mistake(
            _weighted(lambda n: 1 / n),
            "Yours is the right one divided by n. If the loss is a mean over the images, gy has the 1 / n already.",
        ),
    ),
)
