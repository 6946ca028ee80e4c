"""The part of a study's page on dead units: where they are, whether they matter, and a case worked out."""

from __future__ import annotations

import math
from functools import partial

from minise.analysis.dying_chain import BIASES, INPUT, TARGET, WEIGHTS
from minise.report import figures_gates as gates
from minise.report import figures_study as figures
from minise.report.document import Block, Cell, Fold, Plots, Section, Words, table
from minise.report.facts_study import StudyFacts
from minise.report.figures_chain import chain_picture
from minise.report.words import PRIME, RHO, block_name, decimal, percent, short


def dead_units(facts: StudyFacts) -> Section | None:
    """Dead units and alpha by block and epoch, and whether dead units go with accuracy."""
    blocks: list[Block] = []
    for i, (d, m) in enumerate(facts.groups):
        seen = [h for h in facts.histories if (h.dataset, h.model) == (d, m)]
        draw = []
        for h in seen:
            if h.blocks is not None:
                draw.append(
                    partial(gates.dead_by_epoch, h.blocks, f"dead-{i}-{h.arm}", f"{h.arm}: dead units")
                )
        for h in seen:
            if h.blocks is not None and h.blocks.has_alpha:
                title = f"{h.arm}: alpha"
                draw.append(partial(gates.by_block, h.blocks, h.blocks.alpha, f"alpha-{i}-{h.arm}", title))
        if draw:
            blocks.append(Plots(tuple(draw), title=f"{d}, {m}"))
    if not blocks:
        return None
    lead = (
        "The reason given for the claim: units of ReLU die in narrow bottlenecks, those of FeLU do not. Here are the"
        " shares of hidden units that no image looked at lets a gradient through, mean over the seeds, by block and"
        " epoch; and alpha, where an activation learns one."
    )
    return Section("dead", "Dead units", lead, (*blocks, every_block(facts), *correlation(facts)))


def every_block(facts: StudyFacts) -> Fold:
    """What the last column of each plot says."""
    columns = ("data set", "model", "arm", "block", "dead units", "alpha", "variance of the gates")
    rows = [
        [
            h.dataset,
            h.model,
            h.arm,
            block_name(block),
            percent(dead[-1], 1),
            short(alpha[-1]),
            short(variance[-1]),
        ]
        for h in facts.histories
        if (seen := h.blocks) is not None
        for block, dead, alpha, variance in zip(
            seen.blocks, seen.dead, seen.alpha, seen.variance, strict=True
        )
    ]
    return Fold("Every block after the last epoch", table=table("", columns, rows, right=columns[4:]))


def correlation(facts: StudyFacts) -> list[Block]:
    """Whether dead units go with accuracy, over all runs."""
    if sum(r.dead_share is not None and r.test_acc is not None for r in facts.runs) < 3:
        return []
    rho = facts.verdict.dead_correlation
    words = (
        f"Spearman's rank correlation of the share of dead units with accuracy, within the arms: {RHO} ="
        f" {decimal(rho)}. It would show that they go together, not that one comes of the other."
        if math.isfinite(rho)
        else "No correlation can be had: the runs are all alike in their dead units or in their accuracy."
    )
    scatter = partial(figures.dead_and_accuracy, facts, "scatter")
    return [Words(words), Plots((scatter,), "half", legend=figures.legend(facts))]


def worked_case(facts: StudyFacts) -> Section:
    """The chain of four neurons."""
    weights, biases = (", ".join(decimal(value, 1) for value in values) for values in (WEIGHTS, BIASES))
    lead = (
        "Why a dead unit matters: four neurons in a row. The gradient of a bias is a product of the slopes behind it,"
        " so one slope of 0 stops all that lies before it. In the circles are the slopes of the neurons, below them"
        f" the gradients of their biases. Input {INPUT:g}, target {TARGET:g}, weights {weights}, biases {biases};"
        " alpha is 1 at its start, where FeLU is ELU."
    )
    rows: list[list[str | Cell]] = [
        [
            chain.act,
            str(i + 1),
            *(decimal(values[i], 4) for values in (chain.z, chain.a, chain.slopes)),
            Cell(decimal(chain.db[i], 4), tone="" if chain.db[i] else "bad"),
            decimal(chain.tape[i], 4),
        ]
        for chain in facts.chains
        for i in range(len(chain.z))
    ]
    columns = ("act", "neuron", "z", "a", f"act{PRIME}(z)", "∂C/∂b by the product", "by the tape")
    plots = tuple(partial(chain_picture, chain, f"chain-{chain.act}") for chain in facts.chains)
    fold = Fold("The chain in figures", table=table("", columns, rows, right=columns[1:]))
    return Section("chain", "A chain of four neurons", lead, (Plots(plots), fold))
