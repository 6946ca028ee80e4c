"""The part of a run's page that looks into its SE blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from minise.models import MODELS
from minise.report import figures_gates as gates
from minise.report.document import Block, Cell, Plots, Section, Table, Words, table
from minise.report.facts_run import RunFacts
from minise.report.history import History
from minise.report.theme import Plot
from minise.report.words import NONE, PRIME, block_name, count, short

LEAD = (
    "Each SE block squeezes its channels into a few hidden units and computes a gate for each channel from them. A"
    " unit is silent if it is active on none of the images, and dead if no gradient passes it either; a gate is"
    " collapsed if it is the same for all of them."
)
NOTE = (
    f"hidden: the effective width of the bottleneck; slope: the mean of |act{PRIME}| over units and images; gate,"
    " deviation: mean and standard deviation over the images, mean over the channels; variance: of a gate over the"
    " images, and the part of it that is between the classes."
)


def microscope(facts: RunFacts) -> Section | None:
    """What the SE blocks do now, and did over the training; None for a model without any."""
    if not MODELS[facts.config["model"]].has_se:
        return None
    blocks: list[Block] = []
    if facts.blocks:
        histograms = (partial(gates.gate_histogram, b, f"gates-{i}") for i, b in enumerate(facts.blocks))
        blocks += [block_table(facts), Plots(tuple(histograms), "small", "Gates, from 0 to 1")]
    if "microscope" in facts.gaps:
        why = f"The gates of each class are not shown: {facts.gaps['microscope']}."
        blocks.append(Words(why, "note"))
    elif facts.blocks:
        blocks.append(class_gates(facts))
    if facts.history is not None:
        n = count(facts.config["microscope"])
        words = f"While it learnt, on {n} training images after every epoch"
        blocks.append(Plots(over_epochs(facts.history), title=words))
    return Section("microscope", "Under the microscope", LEAD, tuple(blocks))


def block_table(facts: RunFacts) -> Table:
    """A row for each SE block."""
    first = facts.blocks[0]
    columns = (
        *("block", "channels", "hidden", "silent", "dead", "slope", "gate", "deviation"),
        *("collapsed", "variance", "between classes", "alpha"),
    )
    rows: list[list[str | Cell]] = [
        [
            block_name(b["block"]),
            str(b["channels"]),
            str(b["hidden"]),
            str(b["silent"]),
            Cell(str(b["dead"]), tone="bad" if b["dead"] else ""),
            short(_mean(b["slope"])),
            short(_mean(b.get("gate_mean", ()))),
            short(_mean(b.get("gate_std", ()))),
            Cell(str(b["collapsed"]), tone="bad" if b["collapsed"] else ""),
            short(b["between_images"]),
            short(b["between_classes"]),
            _range(b["alpha"]),
        ]
        for b in facts.blocks
    ]
    n = count(first["images"])
    where = f"{n} training images" if "microscope" in facts.gaps else f"the first {n} test images"
    return table(
        f"SE blocks with {first['act']}", columns, rows, right=columns[1:], note=f"On {where}. {NOTE}"
    )


def class_gates(facts: RunFacts) -> Plots:
    """A heat map for each block, on one scale."""
    low, high = gates.gate_range(facts.blocks)
    wide = max(block["channels"] for block in facts.blocks) > gates.NARROW
    maps = (
        partial(gates.class_gates, block, facts.classes, f"map-{i}", low=low, high=high, wide=wide)
        for i, block in enumerate(facts.blocks)
    )
    title = "Mean gate of each class in each channel: what differs within a column, the gate can tell apart"
    return Plots(tuple(maps), "wide" if wide else "third", title)


def over_epochs(history: History) -> tuple[partial[Plot], ...]:
    """Dead units, alpha where the activation has one, and variance."""
    draw = [partial(gates.dead_by_epoch, history, "dead", "Dead units")]
    if history.has_alpha:
        draw.append(partial(gates.by_block, history, history.alpha, "alpha", "Alpha"))
    draw.append(partial(gates.by_block, history, history.variance, "variance", "Variance of the gates"))
    return tuple(draw)


def _range(values: Sequence[float]) -> str:
    """One number, or from the lowest to the highest."""
    return " to ".join(dict.fromkeys((short(min(values)), short(max(values))))) if values else NONE


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
