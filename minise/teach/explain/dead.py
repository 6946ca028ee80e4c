"""What the lesson on the paper's chain of four neurons works on, and its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from minise.analysis.dying_chain import (
    BIASES,
    CHAIN_CASES,
    INPUT,
    RATE,
    STEPS,
    TARGET,
    WEIGHTS,
    Chain,
    ChainCase,
    case_costs,
    run_chain,
)
from minise.analysis.microscope import FLAT
from minise.backend import Array
from minise.errors import ConfigError
from minise.gradcheck.finite_difference import examine
from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative
from minise.teach.explain.rules import RULES
from minise.teach.explain.source import Lines

NEURONS = len(WEIGHTS)
MOST = 10.0
"""How large a weight or bias may be, either way: the numbers shall fit a page."""
COMPARED = ("relu", "felu", "elu", "leaky_relu", "prelu")


def prepare(
    *,
    act: str = "relu",
    weights: Mapping[int, float] | None = None,
    biases: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """The chain of `analysis/dying_chain.py`. weights, biases: those of some neurons, from 1 on, that are others.

    Raises ConfigError for a neuron that is not there, and for numbers beyond ±10.
    """
    w, b = _changed("weight", WEIGHTS, weights or {}), _changed("bias", BIASES, biases or {})
    found = run_chain(act, weights=w, biases=b)
    lines = forward_lines(act, w, b)
    parameters = lines["parameters"]
    tape = {"z": found.z, "a": found.a, "act'(z)": found.slopes, "C": found.cost, "dC/db": found.tape}
    by_steps = [small_step(partial(run_chain, act, weights=w), b, i, db) for i, db in enumerate(found.db)]
    given: dict[str, Any] = {
        "tape": tape | _numbered("dC/db", found.tape),
        "steps": _numbered("dC/db", by_steps),
    }

    given |= {"act": act, "a0": INPUT, "target": TARGET, "weights": w, "biases": b}
    for name, values in (("w", w), ("b", b), ("z", found.z), ("a", found.a)):
        given |= _numbered(name, values)
    given |= {"chain": lines, "found": found, "rule": RULES[act], "alpha": ACTIVATIONS[act].start}
    given |= {"below": _which(z <= 0 for z in found.z), "still": _which(db == 0 for db in found.db)}
    given["faint"] = _which(0 < abs(db) < FLAT for db in found.db)
    given["act'"] = lambda z: derivative(act, np.asarray(z), *parameters)
    given["others"] = [run_chain(x, weights=w, biases=b) for x in dict.fromkeys((act, *COMPARED))]
    given |= {
        "cases": [(case, case_costs(case)) for case in CHAIN_CASES],
        "training": f"{STEPS} steps of {RATE}",
    }
    return given | _wakes(found, b)


def cost_line(case: ChainCase, costs: Mapping[str, tuple[float, float]]) -> str:
    """What the training of a case came to, in words."""
    ends = ", and ".join(f"from {b:.4f} to {a:.4f} with {act}" for act, (b, a) in costs.items())
    return f"{case.name}: C goes {ends}. {case.words}"


def _changed(kind: str, values: Sequence[float], others: Mapping[int, float]) -> tuple[float, ...]:
    changed = list(values)
    for i, value in others.items():
        if not 1 <= i <= NEURONS:
            raise ConfigError(f"dead: found {kind} {i}, expected a neuron from 1 to {NEURONS}")
        if not abs(value) <= MOST:
            raise ConfigError(
                f"dead: found {kind} {i} = {value:g}, expected a number from {-MOST:g} to {MOST:g}"
            )
        changed[i - 1] = value
    return tuple(changed)


def _numbered(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """{"z1": …, "z2": …, …}"""
    return {f"{name}{i}": value for i, value in enumerate(values, start=1)}


def _which(holds: Iterable[bool]) -> list[int]:
    """The neurons, counted from 1, for which it holds."""
    return [i for i, it in enumerate(holds, start=1) if it]


def neurons(which: Sequence[int]) -> str:
    """[1, 3] -> "neurons 1, 3"."""
    return f"neuron{'s' * (len(which) > 1)} {', '.join(map(str, which))}"


def way_to(neuron: int) -> str:
    """Everything that dC/db of a neuron is a product of, from the cost on."""
    before = [f"act'(z{j})·w{j}" for j in range(NEURONS, neuron, -1)]
    return "·".join(["(a4 - target)", *before, f"act'(z{neuron})"])


def forward_lines(act: str, weights: tuple[float, ...], biases: tuple[float, ...]) -> Lines:
    """The lines of `run_chain`, run from a0 to the cost, and ready to go back."""
    lines = Lines(run_chain, act=act, weights=weights, biases=biases, a0=INPUT, target=TARGET)
    lines.run("op, start", "parameters = ", "b = [", "z: list", "a = [")
    for w_i, b_i in zip(weights, lines["b"], strict=True):
        lines.scope |= {"w_i": w_i, "b_i": b_i}
        lines.run("z.append(", "a.append(")
    lines.run("slopes = ", "error = ", "cost = ", "cost.backward()", "db: list", "behind = ")
    return lines


def small_step(chain: Callable[..., Chain], biases: Sequence[float], i: int, db: float) -> Array:
    """dC/db_i by small steps, from the cost only; at a kink, the side that is nearest to `db`."""

    def cost(h: float) -> float:
        return chain(biases=tuple(b + h * (i == j) for j, b in enumerate(biases))).cost

    return np.asarray(examine(cost).nearest(db))


def _wakes(chain: Chain, biases: Sequence[float]) -> dict[str, float]:
    """least: above it the bias of the first dead neuron wakes it; awake: one to try, or 0 if too large."""
    if not chain.dead:
        return {}
    i = chain.dead[0] - 1
    least = biases[i] - chain.z[i]
    awake = float(np.ceil(10 * least + 1) / 10)
    return {"least": least, "awake": awake if awake <= MOST else 0.0}
