"""`minise inspect`: what the SE blocks of a run do, and the chain of four neurons behind the paper's argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import PATH, json_option, number
from minise_cli.commands.evaluate import doubts
from minise_cli.options import train_option
from minise_cli.render.console import Waiting, print_json, warn
from minise_cli.render.gates import draw_blocks, draw_chain_cases, draw_chains

from minise.analysis.dying_chain import CHAIN_CASES, case_costs, run_chain
from minise.errors import ConfigError
from minise.ops import ACTIVATIONS
from minise.runs.reopen import inspect_run
from minise.runs.run import MICROSCOPE

SHOWN = ("relu", "felu", "elu", "leaky_relu")


@click.command("inspect")
@click.argument("run", required=False, type=PATH)
@click.option(
    "--chain", is_flag=True, help="Without RUN: the paper's chain of four neurons, with its numbers."
)
@number(
    "--images",
    "limit_test",
    words="Look on the first N test images.",
    show_default="1000, or as many as there are",
)
@train_option("data_dir", "Where the files are.", "where the run found them, else as in training")
@train_option("device", "auto takes the GPU where there is one.")
@train_option("threads", "How many cores to use.")
@json_option("One JSON object a block, or an activation, one a line.")
def command(run: Path | None, chain: bool, as_json: bool, **options: Any) -> None:
    """Look into the SE blocks of the run folder RUN: dead units, gates, and how they came about.

    \b
    minise inspect runs/first
    minise inspect --chain
    """
    if (run is None) != chain:
        raise click.UsageError("expected either RUN or --chain")
    if run is not None:
        show_run(run, as_json, options)
        return
    chains = [run_chain(act) for act in SHOWN if act in ACTIVATIONS]
    costs = {case: case_costs(case) for case in CHAIN_CASES}
    if as_json:
        trained = {
            act: {case.name: found[act] for case, found in costs.items() if act in found} for act in SHOWN
        }
        print_json(*(vars(c) | {"dead": c.dead, "costs_in_training": trained[c.act]} for c in chains))
    else:
        draw_chains(chains)
        draw_chain_cases(costs)


def show_run(path: Path, as_json: bool, options: dict[str, Any]) -> None:
    """The blocks of a run, now and over its training."""
    with Waiting(f"looking into {path}") as waiting:
        inspected = inspect_run(path, progress=waiting, **options)
    warn(*doubts(inspected))
    if not inspected.blocks:
        raise ConfigError(
            f"inspect: {path} is a {inspected.run.config.model}, which has no SE blocks, expected a run with some"
        )
    if as_json:
        print_json(*inspected.blocks)
    else:
        draw_blocks(inspected, inspected.run.lines(MICROSCOPE))
