"""`minise evaluate`: a run's model on its test set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import PATH, json_option
from minise_cli.options import train_option
from minise_cli.render.console import Waiting, print_json, unofficial, warn

from minise._util.plugins import plugin_words, plugins_here
from minise.runs.reopen import Opened, Tested, evaluate_run


@click.command("evaluate")
@click.argument("run", type=PATH)
@train_option("data_dir", "Where the files are.", "where the run found them, else as in training")
@train_option("limit_test", "Take only the first N test images.", "as many as the run")
@train_option("device", "auto takes the GPU where there is one.")
@train_option("threads", "How many cores to use.")
@json_option()
def command(run: Path, as_json: bool, **options: Any) -> None:
    """Test the model in the run folder RUN on the test images: in all, by class, what is taken for what.

    A run that was interrupted has a model, too.
    """
    with Waiting(f"testing {run}") as waiting:
        tested = evaluate_run(run, progress=waiting, **options)
    warn(*doubts(tested))
    if as_json:
        print_json(as_object(tested))
        return
    from minise_cli.render.evaluation import draw_evaluation

    config = tested.run.config
    act = f", {config.act}" if config.act else ""
    title = f"{tested.run.path}: {config.model}{act}, tested on {config.dataset} ({tested.dataset.source})"
    draw_evaluation(title, tested.test, tested.dataset.classes)


def doubts(tested: Opened) -> list[str]:
    """What a reader should know before taking the figures for the run's result."""
    run, dataset = tested.run, tested.dataset
    found = []
    if run.state != "done":
        epochs = len(run.metrics())
        found.append(f"{run.path}: the run {run.state_words}, after {epochs} of {run.config.epochs} epochs")
    if run.plugins != plugins_here():
        found.append(
            f"{run.path}: made with the plugins {plugin_words(run.plugins)}, here are {plugin_words(plugins_here())}"
        )
    if tested.same_data:
        return found + unofficial(dataset)
    return [*found, f"{dataset.name}: {dataset.source} is not the data of the run (another checksum)"]


def as_object(tested: Tested) -> dict[str, Any]:
    """The figures, for JSON."""
    test, classes = tested.test, tested.dataset.classes
    return {
        "event": "evaluation",
        "run": tested.run.path,
        "state": tested.run.state,
        **vars(test),
        "images": test.images,
        "per_class": dict(zip(classes, test.per_class, strict=True)),
        "classes": classes,
    }
