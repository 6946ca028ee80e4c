"""What the microscope sees, drawn with Rich."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minise_cli.render.console import console
from minise_cli.render.format import count, histogram, number
from minise_cli.render.tables import Column, figure, show

from minise.analysis.dying_chain import BIASES, INPUT, RATE, STEPS, TARGET, WEIGHTS, Chain, ChainCase
from minise.runs.reopen import Inspected


def mean(values: Sequence[float]) -> float:
    """NaN where there are none."""
    return sum(values) / len(values) if values else math.nan


BLOCKS = (
    Column("block", lambda b: b.block, least=12),
    figure("channels", lambda b: b.channels, 6),
    figure("width", lambda b: b.hidden, 1),
    figure("silent", lambda b: b.silent, 5),
    figure(
        "dead",
        lambda b: (str(b.dead), "bold red" if b.dead == b.hidden else "red" if b.dead else "green"),
    ),
    figure("active", lambda b: f"{100 * mean(b.active):.0f} %", 2),
    figure("slope", lambda b: number(mean(b.slope), ".3f"), 8),
    figure("alpha", lambda b: number(mean(b.alpha), ".3f"), 4),
    figure("gate", lambda b: number(mean(b.gate_mean), ".2f"), 3),
    figure("collapsed", lambda b: (str(b.collapsed), "red" if b.collapsed else ""), 7),
    figure("images", lambda b: f"{1e3 * b.between_images:.2f}", 9),
    figure("classes", lambda b: f"{1e3 * b.between_classes:.2f}", 10),
    Column("gates 0 … 1", lambda b: histogram(b.histogram), 11),
)
LEGEND = {
    "width": "units of the bottleneck",
    "silent": "units active on no image",
    "dead": "silent units without gradient",
    "active": "share of the images, mean over the units",
    "slope": "mean |act'| over images and units",
    "gate": "mean",
    "collapsed": "channels whose gate is the same for all images",
    "images": "the gates' variance over the images, in thousandths",
    "classes": "the gates' variance between classes, in thousandths",
}
LEGEND_WIDTH = 112
HISTORY, MOST_EPOCHS = "dead by epoch", 12
"""The heading of the history, which shows the first epoch, the last and some between."""


def draw_blocks(inspected: Inspected, recorded: Sequence[dict[str, Any]]) -> None:
    """A row for each SE block, and, where it was recorded, how dead units and alpha went."""
    out = console()
    config, blocks = inspected.run.config, inspected.blocks
    images = f"{count(blocks[0].images)} test images of {config.dataset}"
    title = f"{inspected.run.path}: {config.model}, {config.act}, looked at on {images}"
    out.print(title, style="dim", markup=False)
    shown = show(out, BLOCKS, blocks)
    words = "; ".join(f"{name}: {meaning}" for name, meaning in LEGEND.items() if name in shown)
    out.print(f"\n{words}", style="dim", width=LEGEND_WIDTH)
    if recorded:
        out.print()
        draw_history(recorded)


def draw_history(recorded: Sequence[dict[str, Any]]) -> None:
    """Dead units of every block by epoch, as recorded with `--microscope`; alpha's first and last value."""
    out = console()
    names = [f"{block['block']} of {block['hidden']}" for block in recorded[-1]["blocks"]]
    digits = len(str(recorded[-1]["epoch"]))
    room = out.width - max(len(HISTORY), *map(len, names)) - len("  0.00 → 0.00")
    most = min(len(recorded), MOST_EPOCHS, max(2, room // (digits + 2)))
    shown = [recorded[round(i * (len(recorded) - 1) / max(1, most - 1))] for i in range(most)]

    def epoch(line: dict[str, Any]) -> Column:
        dead = [view["dead"] for view in line["blocks"]]
        return figure(str(line["epoch"]), lambda block: (str(dead[block]), "red" if dead[block] else "dim"))

    def alpha(block: int) -> str | None:
        first, last = (mean(recorded[i]["blocks"][block]["alpha"]) for i in (0, -1))
        return None if math.isnan(last) else f"{first:.2f} → {last:.2f}"

    columns = (
        Column(HISTORY, names.__getitem__, least=12),
        *map(epoch, shown),
        figure("alpha", alpha, 1),
    )
    show(out, columns, range(len(names)))


def _signed(value: float) -> tuple[str, str]:
    return f"{value:+.4f}", "red" if value == 0 else ""


NEURONS = (
    Column("neuron", lambda row: row[0]),
    figure("z", lambda row: _signed(row[1]), 2),
    figure("a", lambda row: _signed(row[2]), 4),
    figure("act'(z)", lambda row: _signed(row[3]), 1),
    figure("dC/db", lambda row: _signed(row[4])),
    figure("by the tape", lambda row: _signed(row[5]), 3),
)


def draw_chains(chains: Sequence[Chain]) -> None:
    """The chain of four neurons with each activation: forward, slopes, and what reaches each bias."""
    out = console()
    out.print("[b]Four neurons in a row[/b]   a0 → a1 → a2 → a3 → a4,  C = (a4 - target)² / 2")
    out.print(
        f"z_i = w_i a_(i-1) + b_i,  a_i = act(z_i);  w = {WEIGHTS}, b = {BIASES}, a0 = {INPUT:g}, target {TARGET:g}"
    )
    out.print("dC/db1 = act'(z1) · w2 act'(z2) · w3 act'(z3) · w4 act'(z4) · (a4 - target)\n")
    for chain in chains:
        dead = f"   [red]neuron {chain.dead[0]} is dead: nothing before it learns[/]" if chain.dead else ""
        out.print(f"[b]{chain.act}[/b]   C = {chain.cost:.4f}{dead}")
        numbers = zip(chain.z, chain.a, chain.slopes, chain.db, chain.tape, strict=True)
        show(out, NEURONS, [(i, *values) for i, values in enumerate(numbers, start=1)])
        out.print()


def draw_chain_cases(costs: Mapping[ChainCase, Mapping[str, tuple[float, float]]]) -> None:
    """What training came to with ReLU and with FeLU, where the paper is right and where it is not."""
    out = console()
    out.print(f"[b]Trained[/b]   {STEPS} steps of {RATE:g}, weights and biases; all others as above")
    for case, found in costs.items():
        ends = ", ".join(f"{act} {before:.4f} → {after:.4f}" for act, (before, after) in found.items())
        out.print(f"[b]{case.name}[/b]   C: {ends}")
        out.print(case.words, style="dim")
