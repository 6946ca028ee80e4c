"""A study's plan and its verdict, drawn with Rich."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minise_cli.render.draw import console
from minise_cli.render.format import clock, count, flops, percent, widths
from minise_cli.render.tables import Column, figure, show
from rich.markup import escape
from rich.text import Text

from minise.study import ArmSize, Comparison, Estimate, Look, Study, Verdict, look_words, unequal
from minise.study.verdict import NOT_SUPPORTED, OPEN, SUPPORTED, UNCLAIMED

COLOURS = {SUPPORTED: "green", NOT_SUPPORTED: "red", OPEN: "yellow", UNCLAIMED: "yellow", "": "dim"}


OF_WHAT = Column("data"), Column("model", least=12)
PLAN = (
    *OF_WHAT,
    Column("arm"),
    figure("parameters", 2),
    figure("to claim", 3),
    figure("FLOPs", 6),
    Column("SE widths", 5),
    figure("done", 1),
    figure("failed", 4),
    figure("left"),
)
ARMS = (
    *OF_WHAT,
    Column("arm"),
    figure("runs", 3),
    figure("failed", 2),
    figure("test"),
    figure("sd", 4),
    figure("95 % interval", 1),
    figure("best val", 6),
    figure("dead", 5),
)
COMPARISONS = (
    *OF_WHAT,
    Column("difference of"),
    figure("pairs", 4),
    figure("difference"),
    figure("corr. interval", 1),
    figure("p", 5),
    figure("corr. p", 2),
    figure("mean / sd", 7),
    figure("claimed", 3),
    figure("seeds needed", 6),
    Column("verdict", least=13, wraps=True),
)


def draw_plan(study: Study, found: Sequence[ArmSize], times: Estimate) -> None:
    """The arms and their sizes, what is done, and how long the rest takes."""
    out = console()
    config = study.config
    rows = []
    for size in found:
        states = [o.state for o in study.of(size.dataset, size.model, size.arm)]
        done, failed = states.count("done"), states.count("failed")
        row = (
            size.dataset,
            size.model,
            Text(size.arm, "bold" if size.arm == config.claim else ""),
            count(size.info.parameters),
            f"{100 * size.parameters_more:+.2f} %",
            flops(size.info.flops),
            widths(size.info.se_widths) or "-",
            str(done),
            str(failed or "-"),
            str(len(states) - done - failed),
        )
        rows.append(row)
    show(out, PLAN, rows)
    out.print()
    for arm, options in unequal(config).items():
        differ = ", ".join(f"{name} = {mine}, not {claim}" for name, (mine, claim) in options.items())
        out.print(
            f"[yellow]{escape(arm)} is trained otherwise than {escape(config.claim)}: {escape(differ)}[/]"
        )
    left = len(times.seconds)
    out.print(
        f"[b]{left} of {len(study.outcomes)} runs[/] to do · seeds: {len(config.seeds)} · {escape(str(study.folder))}"
    )
    for (model, batch), speed in times.images_per_second.items():
        out.print(f"[dim]{model}, batch {batch}: {speed:.0f} images/s, timed just now[/]")
    if left:
        words = "one run after the other; with --jobs, somewhat less"
        out.print(f"about [b]{clock(times.total)}[/] of training on this machine, {words}")


def draw_verdict(study: Study, verdict: Verdict, looks: tuple[Look, ...] = ()) -> None:
    """The arms, the differences, and the verdict."""
    out = console()
    rows = [
        (
            a.dataset,
            a.model,
            Text(a.arm, "bold" if a.arm == study.config.claim else ""),
            str(a.n),
            str(a.failed or "-"),
            points(a.mean),
            points(a.sd),
            interval(a.low, a.high, points),
            points(a.best_val),
            percent(a.dead_share) if math.isfinite(a.dead_share) else "-",
        )
        for a in verdict.arms
    ]
    out.print()
    show(out, ARMS, rows)
    out.print()
    show(out, COMPARISONS, [comparison_cells(c) for c in verdict.comparisons])
    out.print()
    states = f"{verdict.done} of {verdict.planned} runs done" + (
        f", {verdict.failed} failed" if verdict.failed else ""
    )
    states += f" · {look_words(looks)}" if looks else ""
    colour = COLOURS[verdict.verdict]
    lead = "" if verdict.verdict == UNCLAIMED else "verdict on the claim: "
    out.print(f"{lead}[b {colour}]{verdict.verdict}[/]   [dim]{states}[/]")


def comparison_cells(c: Comparison) -> list[str | Text]:
    """A row: the difference with its interval, its p, and what follows."""
    return [
        c.dataset,
        c.model,
        f"{c.claim} - {c.other}",
        str(c.n),
        signed(c.mean),
        interval(c.corrected_low, c.corrected_high, signed),
        p_value(c.p),
        p_value(c.corrected_p),
        signed(c.effect_size),
        signed(c.effect),
        "-" if c.needed is None else str(c.needed),
        Text(c.verdict or "control", COLOURS[c.verdict]),
    ]


def points(value: float) -> str:
    """91.2345 -> "91.23", "-" for NaN."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def signed(value: float) -> str:
    """1.2345 -> "+1.23", "-" for NaN."""
    return f"{value:+.2f}" if math.isfinite(value) else "-"


def interval(low: float, high: float, words: object) -> str:
    """Both ends, "-" where they are unknown."""
    show = words if callable(words) else points
    return f"{show(low)} … {show(high)}" if math.isfinite(low) else "-"


def p_value(p: float) -> str:
    """0.01234 -> "0.012", "-" for NaN."""
    if not math.isfinite(p):
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"
