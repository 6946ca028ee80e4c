"""`explain dead`: the paper's chain of four neurons, live: one factor of 0 makes a whole product 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from minise.analysis.dying_chain import BIASES, INPUT, TARGET, WEIGHTS, Chain, run_chain
from minise.analysis.microscope import FLAT
from minise.backend import Array
from minise.errors import ConfigError
from minise.gradcheck.finite_difference import examine
from minise.ops import ACTIVATIONS
from minise.teach.explain.arithmetic import number, written
from minise.teach.explain.dead_outcome import MOST, NEURONS, ending, factors_of, outcome_steps
from minise.teach.explain.lesson import Code, Lesson, Question, Step, Table, Value, Written
from minise.teach.explain.rules import RULES, by_rule
from minise.teach.explain.source import Lines


def explain_dead(
    *,
    act: str = "relu",
    weights: Mapping[int, float] | None = None,
    biases: Mapping[int, float] | None = None,
) -> Lesson:
    """The chain of `analysis/dying_chain.py`. weights, biases: those of some neurons, from 1 on, that are others.

    Raises ConfigError for a neuron that is not there, and for numbers beyond ±10.
    """
    w, b = _changed("weight", WEIGHTS, weights or {}), _changed("bias", BIASES, biases or {})
    chain = run_chain(act, weights=w, biases=b)
    lines = _forward_lines(act, w, b)
    steps = [_setting(w, b), _forward(lines, chain, w, b), _cost(lines, chain)]
    steps += [_backward(lines, chain, w, i) for i in reversed(range(NEURONS))]
    steps += outcome_steps(chain, w, b)
    return Lesson(
        "dead",
        f"Four neurons in a row, with {act}: what a dead unit does",
        "a0 → a1 → a2 → a3 → a4, and the cost C at the end: the paper's argument for another activation. The gradient"
        " of a bias is a product of everything behind it, and one factor of 0 makes it 0.",
        tuple(steps),
        (
            ending(chain, b),
            "In SE the bottleneck can be one unit wide (16 channels, reduction 16). If that one dies,"
            " every gate of the block is the same for all images: `minise inspect RUN` counts such units in a run of"
            " yours.",
            "Other numbers: minise explain dead --bias 3=1.5 --weight 2=-0.4 --act felu",
        ),
    )


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


def _forward_lines(act: str, weights: tuple[float, ...], biases: tuple[float, ...]) -> Lines:
    lines = Lines(run_chain, act=act, weights=weights, biases=biases, a0=INPUT, target=TARGET)
    lines.run("op, start", "parameters = ", "b = [", "z: list", "a = [")
    return lines


def _setting(w: Sequence[float], b: Sequence[float]) -> Step:
    rows = tuple((i + 1, w[i], b[i]) for i in range(NEURONS))
    return Step(
        "the chain",
        "Four neurons",
        ("z_i = w_i·a_(i-1) + b_i", "a_i = act(z_i)", "C = (a4 - target)² / 2"),
        f"Each neuron has one input, the neuron before it. a0 = {number(INPUT)} goes in, target = {number(TARGET)}"
        " should come out.",
        tables=(Table("weights and biases", ("neuron", "w", "b"), rows),),
    )


def _forward(lines: Lines, chain: Chain, w: Sequence[float], b: Sequence[float]) -> Step:
    code: tuple[Code, ...] = ()
    rule, out = RULES[chain.act], []
    alpha = float(ACTIVATIONS[chain.act].start or 0)
    for i in range(NEURONS):
        lines.scope |= {"w_i": w[i], "b_i": lines["b"][i]}
        code = lines.run("z.append(", "a.append(")
        z, a = lines["z"][-1].item(), lines["a"][-1].item()
        before = (f"a{i}", lines["a"][i].item())
        out.append(written(f"z{i + 1}", (), [[(f"w{i + 1}", w[i]), before], [(f"b{i + 1}", b[i])]]))
        if z <= 0 or rule.smooth:
            names = {"x": f"z{i + 1}", "y": f"a{i + 1}", "alpha": "alpha"}
            out.append(by_rule(f"a{i + 1}", (), rule.value, names, {"x": z, "y": a, "alpha": alpha}, a))
    lines.run("slopes = ")
    z, a = (np.array([x.item() for x in lines[name]]) for name in "za")
    below = [str(i + 1) for i in range(NEURONS) if z[i] <= 0]
    return Step(
        "forward",
        "From a0 to a4",
        ("z_i = w_i·a_(i-1) + b_i", "a_i = act(z_i)", rule.formula(chain.act)),
        (
            f"Below zero: neuron{'s' * (len(below) > 1)} {', '.join(below)}."
            if below
            else "No neuron is below zero."
        )
        + " The slopes act'(z) are what the way back will be multiplied by.",
        code,
        (
            Value("z", z, (), np.array(chain.z)),
            Value("a", a[1:], (), np.array(chain.a), stops=True),
            Value("act'(z)", np.array(lines["slopes"]), (), np.array(chain.slopes), stops=True),
        ),
        tuple(out),
        questions=(
            Question(f"z1 = {number(w[0])}·{number(INPUT)} + {number(b[0])} = ?", float(z[0]), "w·a0 + b"),
            Question(
                f"z3 is {number(z[2])}. What is a3, {chain.act} of it?", float(a[3]), rule.formula(chain.act)
            ),
        ),
    )


def _cost(lines: Lines, chain: Chain) -> Step:
    code = lines.run("error = ", "cost = ")
    lines.run("cost.backward()", "db: list", "behind = ")
    error = lines["error"].item()
    half = Written(
        "C", (), "(a4 - target)·(a4 - target) / 2", f"({number(error)})·({number(error)}) / 2", chain.cost
    )
    return Step(
        "forward",
        "What it costs",
        ("C = (a4 - target)² / 2", "dC/da4 = a4 - target"),
        "The way back begins with the derivative of the cost by the last output.",
        code,
        (
            Value("a4 - target", np.asarray(error)),
            Value("C", np.asarray(lines["cost"].item()), (), np.asarray(chain.cost)),
        ),
        (half,),
    )


def _backward(lines: Lines, chain: Chain, w: Sequence[float], i: int) -> Step:
    """One neuron on the way back; `behind` is dC/da_i."""
    behind = lines["behind"]
    lines.scope |= {"w_i": w[i], "slope": lines["slopes"][i]}
    code = lines.run("db.append(", "behind *= ")
    name, slope = f"dC/db{i + 1}", chain.slopes[i]
    factors = factors_of(chain, w, i)
    db = np.asarray(lines["db"][-1] + 0.0)  # no -0.0
    value = Value(name, db, (), np.asarray(chain.tape[i]), _small_step(lines, i), stops=True)
    return Step(
        "backward",
        f"Neuron {i + 1}",
        (f"{name} = dC/da{i + 1}·act'(z{i + 1})", f"dC/da{i} = dC/db{i + 1}·w{i + 1}"),
        _verdict(i + 1, slope, behind, chain),
        code,
        (value,),
        (written(name, (), [factors]),),
        questions=(
            Question(
                f"dC/da{i + 1} is {number(behind)}, act'(z{i + 1}) is {number(slope)}. {name}?",
                float(value.array),
                "their product",
            ),
        ),
    )


def _verdict(neuron: int, slope: float, behind: float, chain: Chain) -> str:
    z = chain.z[neuron - 1]
    if behind == 0:
        return "Nothing arrives here: a factor behind it is 0, so its own slope does not matter any more."
    if slope == 0:
        return (
            f"{chain.act}'s slope at z{neuron} = {number(z)} is 0. The product is 0 from here on, for neuron {neuron}"
            " and for all before it, whatever their own slopes are."
        )
    if abs(behind * slope) < FLAT:
        return (
            f"{number(behind)} arrives, and the slope is {number(slope)}: their product is not 0, but too small to"
            " matter. The gradient vanishes."
        )
    if z <= 0:
        return f"z{neuron} is below zero, but the slope is {number(slope)}: less gets through, not nothing."
    return (
        f"The slope is {number(slope)}: what arrives here reaches the bias, and by the weight the neuron before"
        " it."
    )


def _small_step(lines: Lines, i: int) -> Array:
    """dC/db_i by small steps, forward only; at a kink, whichever side's is nearest."""
    act, weights, biases = (lines[name] for name in ("act", "weights", "biases"))
    forward, parameters = ACTIVATIONS[act].op.forward, lines["parameters"]

    def cost(h: float) -> float:
        a = np.asarray(INPUT)
        for j in range(NEURONS):
            a = forward(weights[j] * a + biases[j] + h * (i == j), *parameters)[0]
        return float(a - TARGET) ** 2 / 2

    return np.asarray(examine(cost).nearest(lines["db"][-1]))
