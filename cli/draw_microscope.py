"""What the microscope sees, drawn with Rich."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from minise.chain import BIASES, INPUT, TARGET, WEIGHTS, Chain
from minise.microscope import BlockView
from minise.revisit import Inspected

from .draw import console, table
from .words import count, histogram


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
    columns = (
        "channels",
        "width",
        "silent",
        "dead",
        "active",
        "slope",
        "alpha",
        "gate",
        "collapsed",
        "images",
        "classes",
    )
    rows = table("block", *columns, "gates 0 … 1", right=columns)
    for b in blocks:
        rows.add_row(b.block, *block_cells(b), histogram(b.histogram))
    out.print(rows)
    out.print(f"\n[dim]{LEGEND}[/]")
    if recorded:
        out.print()
        draw_history(recorded)


LEGEND = """\
width: units of the bottleneck; silent: of them, active on no image; dead: silent and without gradient;
active: share of the images, slope: mean |act'|, both means over the units; gate: mean; collapsed: channels whose
gate is the same for all images; images, classes: the gates' variance over the images, and that between classes,
in thousandths"""


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
    epochs = [line["epoch"] for line in recorded]
    shown = (
        sorted({round(i * (len(epochs) - 1) / 11) for i in range(12)})
        if len(epochs) > 12
        else range(len(epochs))
    )
    names = [str(epochs[i]) for i in shown]
    rows = table("dead by epoch", *names, "alpha", right=(*names, "alpha"))
    for k, block in enumerate(recorded[-1]["blocks"]):
        dead = [recorded[i]["blocks"][k]["dead"] for i in shown]
        first, last = recorded[0]["blocks"][k]["alpha"], block["alpha"]
        alpha = f"{sum(first) / len(first):.2f} → {sum(last) / len(last):.2f}" if last else "-"
        cells = [Text(str(n), "red" if n else "dim") for n in dead]
        rows.add_row(f"{block['block']} of {block['hidden']}", *cells, alpha)
    out.print(rows)


def draw_chains(chains: Sequence[Chain]) -> None:
    """The chain of four neurons with each activation: forward, slopes, and what reaches each bias."""
    out = console()
    out.print("[b]Four neurons in a row[/b]   a0 → a1 → a2 → a3 → a4,  C = (a4 - target)² / 2")
    out.print(
        f"z_i = w_i a_(i-1) + b_i,  a_i = act(z_i);  w = {WEIGHTS}, b = {BIASES}, a0 = {INPUT:g}, target {TARGET:g}"
    )
    out.print("dC/db1 = act'(z1) · w2 act'(z2) · w3 act'(z3) · w4 act'(z4) · (a4 - target)\n")
    columns = ("z", "a", "act'(z)", "dC/db", "by the tape")
    for chain in chains:
        dead = f"   [red]neuron {chain.dead[0]} is dead: nothing before it learns[/]" if chain.dead else ""
        out.print(f"[b]{chain.act}[/b]   C = {chain.cost:.4f}{dead}")
        rows = table("neuron", *columns, right=columns)
        for i, values in enumerate(
            zip(chain.z, chain.a, chain.slopes, chain.db, chain.tape, strict=True), start=1
        ):
            rows.add_row(str(i), *(Text(f"{v:+.4f}", "red" if v == 0 else "") for v in values))
        out.print(rows)
        out.print()
