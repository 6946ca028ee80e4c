"""The program of the tape lesson: four lines on single numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops.activation import tanh
from minise.tape import Call, Node, Tensor, watch
from minise.teach.explain.arithmetic import number
from minise.teach.explain.evidence import gradients

X, W = 1.2, 0.5
PROGRAM = {"a": "x * w", "b": "tanh(a)", "c": "a * b", "y": "c + x"}
"""a is used twice, by b and by c: a fork that closes again. x is a leaf that is used twice."""
WORD = re.compile(r"\b[a-z]+\b")


@dataclass(frozen=True)
class Recorded:
    """The tensors of the program by name."""

    tensors: dict[str, Tensor]

    @property
    def names(self) -> dict[Node, str]:
        """The node that made a tensor -> the tensor's name."""
        return {t.node: name for name, t in self.tensors.items() if t.node is not None}

    def name_of(self, tensor: Tensor) -> str:
        """The name of one of the tensors."""
        return next(name for name, own in self.tensors.items() if own is tensor)

    def number(self, name: str) -> float:
        """A tensor's value."""
        return self.tensors[name].item()

    def inputs(self, node: Node) -> str:
        """The names of a node's inputs."""
        return " and ".join(self.name_of(x) for x in node.inputs)

    def in_numbers(self, name: str) -> str:
        """A line of the program with the numbers for the names."""
        line = PROGRAM[name].replace(" * ", "·")
        return WORD.sub(
            lambda found: number(self.number(found[0])) if found[0] in self.tensors else found[0], line
        )

    def gradients(self) -> list[Array]:
        """Those of x and w."""
        return gradients([self.tensors["x"], self.tensors["w"]])


def run_program() -> Recorded:
    """Run the lines, on the tape."""
    tensors = {name: Tensor(np.asarray(v), requires_grad=True) for name, v in (("x", X), ("w", W))}
    for name, line in PROGRAM.items():
        tensors[name] = eval(line, {"tanh": tanh}, tensors)
    return Recorded(tensors)


def watched() -> list[Call]:
    """The backward calls of the program in another run, as the tape makes them."""
    calls: list[Call] = []
    y = run_program().tensors["y"]
    with watch(calls.append):
        y.backward()
    return calls


def used_by(name: str) -> str:
    """The results in whose lines a name stands."""
    users = [user for user, line in PROGRAM.items() if name in WORD.findall(line)]
    return ", ".join(users) or "nobody: it is where we start"


def saved_words(saved: Any) -> str:
    """What a node saved: a number, a shape, or a tuple of them."""
    if isinstance(saved, tuple):
        return f"({', '.join(saved_words(item) for item in saved)})"
    return number(float(saved))
