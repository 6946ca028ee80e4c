"""The paper's chain of four neurons: why one dead unit stops all that lies before it from learning.

    a0 -> a1 -> a2 -> a3 -> a4 = the output, C = (a4 - target)² / 2
    z_i = w_i a_(i-1) + b_i,  a_i = act(z_i)
    dC/db1 = act'(z1) · w2 act'(z2) · w3 act'(z3) · w4 act'(z4) · (a4 - target)

The derivative is a product, so one factor act'(z_i) = 0 makes it 0, whatever the others are. ReLU has that factor for
every z_i < 0; FeLU has alpha·e^z_i there.

That a gradient is 0 does not make the cost high: `CHAIN_CASES` has a chain in which the dead unit stops all learning,
one in which it keeps the output near the target, and the shipped one, in which it hardly matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative
from minise.tape import Tensor

INPUT, TARGET = 1.0, 1.0
WEIGHTS = (0.8, 1.2, -0.9, 1.1)
BIASES = (0.1, 0.2, 0.3, 0.8)
"""A case in which the third neuron's input is negative, and all others' are positive."""

STEPS, RATE = 50, 0.1
"""Of the gradient descent in `train_chain`."""


@dataclass(frozen=True)
class ChainCase:
    """A chain to train with ReLU and with FeLU; words: whether the paper is right about it, and why."""

    name: str
    words: str
    weights: tuple[float, ...] = WEIGHTS
    biases: tuple[float, ...] = BIASES


CHAIN_CASES = (
    ChainCase(
        "b4 = -0.5",
        "The paper is right: ReLU's last neuron is dead, so nothing learns; FeLU learns.",
        biases=(0.1, 0.2, 0.3, -0.5),
    ),
    ChainCase(
        "w4 = 8",
        "The paper is not right: ReLU's dead neuron 3 hands on 0, and b4 learns alone; FeLU's hands on a negative"
        " number, and w4 takes it to where FeLU's own slope is nearly 0.",
        weights=(0.8, 1.2, -0.9, 8.0),
    ),
    ChainCase(
        "as shipped",
        "It hardly matters: ReLU's neuron 3 is dead and the cost begins lower, since b4 alone reaches the target;"
        " both end near 0.",
    ),
)


@dataclass(frozen=True)
class Chain:
    """The numbers of one pass: z, a, slopes act'(z_i), each for the four neurons; cost; db: dC/db_i by the product
    of the slopes and weights behind it; tape: the same from the tape.
    """

    act: str
    z: tuple[float, ...]
    a: tuple[float, ...]
    slopes: tuple[float, ...]
    cost: float
    db: tuple[float, ...]
    tape: tuple[float, ...]

    @property
    def dead(self) -> tuple[int, ...]:
        """The neurons, counted from 1, whose slope is exactly 0."""
        return tuple(i for i, slope in enumerate(self.slopes, start=1) if slope == 0)


def run_chain(
    act: str,
    *,
    weights: tuple[float, ...] = WEIGHTS,
    biases: tuple[float, ...] = BIASES,
    a0: float = INPUT,
    target: float = TARGET,
) -> Chain:
    """Forward and backward through the chain in float64, by the product above and by the tape."""
    op, start = ACTIVATIONS[act].op, ACTIVATIONS[act].start
    parameters = () if start is None else (np.asarray(start),)
    b = [Tensor(np.asarray(value), requires_grad=True) for value in biases]
    z: list[Tensor] = []
    a = [Tensor(np.asarray(a0))]
    for w_i, b_i in zip(weights, b, strict=True):
        z.append(a[-1] * w_i + b_i)
        a.append(op(z[-1], *parameters))
    slopes = [float(derivative(act, z_i.data, *parameters).item()) for z_i in z]
    error = a[-1] - target
    cost = error * error * 0.5
    cost.backward()

    db: list[float] = []
    behind = error.item()  # dC/da4; then dC/da_i, from the last neuron to the first
    for w_i, slope in zip(reversed(weights), reversed(slopes), strict=True):
        db.append(behind * slope)
        behind *= slope * w_i
    return Chain(
        act,
        tuple(x.item() for x in z),
        tuple(x.item() for x in a[1:]),
        tuple(slopes),
        cost.item(),
        tuple(value + 0.0 for value in reversed(db)),  # no -0.0
        tuple(0.0 if x.grad is None else float(x.grad.item()) + 0.0 for x in b),
    )


def train_chain(
    act: str, *, weights: tuple[float, ...] = WEIGHTS, biases: tuple[float, ...] = BIASES
) -> Chain:
    """The chain after `STEPS` of gradient descent: dC/dw_i = dC/db_i · a_(i-1). An alpha keeps its first value."""
    for _ in range(STEPS):
        found = run_chain(act, weights=weights, biases=biases)
        before = (INPUT, *found.a[:-1])
        weights = tuple(w - RATE * db * a for w, db, a in zip(weights, found.db, before, strict=True))
        biases = tuple(b - RATE * db for b, db in zip(biases, found.db, strict=True))
    return run_chain(act, weights=weights, biases=biases)


@cache
def case_costs(case: ChainCase) -> dict[str, tuple[float, float]]:
    """The cost before and after training, with "relu" and with "felu"."""
    w, b = case.weights, case.biases
    return {
        act: (run_chain(act, weights=w, biases=b).cost, train_chain(act, weights=w, biases=b).cost)
        for act in ("relu", "felu")
    }
