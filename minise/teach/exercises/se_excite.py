"""Lesson 3: back through the excitation of an SE block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise.backend import Array
from minise.ops.activation import sigmoid_forward
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake
from minise.teach.exercises.se_cases import SIZES, weights


def _excite(
    gs: Array, z: Array, q: Array, a: Array, s: Array, w1: Array, w2: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """gz, gw1, gb1, gw2, gb2."""
    gv = gs * s * (1 - s)
    gq = (gv @ w2) * (q > 0)
    return gq @ w1, gq.T @ z, gq.sum(axis=0), gv.T @ a, gv.sum(axis=0)


def _excited(rng: np.random.Generator) -> list[Inputs]:
    """(gs, z, q, a, s, w1, w2), as a forward would have left them."""
    found: list[Inputs] = []
    for (n, c, _, _), d in SIZES:
        w1, b1, w2, b2 = weights(rng, c, d)
        z = rng.standard_normal((n, c))
        q = z @ w1.T + b1
        a = np.maximum(q, 0)
        s, _ = sigmoid_forward(a @ w2.T + b2)
        found.append((rng.standard_normal((n, c)), z, q, a, s, w1, w2))
    return found


def _with(**changed: Callable[..., Array]) -> Callable[..., tuple[Array, ...]]:
    """The answer to a case some of whose inputs are others: functions of all inputs, by name."""

    def answer(*inputs: Array) -> tuple[Array, ...]:
        given = dict(zip(SE_EXCITE.inputs, inputs, strict=True))
        return _excite(**(given | {name: change(**given) for name, change in changed.items()}))

    return answer


SE_EXCITE = Exercise(
    name="se-excite",
    lesson=3,
    title="Step 2: back through the excitation",
    asks="of s = sigmoid(W2 a + b2), a = relu(q), q = W1 z + b1: the gradients of z, W1, b1, W2 and b2",
    signatures=("excite_backward(gs, z, q, a, s, w1, w2)",),
    inputs=("gs", "z", "q", "a", "s", "w1", "w2"),
    results=("gz", "gw1", "gb1", "gw2", "gb2"),
    right=_excite,
    checks=(
        Check(
            "gb2, for which gv must be right",
            _excited,
            (
                "Look at gv, the gradient before the sigmoid, and at who shares b2.",
                "The sigmoid's slope can be said with its own output s.",
                "b2 is added for every image of the batch: its gradient has (c,) elements, from n images.",
            ),
            result=4,
        ),
        Check(
            "gw2",
            _excited,
            (
                "Look at what w2[c, d] is multiplied with.",
                "v[n, c] = Σ_d w2[c, d] a[n, d] + b2[c]: write down dL/dw2[c, d], with its sum over n.",
                "A sum over n of products is a matrix product; w2's shape tells which side is transposed.",
            ),
            result=3,
        ),
        Check(
            "gb1, for which ga and gq must be right",
            _excited,
            (
                "Look at ga, the gradient behind the ReLU, and at gq before it.",
                "a[n, d] goes into v[n, c] for every c: dL/da[n, d] is a sum over c.",
                "ReLU passes a gradient on where its input was above 0, and nothing elsewhere.",
            ),
            result=2,
        ),
        Check(
            "gw1",
            _excited,
            (
                "Look at what w1[d, c] is multiplied with.",
                "It is gw2 again, one layer earlier.",
                "q[n, d] = Σ_c w1[d, c] z[n, c] + b1[d]: the sum is over n again.",
            ),
            result=1,
        ),
        Check(
            "gz",
            _excited,
            (
                "Look at where z[n, c] goes.",
                "It is ga again, one layer earlier.",
                "z[n, c] goes into q[n, d] for every d: the sum is over d.",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            _with(gs=lambda gs, s, **_: gs / (s * (1 - s))),
            "The sigmoid's slope is missing: you go on with gs as if v were the gate.",
        ),
        Mistake(
            _with(gs=lambda gs, s, **_: gs / (1 - s)),
            "Half of the sigmoid's slope is missing: at s = 1 it must be flat.",
        ),
        Mistake(
            _with(
                gs=lambda gs, s, **_: gs * sigmoid_forward(s)[0] * (1 - sigmoid_forward(s)[0]) / (s * (1 - s))
            ),
            "You take the sigmoid of s once more: s is the output already.",
        ),
        Mistake(
            lambda gs, *rest: _excite(gs / len(gs), *rest),
            "Yours is the right one divided by n. If the loss is a mean over the images, gs has the 1 / n already.",
        ),
        Mistake(
            _with(q=lambda q, **_: np.ones_like(q)),
            "The ReLU is missing: you go on with ga as if every unit were active.",
        ),
        Mistake(
            _with(q=lambda gs, s, w2, **_: (gs * s * (1 - s)) @ w2),
            "Your ReLU asks for the sign of the gradient: it is the sign of its input that decides.",
        ),
        Mistake(
            lambda *inputs: tuple(g.T if g.ndim == 2 and k else g for k, g in enumerate(_excite(*inputs))),
            "Yours is the right one transposed: compare its shape with the weight's where c and d differ.",
        ),
        Mistake(
            _with(a=lambda a, q, **_: q),
            "You multiply with q: what W2 sees is behind the activation.",
        ),
    ),
)
