"""Numbers as they are written out, and formulas: first with all terms of their sums, then in numbers.

    gs[0,1] = Σ_ij gy[0,1,i,j]·u[0,1,i,j]
            = gy[0,1,0,0]·u[0,1,0,0] + gy[0,1,0,1]·u[0,1,0,1] + …
            = -0.5·0.1 + 0.4·0.4 + …

A name is an array's or a number's; f'(x) is the function of that name at x; e, π, √, max and tanh mean what they
say. The range of an index is that of the axis where it stands alone. A term with an element outside its array is
left out; so is one for which the condition after `over` is false. Leading axes of size 1 need no index.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from minise.teach.explain.lesson import Written, element, place

Scope = Mapping[str, Any]
DIGITS = 4
KNOWN = {"e": math.e, "π": math.pi, "max": max, "tanh": math.tanh, "sqrt": math.sqrt}
PYTHON = str.maketrans({"·": "*", "^": "**", "√": "sqrt"})
INDEXED = re.compile(r"(\w+)\[([^]]*)\]")
ATOM = re.compile(r"[^\W\d]\w*(?:\[[^]]*\]|'\([^()]*\))?")
"""A name, an element of an array or a slope."""


def number(x: float, digits: int = DIGITS) -> str:
    """0.5 -> "0.5", 0.123456 -> "0.1235", 1.2e-7 -> "1.2e-07"; never "-0"."""
    x = float(x)
    if (x and abs(x) < 0.5 * 10**-digits) or abs(x) >= 1e6:
        return f"{x:.{max(digits - 2, 1)}g}"
    return f"{x:.{digits}f}".rstrip("0").rstrip(".") if round(x, digits) else "0"


def counted(n: int, one: str) -> str:
    """(1, "window") -> "1 window", (2, "window") -> "2 windows"."""
    return f"{n} {one}{'s' * (n != 1)}"


def written(text: str, scope: Scope) -> Written:
    """Write out a formula such as "z[0] = Σ_j w[0,j]·x[j]". Raises LookupError for what is not in the scope."""
    name, _, formula = text.partition(" = ")
    symbols = _summed(formula, scope)
    exact = ATOM.sub(
        lambda found: found[0] if found[0] in KNOWN else f"({_value(found[0], scope)!r})", symbols
    )
    result = float(eval(exact.translate(PYTHON), dict(KNOWN)))
    return Written(*place(name), symbols, _in_numbers(symbols, scope), result)


def _summed(text: str, scope: Scope) -> str:
    """The text with all terms of its sums, the innermost first, and every index as a number."""
    while (start := text.rfind("Σ_")) >= 0:
        end = _end(text, start)
        letters, _, term = text[start + 2 : end].partition(" ")
        term, _, condition = term.partition(" over ")
        terms = []
        for at in np.ndindex(*(_size(letter, term, scope) for letter in letters)):
            inner = {**scope, **dict(zip(letters, at, strict=True))}
            if not condition or eval(condition, inner):
                with suppress(IndexError):
                    terms.append(_indexed(term, inner))
        text = text[:start] + (" + ".join(terms) or "0") + text[end:]
    return _indexed(text, scope)


def _end(text: str, start: int) -> int:
    """Where a sum ends: at a plus sign or a bracket that does not belong to it."""
    depth = 0
    for i, letter in enumerate(text[start:], start):
        depth += (letter in "([") - (letter in ")]")
        if depth < 0 or (depth == 0 and text.startswith(" + ", i)):
            return i
    return len(text)


def _size(letter: str, term: str, scope: Scope) -> int:
    """How many values an index has."""
    for name, index in INDEXED.findall(term):
        places = index.split(",")
        if letter in places:
            return int(np.shape(scope[name])[places.index(letter) - len(places)])
    raise LookupError(f"{term}: no array has the index {letter}")


def _indexed(text: str, scope: Scope) -> str:
    """The text with a number for every index. Raises IndexError for an element outside its array."""

    def fixed(found: re.Match[str]) -> str:
        at = eval(f"({found[2].translate(PYTHON)},)", dict(scope))
        _element(scope[found[1]], at)
        return element(found[1], at)

    return INDEXED.sub(fixed, text)


def _in_numbers(symbols: str, scope: Scope) -> str:
    """The formula with a number for every name; a negative one is bracketed where a sign stands before it."""
    text, end = "", 0
    for found in ATOM.finditer(symbols):
        text, end = text + symbols[end : found.start()], found.end()
        shown = found[0] if found[0] in KNOWN else number(_value(found[0], scope))
        if shown.startswith("-"):
            if text.endswith(" + "):
                text, shown = f"{text[:-3]} - ", shown[1:]
            elif text.endswith("(-"):
                text, shown = text[:-1], shown[1:]
            elif text and not text.endswith("("):
                shown = f"({shown})"
        text += shown
    return text + symbols[end:]


def _value(atom: str, scope: Scope) -> float:
    if "'" in atom:
        slope, _, x = atom.removesuffix(")").partition("(")
        return float(scope[slope](_value(x, scope)))
    name, at = place(atom)
    return _element(scope[name], at)


def _element(array: Any, at: tuple[int, ...]) -> float:
    shape = np.shape(array)
    at = (0,) * (len(shape) - len(at)) + at
    if not all(0 <= i < size for i, size in zip(at, shape, strict=True)):
        raise IndexError(f"found the index {at} in an array of shape {shape}")
    return float(np.asarray(array)[at])
