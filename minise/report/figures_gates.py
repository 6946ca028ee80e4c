"""The plots of SE blocks: their gates, and what becomes of their units over a training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minise.analysis.microscope import BINS
from minise.report.filters import block_name, count, decimal, label, short
from minise.report.history import History, Rows
from minise.report.theme import (
    COOL,
    INK,
    MUTED,
    WARM,
    Plot,
    cells,
    finish,
    label_ends,
    panel,
    points,
    scale,
    whole_epochs,
)

SMALL = (210, 116)
MOST_NAMED = 20
"""Up to so many classes have their names beside a heat map."""
NARROW = 64
"""Up to so many channels three heat maps stand in a row."""


def gate_histogram(block: dict[str, Any], name: str) -> Plot:
    """How the gates of a block are spread over 0 to 1, all channels and images."""
    counts = np.array(block["histogram"], float)
    share = counts / max(counts.sum(), 1)
    figure, axes = panel(*SMALL, left=6, right=6, top=8, bottom=22)
    axes.bar((np.arange(BINS) + 0.5) / BINS, share, width=0.9 / BINS, color=COOL, alpha=0.8)
    axes.set(xlim=(0, 1), ylim=(0, max(share.max() * 1.05, 1e-9)), yticks=[], xticks=[0, 0.5, 1])
    axes.set_xticklabels(["0", "0.5", "1"])
    axes.grid(False)
    top = int(share.argmax())
    title = block_name(block["block"])
    words = (
        f"Gates of block {title}, {count(int(counts.sum()))} of them: {decimal(100 * share[top], 0)} % lie between"
        f" {top / BINS:.2f} and {(top + 1) / BINS:.2f}, {decimal(100 * share[: BINS // 2].sum(), 0)} % below 0.5."
    )
    return finish(figure, name, title, words)


def gate_range(blocks: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """From the lowest to the highest mean gate of a class, rounded outwards to twentieths."""
    means = np.concatenate([np.ravel(block["class_gates"]) for block in blocks])
    return float(np.floor(np.nanmin(means) * 20) / 20), float(np.ceil(np.nanmax(means) * 20) / 20)


def class_gates(
    block: dict[str, Any], classes: Sequence[str], name: str, *, low: float, high: float, wide: bool
) -> Plot:
    """The mean gate of every class and channel, the channels sorted by theirs."""
    means = np.array(block["class_gates"], float)
    means = means[:, np.argsort(np.array(block["gate_mean"]), kind="stable")]
    k, c = means.shape
    named = k <= MOST_NAMED
    names = [label(x, 14) for x in classes]
    left = 14 + 6.2 * max(map(len, names)) if named else 26
    figure, axes = panel(
        left + (800 if wide else 230), 44 + k * (13 if named else 3), left=left, right=8, top=22, bottom=22
    )
    cells(axes, means, COOL, low=low, high=high)
    axes.set_yticks(np.arange(k) + 0.5 if named else [], names if named else [], fontsize=10)
    first, last = axes.set_xticks([0, c], ["lowest", "highest"], fontsize=10)
    first.label1.set_horizontalalignment("left")
    last.label1.set_horizontalalignment("right")
    axes.set_ylabel("" if named else f"{k} classes")
    axes.set_xlabel(f"{c} channels by mean gate", labelpad=-10, fontsize=10)
    axes.spines["bottom"].set_visible(False)
    scale(figure, COOL, f"{low:.2f}", f"{high:.2f}", right=8)
    between = np.nanmax(means, axis=0) - np.nanmin(means, axis=0)
    title = block_name(block["block"])
    words = (
        f"Mean gate of {k} classes in the {c} channels of block {title}: from {np.nanmin(means):.2f} to"
        f" {np.nanmax(means):.2f}. Between classes a channel's gate differs by {between.max():.3f} at most,"
        f" {np.median(between):.3f} in the median channel."
    )
    return finish(figure, name, title, words)


def dead_by_epoch(history: History, name: str, title: str) -> Plot:
    """The share of dead units, a row for each block, a column for each epoch."""
    share = np.array(history.dead)
    rows, epochs = share.shape
    height = 16 if rows <= 20 else 8
    names = [block_name(block) for block in history.blocks]
    left = 14 + 6.2 * max(map(len, names))
    figure, axes = panel(350, 62 + rows * height, left=left, right=8, top=24, bottom=38, x="epoch")
    cells(axes, share, WARM, gap=0.08 if rows * epochs <= 600 else 0)
    shown = range(rows) if rows <= 20 else (0, rows - 1)
    axes.set_yticks([i + 0.5 for i in shown], [names[i] for i in shown], fontsize=10)
    every = max(1, -(-epochs // 8))
    ticks = range(0, epochs, every)
    axes.set_xticks([i + 0.5 for i in ticks], [str(history.epochs[i]) for i in ticks])
    scale(figure, WARM, "0 %", "100 %", right=4)
    worst = np.unravel_index(share.argmax(), share.shape)
    whole = f"mean over the blocks {decimal(100 * share[:, -1].mean(), 1)} % after the last epoch"
    most = (
        f"the most is {decimal(100 * share.max(), 0)} % in {names[worst[0]]} after epoch {history.epochs[worst[1]]}"
        if share.max() > 0
        else "there are none in any block at any epoch"
    )
    return finish(figure, name, title, f"Dead units by block and epoch: {whole}; {most}.")


def by_block(history: History, rows: Rows, name: str, title: str) -> Plot:
    """A line for each block over the epochs, the deeper the fainter; the first and the last are named."""
    values = np.array(rows)
    figure, axes = panel(350, 230, left=52, right=76, x="epoch")
    n = len(values)
    mark = points(history.epochs)
    for i, row in enumerate(values):
        alpha = 1 - 0.7 * i / max(n - 1, 1)
        axes.plot(history.epochs, row, color=COOL, alpha=alpha, marker=mark, markersize=4, clip_on=False)
    whole_epochs(axes, history.epochs)
    axes.margins(y=0.1)
    shown = [i for i in dict.fromkeys((0, n - 1)) if np.isfinite(values[i, -1])]
    label_ends(
        axes,
        [
            (history.epochs[-1], values[i, -1], block_name(history.blocks[i]), INK if i == 0 else MUTED)
            for i in shown
        ],
    )
    ends = values[:, -1]
    words = (
        f"{title}, {n} blocks over {len(history.epochs)} epochs: after the first from"
        f" {short(np.nanmin(values[:, 0]))} to {short(np.nanmax(values[:, 0]))}, after the last from"
        f" {short(np.nanmin(ends))} to {short(np.nanmax(ends))}."
    )
    return finish(figure, name, title, words)
