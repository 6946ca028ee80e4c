"""What the FeLU lesson looks at: curves, slopes on both sides of zero, and floats next to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.gradcheck.finite_difference import examine
from minise.ops.activation import ACTIVATIONS, derivative, felu, felu_forward
from minise.ops.basic import exp
from minise.tape import Tensor
from minise.teach.explain.evidence import evidence, on_tape
from minise.teach.explain.lesson import Cell

X = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
"""Where the tables look; 0 has a step of its own."""
GY = np.array([0.4, -0.7, 1.2, 0.5, -0.9, 0.3, 1.1])
CURVE = np.linspace(-4.0, 3.0, 141)
POINTS = np.array([-2.0, -0.5])
COMPARED = ("relu", "leaky_relu", "elu", "felu")


def prepare() -> dict[str, Any]:
    """FeLU with alpha = 1, as at the start of a training, but where another alpha shows more."""
    one, half, negative = (np.asarray(alpha) for alpha in (1.0, 0.5, -0.5))
    ones, ln2 = np.ones_like(X), np.log(2.0)
    tape, steps = evidence(felu, {"x": X, "alpha": negative}, GY)
    with_one, by_steps = evidence(felu, {"x": X, "alpha": one}, ones)
    _, _, (at_zero, _) = on_tape(felu, [np.zeros(1), half], np.ones(1))
    tape |= {"felu(x), alpha = 1": with_one["y"], "felu'(x)": with_one["gx"]}
    tape |= {"felu'(0), alpha = 0.5": at_zero, "2^(x / ln 2)": exp(Tensor(X)).data}
    steps["felu'(x)"] = by_steps["gx"]
    inputs = {"x": X, "gy": GY, "alpha": one, "one": one, "half": half, "negative": negative, "ln2": ln2}
    inputs["normal"] = np.random.default_rng(0).standard_normal(100_000)
    return {**inputs, "tape": tape, "steps": steps}


def felu_of(x: Array, alpha: Array) -> Array:
    """felu(x), without what it saves."""
    return felu_forward(x, alpha)[0]


def forward(name: str, x: Array = CURVE) -> Array:
    """An activation, with the parameter that it starts with."""
    return ACTIVATIONS[name].op.forward(x, *_parameters(name))[0]


def slopes(name: str, x: Array = CURVE) -> Array:
    """Its derivative."""
    return derivative(name, x, *_parameters(name))


def _parameters(name: str) -> tuple[Array, ...]:
    start = ACTIVATIONS[name].start
    return () if start is None else (np.asarray(start),)


def quotients(alpha: float) -> list[tuple[Cell, ...]]:
    """(alpha, h, difference quotients of felu at 0 from the left and from the right), and their limits."""

    def value(x: float) -> float:
        return float(felu_of(np.array([x]), np.asarray(alpha))[0])

    rows: list[tuple[Cell, ...]] = [
        (alpha, f"{h:g}", (value(0) - value(-h)) / h, (value(h) - value(0)) / h) for h in (1e-1, 1e-3, 1e-5)
    ]
    found = examine(value)
    return [*rows, (alpha, "→ 0", found.left, found.right)]


def next_to_zero(x: float) -> tuple[str, ...]:
    """(x, e^x - 1, what float32 makes of it by a power of 2 and by felu, each with its error)."""
    small, ln2 = np.float32(x), np.float32(np.log(2))
    exact = float(np.expm1(np.float64(small)))
    power = float(np.float32(2) ** (small / ln2) - np.float32(1))
    expm1 = float(felu_of(small.reshape(1), np.asarray(np.float32(1)))[0])
    cells = [f(found) for found in (power, expm1) for f in ("{:.4e}".format, lambda y: _error(y, exact))]
    return (f"{x:g}", f"{exact:.4e}", *cells)


def _error(found: float, exact: float) -> str:
    return f"{100 * abs(found / exact - 1):.2g} %"
