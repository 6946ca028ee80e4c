"""`minise compare`: runs side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import PATH, json_option
from minise_cli.render.console import print_json

from minise.runs.run import Run, best_epoch
from minise.train.config import TrainConfig


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=PATH, metavar="RUN...")
@json_option("One JSON object a run, one a line.")
def command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show run folders side by side: what came out, and in which options they differ.

    \b
    minise compare runs/relu runs/felu
    minise compare runs/claim/runs/*
    """
    opened = [Run.open(path) for path in runs]
    rows = [as_object(run) for run in opened]
    if as_json:
        print_json(*rows)
        return
    from minise_cli.render.compare import draw_comparison

    draw_comparison(rows, differing_options([run.config for run in opened]))


def differing_options(configs: list[TrainConfig]) -> list[str]:
    """The options that are not the same for all."""
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    return [name for name in names if len({getattr(config, name) for config in configs}) > 1]


def as_object(run: Run) -> dict[str, Any]:
    """A run's options and results; best: of its held-out images, for comparison only."""
    lines = run.metrics()
    last = lines[-1] if lines else {}
    best = best_epoch(lines)
    result = run.info.get("result", {})
    return {
        "run": run.path,
        "state": run.state,
        "config": vars(run.config),
        "epochs": len(lines),
        "train_loss": last.get("train_loss"),
        "train_acc": last.get("train_acc"),
        "val_acc": last.get("val_acc"),
        "best_val_acc": best.get("val_acc"),
        "best_epoch": best.get("epoch"),
        "test_acc": result.get("test_acc"),
        "test_loss": result.get("test_loss"),
        "seconds": sum(line["seconds"] for line in lines),
        "losses": [line["train_loss"] for line in lines],
    }
