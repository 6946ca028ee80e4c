"""Numbers and names as a page shows them: the filters of the templates. An unknown number is a dash."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import Any, TypeGuard

NBSP, MINUS, NONE, PRIME, RHO = "\u00a0", "\u2212", "\u2013", "\u2032", "\u03c1"


def known(value: float | None) -> TypeGuard[float]:
    """Whether there is a number at all: neither None nor NaN nor infinite."""
    return value is not None and math.isfinite(value)


def decimal(value: float | None, digits: int = 2) -> str:
    """1234.5 -> "1,234.50", with a minus sign that is one."""
    if not known(value):
        return NONE
    text = f"{value:,.{digits}f}"
    zero = not text.strip("-0.,")
    return text.removeprefix("-") if zero else text.replace("-", MINUS)


def signed(value: float | None, digits: int = 2) -> str:
    """0.314 -> "+0.31"."""
    text = decimal(value, digits)
    return f"+{text}" if text[0] not in (MINUS, NONE) and text.strip("0.") else text


def short(value: float | None, digits: int = 3) -> str:
    """0.000123 -> "0.000123", 0.1 + 0.2 -> "0.3": as many digits as count, no exponent where it can be helped."""
    if not known(value):
        return NONE
    return f"{value:.{digits}g}".replace("-", MINUS)


def percent(fraction: float | None, digits: int = 2) -> str:
    """0.12345 -> "12.35 %"."""
    return f"{decimal(100 * fraction, digits)}{NBSP}%" if known(fraction) else NONE


def interval(low: float, high: float, digits: int = 2) -> str:
    """(0.1, 0.9) -> "0.10 to 0.90"."""
    return f"{decimal(low, digits)} to {decimal(high, digits)}" if known(low) and known(high) else NONE


def count(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


def counted(number: int, one: str, many: str = "") -> str:
    """(1, "run") -> "1 run", (2, "run") -> "2 runs"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def scaled(number: float) -> str:
    """5605952 -> "5.61 M", with three digits that count."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{NBSP}{prefix}"
    return f"{number:.3g}"


def duration(seconds: float | None) -> str:
    """75 -> "1 min 15 s", 3675 -> "1 h 1 min"."""
    if not known(seconds):
        return NONE
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{NBSP}h {minutes}{NBSP}min"
    return f"{minutes}{NBSP}min {rest}{NBSP}s" if minutes else f"{seconds:.3g}{NBSP}s"


def p_value(p: float) -> str:
    """0.0432 -> "0.043", 0.00001 -> "< 0.001"."""
    return f"<{NBSP}0.001" if p < 0.001 else decimal(p, 3)


def date(iso: Any) -> str:
    """2026-11-24T16:37:26+00:00 -> "24 November 2026, 16:37 UTC"; as it stands where it is something else."""
    try:
        time = datetime.datetime.fromisoformat(str(iso))
    except ValueError:
        return label(iso, 40)
    zone = time.tzname() or ""
    return f"{time.day}{NBSP}{time:%B %Y, %H:%M} {zone}".strip()


def listed(words: Iterable[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def label(text: Any, most: int = 24) -> str:
    """A name from a file as a page or a plot can show it: no control characters, and not too long."""
    shown = "".join(c if c.isprintable() or c == NBSP else "\ufffd" for c in str(text))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def block_name(block: str) -> str:
    """ "blocks.0.se" -> "blocks.0"."""
    return label(block.removesuffix(".se"))
