"""The part of a study's page that the verdict rests on: what the arms reach, and what the claim's arm gains."""

from __future__ import annotations

from functools import partial

from minise.report import figures_study as figures
from minise.report.document import Block, Cell, Plots, Section, Table, Words, table
from minise.report.facts_study import StudyFacts
from minise.report.words import NONE, count, decimal, interval, known, p_value, percent, scaled, signed
from minise.study.verdict import (
    FEWEST_PAIRS,
    MOST_SEEDS,
    NOT_SUPPORTED,
    OPEN,
    SUPPORTED,
    UNCLAIMED,
    ArmResult,
    Comparison,
)

TONES = {SUPPORTED: "good", NOT_SUPPORTED: "bad", OPEN: "open", UNCLAIMED: "open"}
"""Verdict -> the name that the CSS has for its colour."""


def arms(facts: StudyFacts) -> Section:
    """Every run as a dot, and the table of arms."""
    columns = (
        *("arm", "n", "failed", "mean", "sd", "95 % interval", "held out, last", "held out, best"),
        *("dead units", "parameters", "FLOPs", "than the claim's"),
    )
    note = "than the claim's: parameters and FLOPs, how many more or less than those of the claim's arm."
    seen = {(a.dataset, a.model) for a in facts.verdict.arms if a.n}
    plots = tuple(
        partial(figures.every_run, facts, *group, f"runs-{i}")
        for i, group in enumerate(facts.groups)
        if group in seen
    )
    shown: Block = Plots(plots, "half") if plots else Words("No run is done yet.", "note")
    tables = (
        table(
            f"{d}, {m}",
            columns,
            [arm_row(facts, a) for a in facts.verdict.arms if (a.dataset, a.model) == (d, m)],
            right=columns[1:],
            note=note if (d, m) == facts.groups[-1] else "",
        )
        for d, m in facts.groups
    )
    lead = (
        "Test accuracy after the last epoch, in per cent; a dot for each run, the mean of an arm with its 95 %"
        " interval of Student's t. The best epoch on held-out images stands beside it for comparison only."
    )
    return Section("arms", "What the arms reach", lead, (shown, *tables))


def arm_row(facts: StudyFacts, a: ArmResult) -> list[str | Cell]:
    """The row of an arm in its table."""
    claim = a.arm == facts.config["claim"]
    size = next((s for s in facts.sizes if (s.dataset, s.model, s.arm) == (a.dataset, a.model, a.arm)), None)
    costs = [NONE] * 3
    if size is not None:
        more = f"{signed(100 * size.parameters_more, 1)} %, {signed(100 * size.flops_more, 1)} %"
        costs = [count(size.info.parameters), scaled(size.info.flops), NONE if claim else more]
    return [
        Cell(a.arm, tone=f"swatch {figures.arm_tone(facts, a.arm)}{' claim' if claim else ''}"),
        str(a.n),
        Cell(str(a.failed), tone="bad" if a.failed else ""),
        Cell(decimal(a.mean), tone="claim" if claim else ""),
        decimal(a.sd),
        interval(a.low, a.high),
        decimal(a.last_val),
        decimal(a.best_val),
        percent(a.dead_share, 1),
        *costs,
    ]


def comparisons(facts: StudyFacts) -> Section:
    """The forest plots and the table of comparisons."""
    seen = {(c.dataset, c.model) for c in facts.verdict.comparisons if c.n}
    plots = tuple(
        partial(figures.forest, facts, *group, f"forest-{i}")
        for i, group in enumerate(facts.groups)
        if group in seen
    )
    shown: Block = Plots(plots, "half") if plots else Words("No two runs of one seed are done yet.", "note")
    lead = (
        f"What {facts.config['claim']} gains over each other arm, seed by seed, in points of test accuracy: pale dots"
        " are the seeds, the line is the 95 % interval of Student's t for pairs."
    )
    return Section("gains", "What is gained", lead, (shown, comparison_table(facts)))


def comparison_table(facts: StudyFacts) -> Table:
    """A row for each comparison."""
    rows: list[list[str | Cell]] = [
        [
            f"{c.dataset}, {c.model}",
            f"over {c.other}",
            Cell(c.verdict or "control", tone=TONES.get(c.verdict, "muted")),
            str(c.n),
            signed(c.mean),
            interval(c.low, c.high),
            p_value(c.p),
            interval(c.corrected_low, c.corrected_high),
            p_value(c.corrected_p),
            p_value(c.permutation_p),
            decimal(c.effect_size),
            seeds_needed(c),
        ]
        for c in facts.verdict.comparisons
    ]
    columns = (
        *("data set, model", "gain", "verdict", "n", "points", "95 % interval", "p"),
        *("corrected interval", "corrected p", "permutation p", "gain / sd", "seeds needed"),
    )
    note = (
        "p: paired t test, two-sided. Corrected: for as many comparisons as are judged, or as there are controls"
        " (Bonferroni); the rule goes by these. Permutation p: the signs of the differences flipped. Gain / sd:"
        " Cohen's d of pairs. Seeds needed: to tell the claimed effect from 0 in this comparison, corrected, with a"
        " power of 0.8 at the deviation seen, which is uncertain with few seeds and not taken from fewer than three."
        " All of it is for one look, at a number of seeds fixed before."
    )
    return table("Every comparison", columns, rows, right=columns[3:], note=note)


def seeds_needed(c: Comparison) -> str:
    """How many seeds would show the effect; more than are looked for where none do."""
    if c.needed is not None:
        return str(c.needed)
    return f"> {MOST_SEEDS}" if c.n >= FEWEST_PAIRS and known(c.effect) and c.sd > 0 else NONE
