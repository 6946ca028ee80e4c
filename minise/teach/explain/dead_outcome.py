"""How the chain of four neurons ends: who learns, what other activations do, and what wakes a dead one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minise.analysis.dying_chain import TARGET, WEIGHTS, Chain, run_chain
from minise.analysis.microscope import FLAT
from minise.teach.explain.arithmetic import Factor, number, written
from minise.teach.explain.lesson import Cell, Question, Step, Table, Value

NEURONS = len(WEIGHTS)
MOST = 10.0
"""How large a weight or bias may be, either way: the numbers shall fit a page."""
COMPARED = ("relu", "felu", "elu", "leaky_relu", "prelu")


def outcome_steps(chain: Chain, w: tuple[float, ...], b: tuple[float, ...]) -> list[Step]:
    """Who learns, with this activation and with others."""
    return [_outcome(chain, w), _others(chain.act, w, b)]


def factors_of(chain: Chain, w: Sequence[float], i: int) -> list[Factor]:
    """Everything that dC/db of neuron i is a product of, from the cost on."""
    factors: list[Factor] = [("(a4 - target)", chain.a[-1] - TARGET)]
    for j in reversed(range(i, NEURONS)):
        factors.append((f"act'(z{j + 1})", chain.slopes[j]))
        if j > i:
            factors.append((f"w{j + 1}", w[j]))
    return factors


def _outcome(chain: Chain, w: Sequence[float]) -> Step:
    return Step(
        "the outcome",
        "Who learns",
        ("dC/db1 = act'(z1)·w2·act'(z2)·w3·act'(z3)·w4·act'(z4)·(a4 - target)",),
        _learning(chain),
        values=(
            Value("act'(z)", np.array(chain.slopes), stops=True),
            Value("dC/db", np.array(chain.db), (), np.array(chain.tape), stops=True),
        ),
        written=(written("dC/db1", (), [factors_of(chain, w, 0)]),),
        chain=chain,
        questions=(
            Question(
                "For how many of the four biases is the gradient exactly 0?",
                float(chain.db.count(0)),
                "one factor of 0 is enough",
            ),
        ),
    )


def _learning(chain: Chain) -> str:
    still = [i for i, db in enumerate(chain.db, start=1) if db == 0]
    faint = [i for i, db in enumerate(chain.db, start=1) if 0 < abs(db) < FLAT]
    words = [f"{_neurons(still).capitalize()} learn{'s' * (len(still) == 1)} nothing."] if still else []
    if faint:
        words.append(
            f"What reaches the bias of {_neurons(faint)} is not 0, but below {number(FLAT)}, too small to matter:"
            " the gradient vanishes."
        )
    if chain.dead:
        words.append(
            "Gradient descent changes a bias by -rate·dC/db: with 0 it stays where it is, and so do all that it"
            f" depends on. Neuron {chain.dead[0]} gets the same input again, and the next gradient is 0 as well: it"
            f" is dead{', a dying ReLU' * (chain.act == 'relu')}. In a network with ways past it what lies before it"
            " still moves, decay and momentum move its own weights, and either may wake it."
        )
    elif still:
        words.append("A weight is 0, or the output is on target already.")
    return " ".join(words) or "Every neuron learns: no factor of the product is 0."


def _neurons(which: Sequence[int]) -> str:
    return f"neuron{'s' * (len(which) > 1)} {', '.join(map(str, which))}"


def _others(act: str, w: tuple[float, ...], b: tuple[float, ...]) -> Step:
    chains = [run_chain(name, weights=w, biases=b) for name in dict.fromkeys((act, *COMPARED))]
    rows: list[tuple[Cell, ...]] = [
        (c.act, *c.db, c.a[-1], c.cost, ", ".join(map(str, c.dead)) or "-") for c in chains
    ]
    return Step(
        "the outcome",
        "The same chain with other activations",
        ("relu'(x) = 0, felu'(x) = alpha·e^x for x <= 0",),
        "Same weights, same input. An activation with a slope below zero multiplies by something small and the"
        " gradient goes on. It also answers something else than 0 there, so a4 and C are others, and with the error"
        " even what reaches the neurons behind. Both hold for FeLU, and for ELU, leaky ReLU and PReLU as well.",
        tables=(
            Table(
                "",
                ("", *(f"dC/db{i + 1}" for i in range(NEURONS)), "a4", "C", "dead"),
                tuple(rows),
                stops=True,
            ),
        ),
    )


def ending(chain: Chain, b: Sequence[float]) -> str:
    """What would wake the first dead neuron, or kill one."""
    if not chain.dead:
        return "No unit is dead here; `--act relu --bias 3=-1` kills the third."
    i = chain.dead[0]
    if chain.act != "relu":
        return f"Neuron {i} is so far from zero that its slope is 0 in 64 bits."
    least = b[i - 1] - chain.z[i - 1]
    awake = float(np.ceil(10 * least + 1) / 10)
    tip = f": try `--bias {i}={awake:g}`" if awake <= MOST else ""
    return f"Neuron {i} wakes up as soon as b{i} is above {number(least)}{tip}."
