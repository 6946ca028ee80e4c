"""Going on with a run: only as it was begun, on the same data, with the same plugins."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from minise._util.files import alone
from minise.data import Dataset
from minise.errors import ConfigError, RunError
from minise.nn import Module
from minise.optim.optimizers import Optimizer
from minise.runs.provenance import origin_here
from minise.runs.run import Run
from minise.train.config import TrainConfig, differing


def reopened(config: TrainConfig, path: Path, held: ExitStack) -> Run:
    """The run to go on with, which is then held. Raises ConfigError unless `config` is the one it was begun with."""
    _unfinished(path)
    held.enter_context(alone(path))
    run = _unfinished(path)  # as whoever held it left it
    refuse([n for n in differing(config, run.config) if getattr(config, n) is not None], config, run)
    return run


def refuse(changed: list[str], config: TrainConfig, run: Run) -> None:
    """Raise ConfigError for the first of the options that are not as the run was begun, if there are any."""
    for name in changed:
        raise ConfigError(
            f"{name}: found {getattr(config, name)!r}, expected {getattr(run.config, name)!r} as {run.path} was begun"
        )


def go_on(run: Run, dataset: Dataset, model: Module, optimizer: Optimizer, here: dict[str, Any]) -> int:
    """Put the model and the optimizer where the run left them; returns the epochs that are done.

    here: what computes now, see `provenance.machine`; another than before is only recorded. Raises RunError for other
    data or plugins than it was begun with.
    """
    # By the name that the run has for its data, whatever a plugin's loader calls them.
    ours = replace(origin_here(dataset), dataset=run.origin.dataset)
    if unlike := run.origin.unlike(ours):
        raise RunError(f"run: {run.path} {unlike[0]}, found {unlike[1]}")
    resumed = run.info.get("resumed_with", [])
    if here not in [{name: run.info.get(name) for name in here}, *resumed]:
        run.info["resumed_with"] = [*resumed, here]
    start = run.load_resume(model, optimizer) if run.can_resume() else 0
    run.keep_lines(start)
    run.update(state="running", reason="", final=False)
    return start


def _unfinished(path: Path) -> Run:
    """The run in that folder, or RunError if it is done."""
    run = Run.open(path)
    if run.info["state"] == "done":
        raise RunError(f"run: {path} is done, there is nothing to resume")
    return run
