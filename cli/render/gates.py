"""What the microscope sees, drawn with Rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minise_cli.render.draw import console
from minise_cli.render.format import count, histogram
from minise_cli.render.tables import Column, figure, show
from rich.text import Text

from minise.analysis.dying_chain import BIASES, INPUT, TARGET, WEIGHTS, Chain
from minise.analysis.microscope import BlockView
from minise.runs.reopen import Inspected


def draw_blocks(inspected: Inspected, recorded: Sequence[dict[str, Any]]) -> None:
    """A row for each SE block, and, where it was recorded, how dead units and alpha went."""
    out = console()
    config, blocks = inspected.run.config, inspected.blocks
    out.print(
        Text(
            f"{inspected.run.path}: {config.model}, {config.act}, looked at on {count(blocks[0].images)} test images"
            f" of {config.dataset}",
            "dim",
        )
    )
    rows = [(b.block, *block_cells(b), histogram(b.histogram)) for b in blocks]
    shown = show(out, BLOCKS, rows)
    words = "; ".join(f"{name}: {meaning}" for name, meaning in LEGEND.items() if name in shown)
    out.print(Text(f"\n{words}", "dim"), width=LEGEND_WIDTH)
    if recorded:
        out.print()
        draw_history(recorded)


BLOCKS = (
    Column("block", least=12),
    figure("channels", 6),
    figure("width", 1),
    figure("silent", 5),
    figure("dead"),
    figure("active", 2),
    figure("slope", 8),
    figure("alpha", 4),
    figure("gate", 3),
    figure("collapsed", 7),
    figure("images", 9),
    figure("classes", 10),
    Column("gates 0 … 1", 11),
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


def block_cells(b: BlockView) -> list[str | Text]:
    """The numbers of a block."""
    mean = sum(b.active) / len(b.active)
    slope = sum(b.slope) / len(b.slope)
    alpha = "-" if not b.alpha else f"{sum(b.alpha) / len(b.alpha):.3f}"
    return [
        str(b.channels),
        str(b.hidden),
        str(b.silent),
        Text(str(b.dead), "bold red" if b.dead == b.hidden else "red" if b.dead else "green"),
        f"{100 * mean:.0f} %",
        f"{slope:.3f}",
        alpha,
        f"{sum(b.gate_mean) / len(b.gate_mean):.2f}",
        Text(str(b.collapsed), "red" if b.collapsed else ""),
        f"{1e3 * b.between_images:.2f}",
        f"{1e3 * b.between_classes:.2f}",
    ]


def draw_history(recorded: Sequence[dict[str, Any]]) -> None:
    """Dead units of every block by epoch, as recorded with `--microscope`; alpha's first and last value."""
    out = console()
    names = [f"{block['block']} of {block['hidden']}" for block in recorded[-1]["blocks"]]
    digits = len(str(recorded[-1]["epoch"]))
    room = out.width - max(len(HISTORY), *map(len, names)) - len("  0.00 → 0.00")
    most = min(len(recorded), MOST_EPOCHS, max(2, room // (digits + 2)))
    shown = [recorded[round(i * (len(recorded) - 1) / max(1, most - 1))] for i in range(most)]
    columns = (
        Column(HISTORY, least=12),
        *(figure(str(line["epoch"])) for line in shown),
        figure("alpha", 1),
    )
    rows = []
    for k, name in enumerate(names):
        first, last = (recorded[i]["blocks"][k]["alpha"] for i in (0, -1))
        alpha = f"{sum(first) / len(first):.2f} → {sum(last) / len(last):.2f}" if last else "-"
        dead = [line["blocks"][k]["dead"] for line in shown]
        rows.append((name, *(Text(str(n), "red" if n else "dim") for n in dead), alpha))
    show(out, columns, rows)


NEURONS = (
    Column("neuron"),
    figure("z", 2),
    figure("a", 4),
    figure("act'(z)", 1),
    figure("dC/db"),
    figure("by the tape", 3),
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
        rows = [
            (str(i), *(Text(f"{v:+.4f}", "red" if v == 0 else "") for v in values))
            for i, values in enumerate(numbers, start=1)
        ]
        show(out, NEURONS, rows)
        out.print()
