"""What the tape lesson records and walks back: four lines on single numbers, with a fork that closes again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import minise.tape as tape_module
from minise.backend import Array
from minise.errors import MiniseError
from minise.ops import OPS
from minise.ops.activation import tanh
from minise.tape import Call, Node, Tensor
from minise.teach.explain.arithmetic import number
from minise.teach.explain.evidence import on_tape, small_steps
from minise.teach.explain.lesson import Cell, Code
from minise.teach.explain.source import Lines

X, W = np.asarray(1.2), np.asarray(0.5)
PROGRAM = {"a": "x * w", "b": "tanh(a)", "c": "a * b", "y": "c + x"}
"""a is used twice, by b and by c: a fork that closes again. x is a leaf that is used twice."""
WORD = re.compile(r"\b[a-z]+\b")
Names = dict[Tensor | Node, str]


def prepare() -> dict[str, Any]:
    """Two leaves, four nodes; every number is a single one, so that only the order matters."""
    one = np.asarray(1.0)
    tensors = run_program(*(Tensor(x, requires_grad=True) for x in (X, W)))
    nodes = {name: t.node for name, t in tensors.items() if t.node is not None}
    names: Names = {t: name for name, t in tensors.items()} | {node: name for name, node in nodes.items()}
    tape: dict[str, Any] = {name: tensors[name].data for name in nodes}
    _, calls, gradients = on_tape(lambda *leaves: run_program(*leaves)["y"], [X, W], one)
    by_steps = small_steps(lambda *arrays: run_program(*arrays)["y"].data, [X, W], one)
    steps = dict(zip(("dy/dx", "dy/dw"), by_steps, strict=True))
    tape |= dict(zip(steps, gradients, strict=True))
    walk = Lines(tape_module.backward, y=tensors["y"], gy=one)
    given = {"tensors": tensors, "nodes": nodes, "tape": tape, "steps": steps, "walk": walk, "OPS": OPS}
    given |= {name: t.data for name, t in tensors.items()}
    return given | {
        "calls": [call for call in calls if call.backward],
        "inputs_of": lambda node: " and ".join(names[x] for x in node.inputs),
        "take_turn": partial(take_turn, walk, names, tape),
        "second_walk": partial(second_walk, tensors["y"]),
    }


def run_program(x: Tensor, w: Tensor) -> dict[str, Tensor]:
    """Run the lines, on the tape: all tensors by name."""
    tensors = {"x": x, "w": w}
    for name, line in PROGRAM.items():
        tensors[name] = eval(line, {"tanh": tanh}, tensors)
    return tensors


def saved_words(saved: Any) -> str:
    """What a node saved: a number, a shape, or a tuple of them."""
    if isinstance(saved, tuple):
        return f"({', '.join(saved_words(item) for item in saved)})"
    return number(float(saved))


def used_by(name: str) -> str:
    """The results in whose lines a name stands."""
    users = [user for user, line in PROGRAM.items() if name in WORD.findall(line)]
    return ", ".join(users) or "nobody: it is where we start"


@dataclass(frozen=True)
class Turn:
    """One turn of the backward's loop: the node of `name` gets gy, and passes something on `to` each parent."""

    name: str
    gy: Array
    to: list[str]
    passed: list[Array]
    code: tuple[Code, ...]
    rows: list[tuple[Cell, ...]]


def take_turn(walk: Lines, names: Names, tape: dict[str, Any], call: Call) -> Turn:
    """Run the loop's lines once; call: what the tape did at this point in another run."""
    code = walk.run("node = ready.pop")
    node: Node = walk["node"]
    gy, parents = walk["gradients"].pop(node), node.parents()
    to, passed = [names[x] for x in parents], tape_module._run(node, gy)
    tape[f"dy/d{names[node]}"] = call.inputs[0]
    tape |= {f"to {label}": theirs for label, theirs in zip(to, call.results, strict=True)}
    rows: list[tuple[Cell, ...]] = []
    for x, gx, label in zip(parents, passed, to, strict=True):
        walk.scope |= {"x": x, "gx": gx}
        code += _pass_on(walk, x)
        rows.append((label, float(gx), *_after(walk, x)))
    return Turn(names[node], gy, to, passed, tuple(dict.fromkeys(code)), rows)


def _pass_on(walk: Lines, x: Tensor) -> tuple[Code, ...]:
    """The lines of the loop's body that run for one parent."""
    if x.node is None:
        return walk.run("_accumulate(x, gx)")
    code = walk.run("gradients[x.node] = ", "waiting[x.node] -= ")
    return code if walk["waiting"][x.node] else (*code, *walk.run("ready.append("))


def _after(walk: Lines, x: Tensor) -> tuple[float, str]:
    """The sum that has come together for x, and what is still to come."""
    if x.node is None:
        assert x.grad is not None
        return float(x.grad), "a leaf: kept in grad"
    waits = walk["waiting"][x.node]
    return float(walk["gradients"][x.node]), f"{waits} more" if waits else "nothing: it is ready"


def second_walk(y: Tensor) -> str:
    """What the tape says of a backward on what is used up."""
    try:
        y.backward()
    except MiniseError as error:
        return str(error)
    raise AssertionError("expected an error")
