"""Numbers as people read them, and curves as block characters: plain strings. What is unknown is "-"."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def number(value: float | None, spec: str) -> str:
    """(0.12345, ".2f") -> "0.12"; "-" for None, NaN and infinity."""
    return format(value, spec) if value is not None and math.isfinite(value) else "-"


def percent(fraction: float | None) -> str:
    """0.12345 -> "12.35 %", "-" for None and NaN."""
    return f"{100 * fraction:.2f} %" if fraction is not None and math.isfinite(fraction) else "-"


def interval(low: float, high: float, spec: str) -> str:
    """(0.1, 0.9, ".2f") -> "0.10 … 0.90", "-" where the ends are unknown."""
    return f"{low:{spec}} … {high:{spec}}" if math.isfinite(low) else "-"


def p_value(p: float) -> str:
    """0.01234 -> "0.012", 0.00001 -> "<0.001"."""
    return "<0.001" if p < 0.001 else number(p, ".3f")


def count(number: int) -> str:
    """1234567 -> "1,234,567"."""
    return f"{number:,}"


def scaled(number: float, unit: str) -> str:
    """5605952 -> "5.61 M" + unit, with three digits that count."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}"


def flops(number: int) -> str:
    return scaled(number, "FLOPs")


def clock(seconds: float) -> str:
    """75 -> "1:15", 3675 -> "1:01:15"."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def widths(values: Sequence[int]) -> str:
    """(1, 1, 2) -> "1x2, 2": runs of equal widths."""
    runs = [(width, len(list(group))) for width, group in itertools.groupby(values)]
    return ", ".join(f"{width}x{times}" if times > 1 else str(width) for width, times in runs)


def sparkline(values: Sequence[float], width: int) -> str:
    """At most `width` block characters, the lowest value at the bottom; each is a mean of its neighbours."""
    values = means([v for v in values if math.isfinite(v)], width)
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / (len(BLOCKS) - 1) or 1
    return "".join(BLOCKS[round((v - low) / step)] for v in values)


def means(values: Sequence[float], n: int) -> list[float]:
    """`values` as at most n means of neighbours."""
    if len(values) <= n or n < 1:
        return list(values) if n >= 1 else []
    edges = [round(i * len(values) / n) for i in range(n + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]


def histogram(counts: Sequence[int]) -> str:
    """A block character for each count, the largest full; a dot where there is nothing."""
    most = max(counts, default=0) or 1
    return "".join(BLOCKS[math.ceil(n / most * (len(BLOCKS) - 1))] if n else "·" for n in counts)
