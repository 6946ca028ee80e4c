"""`minise compare`: runs side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import PATH, json_option
from minise_cli.render.console import console, print_json
from minise_cli.render.format import clock, number, percent, sparkline
from minise_cli.render.tables import Column, figure, show

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
    else:
        options = differing_options([run.config for run in opened])
        show(console(), columns(options, rows[0]["test_acc"]), rows)


def columns(options: list[str], first: float | None) -> list[Column]:
    """What is shown of each run; options in which they differ come first. first: the accuracy to compare with."""

    def gain(run: dict[str, Any]) -> str | None:
        known = run["test_acc"] is not None and first is not None
        return f"{100 * (run['test_acc'] - first):+.2f}" if known else None

    def option(name: str) -> Column:
        return Column(name, lambda run: run["config"][name], 1, least=12)

    return [
        Column("run", lambda run: str(run["run"]), least=12),
        *(option(name) for name in options if name != "epochs"),  # which has a column of its own
        figure("epochs", epochs_words, 4),
        figure("train", lambda run: percent(run["train_acc"]), 6),
        figure("val", lambda run: percent(run["val_acc"]), 5),
        figure("best val", lambda run: percent(run["best_val_acc"]), 3),
        figure("test", lambda run: (percent(run["test_acc"]), "bold")),
        figure("to first", gain, 2),
        figure("test loss", lambda run: number(run["test_loss"], ".4f"), 7),
        figure("time", lambda run: clock(run["seconds"]), 8),
        Column("training loss", lambda run: sparkline(run["losses"], 16), 9),
    ]


def epochs_words(run: dict[str, Any]) -> str:
    """How many epochs a run has, and where it is not done, of how many and why."""
    done, planned = run["epochs"], run["config"]["epochs"]
    return str(done) if run["state"] == "done" else f"{done} of {planned} {run['state']}"


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
