"""Numbers as they are written out, and sums of products with all of their terms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minise.teach.explain.lesson import Written

Factor = tuple[str, float] | tuple[str, float, str]
"""A name, its number, and how that is written where it is not as a decimal."""
DIGITS = 4


def number(x: float, digits: int = DIGITS) -> str:
    """0.5 -> "0.5", 0.123456 -> "0.1235", 1.2e-7 -> "1.2e-07"; never "-0"."""
    x = float(x)
    if (x and abs(x) < 0.5 * 10**-digits) or abs(x) >= 1e6:
        return f"{x:.{max(digits - 2, 1)}g}"
    return f"{x:.{digits}f}".rstrip("0").rstrip(".") if round(x, digits) else "0"


def bracketed(x: float) -> str:
    """-0.5 -> "(-0.5)", 0.5 -> "0.5": a number after a sign."""
    return _in_brackets(number(x))


def counted(n: int, one: str) -> str:
    """(1, "window") -> "1 window", (2, "window") -> "2 windows"."""
    return f"{n} {one}{'s' * (n != 1)}"


def written(
    of: str, at: tuple[int, ...], terms: Sequence[Sequence[Factor]], over: Factor | None = None
) -> Written:
    """The sum of the products of the factors of each term, divided by `over`, written out."""
    result = math.fsum(math.prod(factor[1] for factor in term) for term in terms)
    symbols = " + ".join("·".join(factor[0] for factor in term) for term in terms)
    numbers = _sum(terms)
    if over is None:
        return Written(of, at, symbols, numbers, result)
    many = len(terms) > 1
    symbols, numbers = (f"({text})" if many else text for text in (symbols, numbers))
    return Written(of, at, f"{symbols} / {over[0]}", f"{numbers} / {number(over[1])}", result / over[1])


def _sum(terms: Sequence[Sequence[Factor]]) -> str:
    text = ""
    for first, *others in terms:
        minus = first[1] < 0 and len(first) == 2
        sign = (" - " if minus else " + ") if text else ("-" if minus else "")
        text += sign + "·".join([_plain(first).removeprefix("-"), *map(_bracketed, others)])
    return text or "0"


def _plain(factor: Factor) -> str:
    return factor[2] if len(factor) == 3 else number(factor[1])


def _bracketed(factor: Factor) -> str:
    return _in_brackets(_plain(factor))


def _in_brackets(text: str) -> str:
    return f"({text})" if text.startswith("-") else text
