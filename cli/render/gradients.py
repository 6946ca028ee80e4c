"""What `minise gradcheck` shows: a row for each thing as it is checked, and at the end what failed, taken apart."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from minise_cli.render.draw import console
from minise_cli.render.format import count
from rich.console import Console
from rich.text import Text

from minise.gradcheck.search import Failure, Outcome

SHOWN = 24
"""Inputs of up to so many elements are printed."""


def draw_outcomes(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Print each as it comes, then the failures and a line that sums up; returns the failures."""
    out = console()
    header = f"{'':6}  {'kind':8}  {'name':24}  {'backend':9}  {'worst error':>11}  {'cases':>5}  {'derivatives':>11}"
    seen: list[Outcome] = []
    for o in outcomes:
        if not seen:
            out.print(Text(f"{header}  {'kinks':>5}  {'time':>7}", "dim"), soft_wrap=True)
        seen.append(o)
        row = Text("failed  " if o.failure else "ok      ", "bold red" if o.failure else "green")
        row.append(
            f"{o.kind:8}  {o.name:24}  {o.backend:9}  {o.worst:11.1e}  {o.cases:5}  {count(o.derivatives):>11}"
            f"  {o.kinks or '-':>5}  {o.seconds:5.1f} s",
            "default",
        )
        out.print(row, soft_wrap=True)
    failed = [o for o in seen if o.failure]
    for outcome in failed:
        if outcome.failure is not None:
            draw_failure(out, outcome.name, outcome.failure)
    total = sum(o.derivatives for o in seen)
    out.print(
        f"\n{len(seen)} checked, {count(total)} derivatives, {sum(o.seconds for o in seen):.1f} s: "
        + ("[green]all agree[/]" if not failed else f"[bold red]{len(failed)} failed[/]")
    )
    return failed


def draw_failure(out: Console, name: str, failure: Failure) -> None:
    """The smallest case that fails: inputs, index, both values, and the likeliest cause."""
    out.print(Text(f"\n{name}", "bold"))
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
