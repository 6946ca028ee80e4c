"""The plots of a study: every run, what the claim's arm gains, and training curves."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minise.report.facts_study import ArmHistory, StudyFacts, within
from minise.report.filters import RHO, counted, decimal, interval, signed
from minise.report.theme import (
    ARM_COLORS,
    INK,
    MUTED,
    NICE,
    PAPER,
    RULE,
    VARIABLES,
    Plot,
    finish,
    panel,
    percents,
    points,
    whole_epochs,
)
from minise.study.verdict import Comparison

ROW, BELOW = 40, 0.28
"""Pixels of a row; how far below its mean the dots lie, in rows."""


def arm_colors(facts: StudyFacts) -> dict[str, str]:
    """The first color for the claim's arm, one of the others for each other."""
    others = [arm for arm in facts.arms if arm != facts.config["claim"]]
    rest = ARM_COLORS[1:]
    return {facts.config["claim"]: ARM_COLORS[0]} | {arm: rest[i % len(rest)] for i, arm in enumerate(others)}


def arm_tone(facts: StudyFacts, arm: str) -> str:
    """The name that the CSS has for an arm's color."""
    return VARIABLES[arm_colors(facts)[arm]]


def legend(facts: StudyFacts) -> tuple[tuple[str, str], ...]:
    """Every arm with the name of its color."""
    return tuple((arm, arm_tone(facts, arm)) for arm in facts.arms)


def every_run(facts: StudyFacts, group: tuple[str, str], name: str) -> Plot:
    """A dot for each finished run; the mean of each arm and its 95 % interval."""
    results, every = within(facts.verdict.arms, group), within(facts.runs, group)
    colors = arm_colors(facts)
    figure, axes = _rows([a.arm for a in results], "test accuracy", bold=facts.config["claim"])
    for row, result in enumerate(results):
        values = [100 * r.test_acc for r in every if r.arm == result.arm and r.test_acc is not None]
        axes.scatter(values, [row + BELOW] * len(values), s=26, color=colors[result.arm], alpha=0.45)
        _estimate(axes, row, result.mean, result.low, result.high, colors[result.arm])
        if values:
            _beside(axes, row, f"{decimal(result.mean)} %")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=NICE))
    percents(axes.xaxis)
    words = "; ".join(
        f"{a.arm}: {counted(a.n, 'run')}, mean {decimal(a.mean)} %, 95 % interval {interval(a.low, a.high)}"
        for a in results
    )
    return finish(figure, name, ", ".join(group), f"Test accuracy of every run by arm. {words}.")


def forest(facts: StudyFacts, group: tuple[str, str], name: str) -> Plot:
    """What the claim's arm gains over each other, with 95 % intervals, beside what is claimed."""
    rows = within(facts.verdict.comparisons, group)
    figure, axes = _rows([f"over {c.other}" for c in rows], "points of test accuracy", right=150)
    axes.axvline(0, color=MUTED, linewidth=1)
    effect = next((c.effect for c in rows if math.isfinite(c.effect)), math.nan)
    if math.isfinite(effect):
        axes.axvline(effect, color=INK, linewidth=1.4, linestyle=(0, (4, 3)))
        axes.text(
            effect, -0.62, f"claimed {signed(effect, 1)}", color=INK, ha="center", va="bottom", fontsize=10
        )
    for row, c in enumerate(rows):
        color = arm_colors(facts)[c.claim] if c.other in facts.config["against"] else MUTED
        axes.scatter(c.differences, [row + BELOW] * c.n, s=26, color=color, alpha=0.45)
        _estimate(axes, row, c.mean, c.low, c.high, color)
        if c.n:
            between = f"  [{interval(c.low, c.high)}]" if math.isfinite(c.low) else ""
            _beside(axes, row, f"{signed(c.mean)}{between}")
    words = "; ".join(_gain(c) for c in rows)
    claimed = f" The claim is {signed(effect, 1)}." if math.isfinite(effect) else ""
    described = f"Gain of {facts.config['claim']} in points. {words}.{claimed}"
    return finish(figure, name, ", ".join(group), described)


