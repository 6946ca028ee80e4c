"""A study's plan and its verdict, drawn with Rich."""

from __future__ import annotations

from collections.abc import Sequence

from minise_cli.render.console import console, warn
from minise_cli.render.format import clock, count, flops, interval, number, p_value, percent, widths
from minise_cli.render.tables import Column, figure, show

from minise.study import ArmSize, Estimate, Look, Study, Verdict, look_words, unequal
from minise.study.verdict import NOT_SUPPORTED, OPEN, SUPPORTED, UNCLAIMED

COLORS = {SUPPORTED: "green", NOT_SUPPORTED: "red", OPEN: "yellow", UNCLAIMED: "yellow", "": "dim"}

OF_WHAT = Column("data", lambda row: row.dataset), Column("model", lambda row: row.model, least=12)
"""What a row of a plan, an arm or a comparison is about."""
COMPARISONS = (
    *OF_WHAT,
    Column("difference of", lambda c: f"{c.claim} - {c.other}"),
    figure("pairs", lambda c: c.n, 4),
    figure("difference", lambda c: number(c.mean, "+.2f")),
    figure("corr. interval", lambda c: interval(c.corrected_low, c.corrected_high, "+.2f"), 1),
    figure("p", lambda c: p_value(c.p), 5),
    figure("corr. p", lambda c: p_value(c.corrected_p), 2),
    figure("mean / sd", lambda c: number(c.effect_size, "+.2f"), 7),
    figure("claimed", lambda c: number(c.effect, "+.2f"), 3),
    figure("seeds needed", lambda c: c.needed, 6),
    Column("verdict", lambda c: (c.verdict or "control", COLORS[c.verdict]), least=13, wraps=True),
)


def arm_column(claim: str) -> Column:
    """The arms, the claim's in bold."""
    return Column("arm", lambda row: (row.arm, "bold" if row.arm == claim else ""))


def draw_plan(study: Study, found: Sequence[ArmSize], times: Estimate) -> None:
    """The arms and their sizes, what is done, and how long the rest takes."""
    out, config = console(), study.config

    def runs(size: ArmSize, *states: str) -> int:
        return sum(o.state in states for o in study.of(size.dataset, size.model, size.arm))

    columns = (
        *OF_WHAT,
        arm_column(config.claim),
        figure("parameters", lambda size: count(size.info.parameters), 2),
        figure("to claim", lambda size: f"{100 * size.parameters_more:+.2f} %", 3),
        figure("FLOPs", lambda size: flops(size.info.flops), 6),
        Column("SE widths", lambda size: widths(size.info.se_widths) or None, 5),
        figure("done", lambda size: runs(size, "done"), 1),
        figure("failed", lambda size: runs(size, "failed") or None, 4),
        figure("left", lambda size: runs(size, "planned", "open")),
    )
    show(out, columns, found)
    out.print()
    for arm, options in unequal(config).items():
        differ = ", ".join(f"{name} = {mine}, not {claim}" for name, (mine, claim) in options.items())
        words = f"{arm} is trained otherwise than {config.claim}: {differ}"
        out.print(words, style="yellow", markup=False)
    left = len(times.seconds)
    out.print(f"[b]{left} of {len(study.outcomes)} runs[/] to do · seeds: {len(config.seeds)} · ", end="")
    out.print(study.folder, markup=False)
    for (model, batch), speed in times.images_per_second.items():
        out.print(f"[dim]{model}, batch {batch}: {speed:.0f} images/s, timed just now[/]")
    if left:
        words = "one run after the other; with --jobs, somewhat less"
        out.print(f"about [b]{clock(times.total)}[/] of training on this machine, {words}")


def draw_verdict(study: Study, verdict: Verdict, looks: tuple[Look, ...] = ()) -> None:
    """The arms, the differences, and the verdict."""
    out = console()
    arms = (
        *OF_WHAT,
        arm_column(study.config.claim),
        figure("runs", lambda a: a.n, 3),
        figure("failed", lambda a: a.failed or None, 2),
        figure("test", lambda a: number(a.mean, ".2f")),
        figure("sd", lambda a: number(a.sd, ".2f"), 4),
        figure("95 % interval", lambda a: interval(a.low, a.high, ".2f"), 1),
        figure("best val", lambda a: number(a.best_val, ".2f"), 6),
        figure("dead", lambda a: percent(a.dead_share), 5),
    )
    out.print()
    show(out, arms, verdict.arms)
    out.print()
    show(out, COMPARISONS, verdict.comparisons)
    out.print()
    for c in verdict.comparisons:
        if c.identical:
            same = f"{c.claim} and {c.other} had the same accuracy with every seed on {c.dataset}, {c.model}"
            warn(f"{same}: check that these arms differ")
    failed = f", {verdict.failed} failed" if verdict.failed else ""
    again = f" · {look_words(looks)}" if looks else ""
    states = f"{verdict.done} of {verdict.planned} runs done{failed}{again}"
    lead = "" if verdict.verdict == UNCLAIMED else "verdict on the claim: "
    out.print(f"{lead}[b {COLORS[verdict.verdict]}]{verdict.verdict}[/]   [dim]{states}[/]")
