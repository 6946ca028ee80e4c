"""Lesson 4: what reaches the biases of a chain of neurons."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minise.backend import Array
from minise.teach.exercises.exercise import Check, Exercise, Inputs, Mistake


def _chain(weights: Array, slopes: Array, error: float) -> Array:
    gradients = np.empty_like(slopes)
    behind = error
    for i in reversed(range(len(slopes))):
        gradients[i] = behind * slopes[i]
        behind = gradients[i] * weights[i]
    return gradients


def _chains(
    dead: int | None = None, *, lengths: tuple[int, ...] = (4,)
) -> Callable[[np.random.Generator], list[Inputs]]:
    """(weights, slopes, error), with the slope of one neuron 0."""

    def cases(rng: np.random.Generator) -> list[Inputs]:
        found: list[Inputs] = []
        for n in lengths:
            slopes = rng.uniform(0.2, 1, n)
            if dead is not None:
                slopes[dead] = 0
            found.append((rng.standard_normal(n), slopes, float(rng.standard_normal())))
        return found

    return cases


CHAIN = Exercise(
    name="chain",
    lesson=4,
    title="What reaches the biases of a chain",
    asks="dC/db_i of every neuron, as an array, from the weights, the slopes act'(z_i) and the error a_n - target",
    signatures=("chain_gradients(weights, slopes, error)",),
    inputs=("weights", "slopes", "error"),
    results=("dC/db",),
    right=_chain,
    checks=(
        Check(
            "one neuron",
            _chains(lengths=(1,)),
            (
                "Look at one neuron alone: C = (a1 - target)² / 2, a1 = act(z1), z1 = w1 a0 + b1.",
                "dz1/db1 is 1; so is it C, a and z that the chain rule goes through.",
                "Its own weight lies before z1, beside b1.",
            ),
        ),
        Check(
            "four neurons",
            _chains(lengths=(4, 2)),
            (
                "Look at all that lies between b_i and C.",
                "From C back to z_i: which slopes and which weights does one pass?",
                "Begin with the last neuron, and carry dC/da_i from one neuron to the one before it.",
            ),
        ),
        Check(
            "a dead neuron in the middle",
            _chains(2),
            (
                "Look for a division: what you divide by may be 0.",
                "A product that holds a 0 is 0; a product that does not hold it is not.",
                "Multiply what is there, and take nothing out again.",
            ),
        ),
    ),
    mistakes=(
        Mistake(
            lambda weights, slopes, error: _chain(weights, slopes, error) * weights,
            "Each neuron's own weight is in your product: b_i does not pass through w_i.",
        ),
        Mistake(
            lambda weights, slopes, error: _chain(weights, slopes, 1.0),
            "The error is missing: the gradient of (a - target)² / 2 does not end at a.",
        ),
        Mistake(
            lambda weights, slopes, error: _chain(weights, slopes, error)[::-1].copy(),
            "Your numbers are right and in the wrong order: the first neuron comes first.",
        ),
        Mistake(
            lambda weights, slopes, error: _chain(np.ones_like(weights), slopes, error),
            "The weights behind the neuron are missing: a_i reaches z_(i+1) times w_(i+1).",
        ),
        Mistake(
            lambda weights, slopes, error: slopes * error,
            "Each neuron knows its own slope alone: the others lie between it and C.",
        ),
        Mistake(
            lambda weights, slopes, error: _chain(weights, np.ones_like(slopes), error),
            "The slopes are missing: without them the chain would be linear.",
        ),
    ),
)
