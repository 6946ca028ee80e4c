"""What `minise compare` shows: runs side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minise_cli.render.draw import console
from minise_cli.render.format import clock, percent, sparkline
from minise_cli.render.tables import Column, figure, show
from rich.text import Text


def draw_comparison(runs: Sequence[dict[str, Any]], options: Sequence[str]) -> None:
    """A row for each run; the options in which they differ come first."""
    options = [name for name in options if name != "epochs"]  # has a column of its own
    columns = (
        Column("run", least=12),
        *(Column(name, 1, least=12) for name in options),
        figure("epochs", 4),
        figure("train", 6),
        figure("val", 5),
        figure("best val", 3),
        figure("test"),
        figure("to first", 2),
        figure("test loss", 7),
        figure("time", 8),
        Column("training loss", 9),
    )
    first = runs[0]["test_acc"]
    rows = []
    for run in runs:
        config, test = run["config"], run["test_acc"]
        gain = f"{100 * (test - first):+.2f}" if test is not None and first is not None else "-"
        row = (
            run["run"],
            *("-" if config[name] is None else str(config[name]) for name in options),
            epochs_words(run),
            *(_share(run[key]) for key in ("train_acc", "val_acc", "best_val_acc")),
            Text(_share(test), "bold"),
            gain,
            "-" if run["test_loss"] is None else f"{run['test_loss']:.4f}",
            clock(run["seconds"]),
            sparkline(run["losses"], 16),
        )
        rows.append(row)
    show(console(), columns, rows)


def epochs_words(run: dict[str, Any]) -> str:
    """How many epochs a run has, and where it is not done, of how many and why."""
    done, planned = run["epochs"], run["config"]["epochs"]
    return str(done) if run["state"] == "done" else f"{done} of {planned} {run['state']}"


def _share(value: float | None) -> str:
    return percent(math.nan if value is None else value)
