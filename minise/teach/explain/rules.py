"""Activations and their slopes as they are written out. For x <= 0 is where they differ."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minise.teach.explain.arithmetic import bracketed
from minise.teach.explain.lesson import Written


@dataclass(frozen=True)
class Rule:
    """What act(x) and act'(x) are, for x <= 0 and above, in the names x, y = act(x) and alpha.

    learns: what alpha gets for x <= 0, as a factor.
    """

    value: str
    slope: str
    value_above: str = "x"
    slope_above: str = "1"
    learns: str = ""

    @property
    def smooth(self) -> bool:
        """Whether one rule holds on both sides of 0."""
        return self.slope == self.slope_above

    def formula(self, act: str) -> str:
        """act(x) as far as it is no line."""
        return f"{act}(x) = {self.value}{'' if self.value == self.value_above else ' for x <= 0'}"

    def slope_formula(self, act: str) -> str:
        """act'(x) as far as it is not 1."""
        return f"{act}'(x) = {self.slope}{'' if self.slope == self.slope_above else ' for x <= 0'}"


GATE = "1 / (1 + e^(-(1.5958·x + 0.07135·x·x·x)))"
GELU, GELU_SLOPE = f"x · {GATE}", f"{GATE} · (1 + (x - y)·(1.5958 + 0.21406·x·x))"
SIGMOID, LOGISTIC = "1 / (1 + e^(-x))", "y·(1 - y)"
RULES = {
    "relu": Rule("max(x, 0)", "0", "max(x, 0)"),
    "felu": Rule("alpha·(e^(x) - 1)", "alpha·e^(x)", learns="(e^(x) - 1)"),
    "elu": Rule("e^(x) - 1", "e^(x)"),
    "leaky_relu": Rule("0.01·x", "0.01"),
    "prelu": Rule("alpha·x", "alpha", learns="x"),
    "sigmoid": Rule(SIGMOID, LOGISTIC, SIGMOID, LOGISTIC),
    "tanh": Rule("tanh(x)", "1 - y·y", "tanh(x)", "1 - y·y"),
    "gelu": Rule(GELU, GELU_SLOPE, GELU, GELU_SLOPE),
}
"""A row for each of `ACTIVATIONS`."""
NAMES = re.compile(r"\b(x|y|alpha)\b")


def by_rule(
    of: str, at: tuple[int, ...], rule: str, names: dict[str, str], numbers: dict[str, float], result: float
) -> Written:
    """An element that a rule gives, in symbols and in numbers."""
    return Written(of, at, *filled(rule, names, numbers), result)


def filled(rule: str, names: dict[str, str], numbers: dict[str, float]) -> tuple[str, str]:
    """A rule with the names that x, y and alpha have here, and with their numbers."""
    symbols = NAMES.sub(lambda found: names[found[1]], rule)
    return symbols, _clean(NAMES.sub(lambda found: bracketed(numbers[found[1]]), rule))


def _clean(text: str) -> str:
    """-(-0.5) -> 0.5, ((-0.5)) -> (-0.5) and ((-0.5), -> (-0.5,"""
    text = re.sub(r"-\(-([\d.]+)\)", r"\1", text)
    text = re.sub(r"\(\((-[\d.]+)\),", r"(\1,", text)
    return re.sub(r"\(\(([^()]*)\)\)", r"(\1)", text)
