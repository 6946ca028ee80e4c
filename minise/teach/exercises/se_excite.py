"""Lesson 3: back through the excitation of an SE block."""

from __future__ import annotations

import numpy as np

from minise import ops
from minise.backend import Array
from minise.tape import Tensor
from minise.teach.exercises.by_tape import y_and_gradients
from minise.teach.exercises.exercise import Inputs


def weights(rng: np.random.Generator, c: int, d: int) -> tuple[Array, Array, Array, Array]:
    """Draw w1, b1, w2 and b2. The positive b1 keeps some units active, however few there are."""
    w1, b1 = rng.standard_normal((d, c)), rng.uniform(0.5, 1, d)
    return w1, b1, rng.standard_normal((c, d)), rng.standard_normal(c)


def excite(z: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """s, as a chain of ops."""
    return ops.sigmoid(ops.linear(ops.relu(ops.linear(z, w1, b1)), w2, b2))


def draw(rng: np.random.Generator, n: int, c: int, d: int) -> Inputs:
    """Draw gs, z, w1 and w2; q, a and s are what a forward saves."""
    w1, b1, w2, b2 = weights(rng, c, d)
    z = rng.standard_normal((n, c))
    q = z @ w1.T + b1
    s = excite(*map(Tensor, (z, w1, b1, w2, b2))).data
    return rng.standard_normal((n, c)), z, q, np.maximum(q, 0), s, w1, w2


def right(gs: Array, z: Array, q: Array, a: Array, s: Array, w1: Array, w2: Array) -> tuple[Array, ...]:
    """gz, gw1, gb1, gw2 and gb2; b1 and b2 are computed from what the forward saved."""
    b1, b2 = (q - z @ w1.T)[0], (np.log(s / (1 - s)) - a @ w2.T)[0]
    return y_and_gradients(excite, gs, z, w1, b1, w2, b2)[1:]
