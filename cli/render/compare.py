"""What `minise compare` shows: runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minise_cli.render.console import console
from minise_cli.render.format import clock, number, percent, sparkline
from minise_cli.render.tables import Column, figure, show
from rich.text import Text


def draw_comparison(runs: Sequence[dict[str, Any]], options: Sequence[str]) -> None:
    """A row for each run; the options in which they differ come first."""
    first = runs[0]["test_acc"]

    def gain(run: dict[str, Any]) -> str | None:
        known = run["test_acc"] is not None and first is not None
        return f"{100 * (run['test_acc'] - first):+.2f}" if known else None

    columns = (
        Column("run", lambda run: str(run["run"]), least=12),
        *(
            Column(name, lambda run, name=name: run["config"][name], 1, least=12)
            for name in options
            if name != "epochs"  # has a column of its own
        ),
        figure("epochs", epochs_words, 4),
        figure("train", lambda run: percent(run["train_acc"]), 6),
        figure("val", lambda run: percent(run["val_acc"]), 5),
        figure("best val", lambda run: percent(run["best_val_acc"]), 3),
        figure("test", lambda run: Text(percent(run["test_acc"]), "bold")),
        figure("to first", gain, 2),
        figure("test loss", lambda run: number(run["test_loss"], ".4f"), 7),
        figure("time", lambda run: clock(run["seconds"]), 8),
        Column("training loss", lambda run: sparkline(run["losses"], 16), 9),
    )
    show(console(), columns, runs)


def epochs_words(run: dict[str, Any]) -> str:
    """How many epochs a run has, and where it is not done, of how many and why."""
    done, planned = run["epochs"], run["config"]["epochs"]
    return str(done) if run["state"] == "done" else f"{done} of {planned} {run['state']}"
