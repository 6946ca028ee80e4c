"""The plots of a run: training curves, confusion matrix, calibration."""

from __future__ import annotations

import numpy as np

from minise.report.answers import Answers
from minise.report.facts_run import RunFacts
from minise.report.filters import count, decimal, known, label, percent, short
from minise.report.theme import (
    COOL,
    INK,
    MUTED,
    PAPER,
    WARM,
    Plot,
    cells,
    finish,
    label_ends,
    panel,
    percents,
    points,
    whole_epochs,
)

PANEL = (350, 230)
"""Pixels of a plot of which three stand in a row on a wide page."""


def curves(facts: RunFacts, key: str, title: str) -> Plot:
    """A measure by epoch, in training and on held-out images. key: "loss", or "acc" in per cent."""
    shown, best, factor = (percent, np.argmax, 100) if key == "acc" else (short, np.argmin, 1)
    epochs = [line["epoch"] for line in facts.metrics]
    train, held = _column(facts, f"train_{key}"), _column(facts, f"val_{key}")
    words = f"Training {title.lower()} from {shown(train[0])} to {shown(train[-1])} in {len(train)} epochs"
    if known(held[-1]):
        i = int(best(held))
        words += f"; on held-out images it ends at {shown(held[-1])}, its best is {shown(held[i])}"
        words += f" after epoch {epochs[i]}"
    figure, axes = panel(*PANEL, left=48, right=70, x="epoch")
    ends = []
    for values, whose, color in ((train, "training", COOL), (held, "held out", WARM)):
        y = [factor * value for value in values]
        if any(map(known, y)):
            axes.plot(epochs, y, color=color, marker=points(epochs), markersize=4, clip_on=False)
            ends.append((epochs[-1], y[-1], whose, color))
    whole_epochs(axes, epochs)
    axes.margins(y=0.1)
    if key == "acc":
        percents(axes.yaxis)
    label_ends(axes, ends)
    return finish(figure, title.lower(), title, f"{words}.")


def learning_rate(facts: RunFacts) -> Plot:
    """The learning rate at the end of each epoch."""
    epochs, rates = [line["epoch"] for line in facts.metrics], _column(facts, "lr")
    figure, axes = panel(*PANEL, left=52, right=20, x="epoch")
    axes.plot(epochs, rates, color=MUTED, marker=points(epochs), markersize=4, clip_on=False)
    axes.set_ylim(0, max(rates) * 1.08 or 1)
    whole_epochs(axes, epochs)
    words = f"Learning rate at the end of an epoch: highest {short(max(rates))}, last {short(rates[-1])}."
    return finish(figure, "rate", "Learning rate", words)


