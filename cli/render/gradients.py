"""What `minise gradcheck` shows: a row for each thing as it is checked, and at the end what failed, taken apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from minise_cli.render.console import console
from minise_cli.render.format import count
from rich.console import Console
from rich.text import Text

from minise.gradcheck.search import Checked

SHOWN = 24
"""Inputs of up to so many elements are printed."""
ROW = "{:8}  {:24}  {:9}  {:>11}  {:>5}  {:>11}  {:>5}  {:>7}"
HEADINGS = ("kind", "name", "backend", "worst error", "cases", "derivatives", "kinks", "time")


def draw_outcomes(outcomes: Iterable[Checked]) -> list[Checked]:
    """Print each as it comes, then the failures and a line that sums up; returns the failures."""
    out = console()
    seen: list[Checked] = []
    for o in outcomes:
        if not seen:
            out.print(Text(f"{'':6}  {ROW.format(*HEADINGS)}", "dim"), soft_wrap=True)
        seen.append(o)
        state = ("failed  ", "bold red") if o.failure else ("ok      ", "green")
        kinks, time = o.kinks or "-", f"{o.seconds:.1f} s"
        row = ROW.format(
            o.kind, o.name, o.backend, f"{o.worst:.1e}", o.cases, count(o.derivatives), kinks, time
        )
        out.print(Text.assemble(state, row), soft_wrap=True)
    failed = [o for o in seen if o.failure]
    for o in failed:
        draw_failure(out, o)
    total, seconds = count(sum(o.derivatives for o in seen)), sum(o.seconds for o in seen)
    verdict = f"[bold red]{len(failed)} failed[/]" if failed else "[green]all agree[/]"
    out.print(f"\n{len(seen)} checked, {total} derivatives, {seconds:.1f} s: {verdict}")
    return failed


def draw_failure(out: Console, outcome: Checked) -> None:
    """The smallest case that fails: inputs, index, both values, and the likeliest cause."""
    failure = outcome.failure
    assert failure is not None
    out.print(Text(f"\n{outcome.name}", "bold"))
    out.print(Text(f"  wrong   {failure.message}"), soft_wrap=True)
    for i, x in enumerate(failure.inputs):
        if isinstance(x, np.ndarray):
            out.print(Text(f"  input {i} {x.shape}"), Text(values(x), "dim"), soft_wrap=True)
    if failure.options:
        words = ", ".join(f"{key}={value!r}" for key, value in failure.options.items())
        out.print(Text(f"  options {words}"), soft_wrap=True)
    if failure.mismatch is not None:
        cause = failure.cause or "none of the usual mistakes fits it"
        out.print(Text("  cause   "), Text(cause, "yellow"), sep="", soft_wrap=True)


def values(x: np.ndarray) -> str:
    """The numbers of a small array, on one line."""
    if x.size > SHOWN:
        return "…"
    return " ".join(np.array2string(x, precision=4, separator=", ").split())