def curves(facts: StudyFacts, group: tuple[str, str], key: str, name: str, title: str) -> Plot:
    """Mean over the seeds of each arm, between the lowest and the highest run.

    The first quarter of the epochs is left out: it would hide how the arms differ later.
    """
    arms = [h for h in within(facts.histories, group) if key in h.curves]
    figure, axes = panel(520, 290, left=50, right=14, x="epoch")
    factor = 100 if key.endswith("acc") else 1
    colors = arm_colors(facts)
    for h in sorted(arms, key=lambda h: h.arm == facts.config["claim"]):
        found = h.curves[key]
        late = slice(len(h.epochs) // 4, None)
        low, mean, high = (factor * np.array(values)[late] for values in (found.low, found.mean, found.high))
        axes.fill_between(h.epochs[late], low, high, color=colors[h.arm], alpha=0.13)
        mark = points(h.epochs)
        axes.plot(h.epochs[late], mean, color=colors[h.arm], marker=mark, markersize=3.5, clip_on=False)
    whole_epochs(axes, [epoch for h in arms for epoch in h.epochs[len(h.epochs) // 4 :]])
    axes.margins(y=0.06)
    if factor == 100:
        percents(axes.yaxis)
    words = "; ".join(_end(h, key, factor) for h in arms)
    return finish(
        figure, name, title, f"{title} on {group[0]} with {group[1]}, mean over the seeds. {words}."
    )


def dead_and_accuracy(facts: StudyFacts, name: str) -> Plot:
    """Every run: its share of dead units, and its accuracy beside the mean of its data set and model."""
    groups: dict[tuple[str, str], list[float]] = {}
    for run, _, accuracy in facts.watched:
        groups.setdefault((run.dataset, run.model), []).append(accuracy)
    shares = [100 * share for _, share, _ in facts.watched]
    figure, axes = panel(520, 300, left=52, x="dead units", y="accuracy beside its group's mean, points")
    axes.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    colors = arm_colors(facts)
    for run, share, accuracy in facts.watched:
        y = 100 * (accuracy - np.mean(groups[run.dataset, run.model]))
        axes.scatter(100 * share, y, s=34, color=colors[run.arm], alpha=0.75, linewidths=0)
    axes.margins(0.08)
    percents(axes.xaxis)
    rho = facts.verdict.dead_correlation
    found = f"Spearman's {RHO} within arms {decimal(rho)}" if math.isfinite(rho) else "no correlation"
    words = (
        f"Share of dead excitation units against accuracy, {len(shares)} runs: {found}. Dead shares range from"
        f" {decimal(min(shares), 1)} to {decimal(max(shares), 1)} %."
    )
    return finish(figure, name, "Dead units and accuracy", words)


def _rows(names: list[str], x: str, *, bold: str = "", right: float = 76) -> tuple[Figure, Axes]:
    """A plot with a named row for each of the names, the first at the top."""
    left = 20 + 6.6 * max(map(len, names), default=1)
    height = 74 + ROW * len(names)
    figure, axes = panel(520, height, left=left, right=right, top=28, bottom=46, x=x)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    for tick in axes.get_yticklabels():
        tick.set_color(INK)
        tick.set_fontweight("bold" if tick.get_text() == bold else "normal")
    axes.grid(True, axis="both", color=RULE)
    return figure, axes


def _estimate(axes: Axes, row: int, mean: float, low: float, high: float, color: str) -> None:
    """A mean with its interval."""
    if math.isfinite(low):
        axes.plot((low, high), (row, row), color=color, linewidth=2.4)
    if math.isfinite(mean):
        axes.scatter([mean], [row], s=80, color=color, edgecolors=PAPER, linewidths=1.6, zorder=4)


def _beside(axes: Axes, row: int, words: str) -> None:
    """Words to the right of a row."""
    axes.text(1.02, row, words, transform=axes.get_yaxis_transform(), va="center", color=INK)


def _gain(c: Comparison) -> str:
    if not c.n:
        return f"over {c.other}: no pair of finished runs yet"
    return (
        f"over {c.other}: {signed(c.mean)}, 95 % interval {interval(c.low, c.high)}, {counted(c.n, 'seed')}"
    )


def _end(h: ArmHistory, key: str, factor: int) -> str:
    found = h.curves[key]
    digits, unit = (2, " %") if factor == 100 else (3, "")
    between = interval(factor * found.low[-1], factor * found.high[-1], digits)
    last = f"{decimal(factor * found.mean[-1], digits)}{unit}"
    return f"{h.arm}: {last} after the last epoch, {between} over {counted(h.n, 'run')}"