def confusion(facts: RunFacts, answers: Answers) -> Plot:
    """One row per true class, one column per predicted class; mistakes stand out."""
    table = answers.test.confusion
    k, names = len(table), [label(name, 14) for name in facts.classes]
    cell = 42 if k <= 12 else 30
    left = 24 + 6.2 * max(map(len, names))
    figure, axes = panel(
        left + k * cell + 70, 16 + k * cell * 0.8 + left - 8, left=left, right=70, top=16, bottom=left - 8
    )
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    right = np.diag(np.diag(share))
    wrong = np.sqrt(share - right)  # so that a few per cent can be told from none
    cells(axes, right * 0.55, COOL, gap=0.06)
    cells(axes, wrong, WARM, gap=0.06)
    for i, j in np.argwhere(table):
        strong = i != j and wrong[i, j] > 0.6
        color = PAPER if strong else INK if i == j or wrong[i, j] > 0.2 else MUTED
        axes.text(j + 0.5, i + 0.5, count(table[i, j]), ha="center", va="center", color=color, fontsize=10)
    for i, accuracy in enumerate(answers.per_class):
        axes.text(k + 0.15, i + 0.5, percent(accuracy, 1), va="center", color=MUTED, fontsize=10)
    axes.text(k + 0.15, -0.25, "accuracy", va="bottom", color=MUTED, fontsize=10)
    axes.set_yticks(np.arange(k) + 0.5, names)
    axes.set_xticks(np.arange(k) + 0.5, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.spines["bottom"].set_visible(False)
    most = "; ".join(
        f"{label(facts.classes[p.truth])} predicted as {label(facts.classes[p.answer])} {p.times} times of {p.of}"
        for p in answers.pairs[:5]
    )
    words = (
        f"Confusion matrix of {count(answers.test.images)} test images in {k} classes, one row per true class,"
        f" one column per predicted class; {percent(answers.test.top1)} lie on the diagonal. Most frequent mistakes:"
        f" {most or 'none'}."
    )
    return finish(figure, "confusion", "Confusion matrix", words)


def class_bars(facts: RunFacts, answers: Answers) -> Plot:
    """The accuracy of every class, sorted; only the ends are named."""
    order = answers.hardest
    values = [100 * answers.per_class[i] for i in order]
    figure, axes = panel(900, 260, right=20, bottom=16)
    axes.bar(range(len(values)), values, width=0.8, color=COOL, alpha=0.75)
    mean = 100 * answers.test.top1
    axes.axhline(mean, color=INK, linewidth=1, linestyle=(0, (3, 3)))
    axes.text(0, mean + 1.5, f"all classes: {decimal(mean)} %", fontsize=10)
    axes.set(xlim=(-0.8, len(values) - 0.2), ylim=(0, 108), xticks=[])
    percents(axes.yaxis)
    ends = [(0, "left"), (len(values) - 1, "right")]
    for i, side in ends:
        text = f"{label(facts.classes[order[i]])} {decimal(values[i], 1)} %"
        at = -0.4 if side == "left" else i + 0.4
        axes.text(at, -3, text, ha=side, va="top", color=INK, fontsize=10)
    hardest, easiest = (
        [f"{label(facts.classes[i])} {percent(answers.per_class[i], 1)}" for i in part]
        for part in (order[:3], order[:-4:-1])
    )
    words = (
        f"Accuracy of {len(values)} classes, from the hardest ({', '.join(hardest)}) to the easiest"
        f" ({', '.join(easiest)}); the median is {decimal(float(np.median(values)))} %."
    )
    return finish(figure, "classes", "Accuracy by class, sorted", words)


def reliability(answers: Answers) -> Plot:
    """How often answers of a confidence are right; on the diagonal, as often as they promise."""
    bins = [b for b in answers.calibration.bins if b.images]
    most = max(b.images for b in bins)
    figure, axes = panel(*PANEL, left=52, top=30, x="confidence of the answers", y="are right")
    axes.plot((0, 100), (0, 100), color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for b in bins:
        x, y = 100 * b.confidence, 100 * b.accuracy
        axes.plot((x, x), (x, y), color=WARM, linewidth=2, alpha=0.7)
        axes.scatter(x, y, s=14 + 110 * b.images / most, color=COOL, zorder=3, linewidths=0)
    axes.set(xlim=(0, 102), ylim=(0, 104))
    percents(axes.xaxis)
    percents(axes.yaxis)
    low, top = bins[0], bins[-1]
    words = (
        f"Reliability diagram in {len(answers.calibration.bins)} bins; expected calibration error"
        f" {percent(answers.calibration.ece)}. Mean confidence {percent(answers.calibration.confidence)}, accuracy"
        f" {percent(answers.test.top1)}. Of {count(top.images)} answers with a confidence above"
        f" {percent(top.low, 0)}, {percent(top.accuracy, 1)} are right; of {count(low.images)} with at most"
        f" {percent(low.high, 0)}, {percent(low.accuracy, 1)}."
    )
    return finish(figure, "reliability", "Confidence and accuracy", words)


def confidences(answers: Answers) -> Plot:
    """How many answers have which confidence, right and wrong ones."""
    bins, n = answers.calibration.bins, answers.test.images
    right = [100 * b.images * b.accuracy / n if b.images else 0.0 for b in bins]
    wrong = [100 * b.images * (1 - b.accuracy) / n if b.images else 0.0 for b in bins]
    figure, axes = panel(*PANEL, left=52, top=30, x="confidence of the answers", y="of all answers")
    at, width = [50 * (b.low + b.high) for b in bins], 100 / len(bins) - 1
    axes.bar(at, right, width=width, color=COOL, alpha=0.75)
    axes.bar(at, wrong, width=width, bottom=right, color=WARM)
    axes.set(xlim=(0, 102))
    percents(axes.xaxis)
    percents(axes.yaxis)
    for x, text, color in ((0, "right", COOL), (0.14, "wrong", WARM)):
        axes.text(x, 1.07, text, color=color, transform=axes.transAxes, fontweight="bold")
    words = (
        f"Histogram of confidence: {percent(bins[-1].images / n, 1)} of the answers have one above"
        f" {percent(bins[-1].low, 0)}, and {decimal(wrong[-1], 2)} % of all answers are among them and wrong."
    )
    return finish(figure, "confidences", "How sure the answers are", words)


def _column(facts: RunFacts, key: str) -> list[float]:
    return [float("nan") if line[key] is None else float(line[key]) for line in facts.metrics]
