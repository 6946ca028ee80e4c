"""Activations and their slopes as they are written out, in x, y = act(x) and alpha."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """act(x) and act'(x) for x <= 0. whole: act(x) is the same rule above 0; smooth: act'(x) is, too.

    learns: the factor that galpha sums for x <= 0.
    """

    value: str
    slope: str
    whole: bool = False
    smooth: bool = False
    learns: str = ""

    def formula(self, act: str) -> str:
        """act(x), where it is not x itself."""
        return f"{act}(x) = {self.value}{'' if self.whole else ' for x <= 0'}"

    def slope_formula(self, act: str) -> str:
        """act'(x), where it is not 1."""
        return f"{act}'(x) = {self.slope}{'' if self.smooth else ' for x <= 0'}"


GATE = "1 / (1 + e^(-√(8/π)·(x + 0.044715·x·x·x)))"
RULES = {
    "relu": Rule("max(x, 0)", "0", whole=True),
    "felu": Rule("alpha·(e^(x) - 1)", "alpha·e^(x)", learns="(e^(x) - 1)"),
    "elu": Rule("e^(x) - 1", "e^(x)"),
    "leaky_relu": Rule("0.01·x", "0.01"),
    "prelu": Rule("alpha·x", "alpha", learns="x"),
    "sigmoid": Rule("1 / (1 + e^(-x))", "y·(1 - y)", whole=True, smooth=True),
    "tanh": Rule("tanh(x)", "1 - y·y", whole=True, smooth=True),
    "gelu": Rule(f"x · {GATE}", f"{GATE} · (1 + (x - y)·√(8/π)·(1 + 0.134145·x·x))", whole=True, smooth=True),
}
"""A row for each of `ACTIVATIONS`."""


def at(rule: str, x: str, y: str = "y") -> str:
    """A rule at a place: at("e^(x) - 1", "q[0,1]") is "e^(q[0,1]) - 1"."""
    return re.sub(r"\b[xy]\b", lambda found: {"x": x, "y": y}[found[0]], rule)
