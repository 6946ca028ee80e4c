"""A run that is there, finished or not: its model on its test images, tested again or looked into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minise.analysis.microscope import BlockView, look
from minise.backend import resolve_device
from minise.data import Dataset
from minise.kernels.threads import set_threads
from minise.nn import Module
from minise.runs.job import Progress, evaluation_batches, load_dataset
from minise.runs.run import Run
from minise.train.loop import Batch, evaluate
from minise.train.metrics import Evaluation

LOOKED_AT = 1000
"""How many test images the microscope is given where nothing is said."""


@dataclass(frozen=True)
class Opened:
    """A run with its model and its data set. same_data: whether that is the data of the training, as far as known."""

    run: Run
    model: Module
    dataset: Dataset
    same_data: bool
    device: str

    @property
    def test_batches(self) -> Iterator[Batch]:
        """The test images in order."""
        return evaluation_batches(self.dataset, self.dataset.test).epoch(0)


@dataclass(frozen=True)
class Tested(Opened):
    """An opened run, and its model's score on the test set."""

    test: Evaluation


@dataclass(frozen=True)
class Inspected(Opened):
    """An opened run, and what its SE blocks do on the first test images."""

    blocks: list[BlockView]


def open_run(
    path: str | Path,
    *,
    data_dir: str | None = None,
    limit_test: int | None = None,
    at_most: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Opened:
    """The run folder `path` with its model on the device, and the test images of its configuration.

    data_dir: where they are now; by default where they were, or, if that is gone, wherever `load` finds
    them. limit_test: by default the run's own; at_most: how many where neither says. Raises ConfigError,
    DataError or RunError.
    """
    run = Run.open(path)
    device = resolve_device(device)
    set_threads(threads)
    config = replace(
        run.config,
        data_dir=data_dir or run.data_dir,
        limit_train=1,
        limit_test=run.config.limit_test if limit_test is None else limit_test,
    )
    dataset = load_dataset(config, progress=progress, at_most=at_most)
    model = run.load_model(len(dataset.classes)).to(device=device)
    recorded = run.info.get("data", {}).get("checksum")
    generated = dataset.official is None  # has but one content
    return Opened(run, model, dataset, generated or recorded in (None, dataset.checksum), device)


def evaluate_run(path: str | Path, **options: Any) -> Tested:
    """Test the run's model with the views it was configured for; options and errors as for `open_run`."""
    opened = open_run(path, **options)
    test = evaluate(opened.model, opened.test_batches, tta=opened.run.config.tta, device=opened.device)
    return Tested(**vars(opened), test=test)


def inspect_run(path: str | Path, **options: Any) -> Inspected:
    """Look into the SE blocks of the run's model on LOOKED_AT test images or fewer; else as `open_run`."""
    opened = open_run(path, at_most=LOOKED_AT, **options)
    classes = len(opened.dataset.classes)
    test = opened.dataset.test if options.get("limit_test") else opened.dataset.test.take(LOOKED_AT)
    blocks = look(
        opened.model, evaluation_batches(opened.dataset, test).epoch(0), classes=classes, device=opened.device
    )
    return Inspected(**vars(opened), blocks=blocks)
