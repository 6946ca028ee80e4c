"""Activations and their slopes as they are written out, in x, y = act(x) and alpha."""

from __future__ import annotations

import re
from dataclasses import dataclass

from minise.ops.activation import ACTIVATIONS, Activation


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


SIGNS = {"expm1(x)": "(e^(x) - 1)", "exp(": "e^(", "sqrt(8 / pi)": "√(8/π)", " * ": "·"}


def rule(row: Activation) -> Rule:
    """The rule of a row of `ACTIVATIONS`, in the signs of a textbook."""
    formula = row.formula
    assert formula is not None

    def signs(text: str) -> str:
        if row.fixed is not None:
            text = text.replace("a * ", "") if row.fixed == 1 else re.sub(r"\ba\b", f"{row.fixed:g}", text)
        for sign, written in SIGNS.items():
            text = text.replace(sign, written)
        return re.sub(r"\ba\b", "alpha", text)

    value = "max(x, 0)" if formula.below == "0" else signs(formula.below)
    learns = "" if row.start is None else signs(formula.learns)
    whole = formula.below in ("0", formula.above)
    return Rule(value, signs(formula.slope), whole, formula.slope == formula.slope_above, learns)


RULES = {act: rule(row) for act, row in ACTIVATIONS.items() if row.formula is not None}
"""The rules of all activations that have a formula."""


def at(rule: str, x: str, y: str = "y") -> str:
    """A rule at a place: at("e^(x) - 1", "q[0,1]") is "e^(q[0,1]) - 1"."""
    return re.sub(r"\b[xy]\b", lambda found: {"x": x, "y": y}[found[0]], rule)
