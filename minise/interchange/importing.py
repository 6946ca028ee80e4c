"""Weights that were trained elsewhere, as a run folder: tested, so that it is done, and with their origin noted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minise._util.files import LOCK, check_new
from minise.backend import resolve_device, usable_backend
from minise.data import Dataset
from minise.errors import RunError
from minise.interchange.match import fit
from minise.interchange.names import NAMES
from minise.interchange.read import read_weights
from minise.interchange.renormalise import NORMALISED, renormalise
from minise.interchange.weights import WeightsError
from minise.kernels.threads import set_threads
from minise.runs.job import Progress, evaluation_batches, load_dataset, result_of
from minise.runs.provenance import provenance
from minise.runs.run import Run
from minise.train.config import TrainConfig
from minise.train.loop import predict
from minise.train.metrics import Evaluation, score

ASKED = ("model", "dataset", "act", "trunk_act")


@dataclass(frozen=True)
class Imported:
    """What came of it. names: the way of naming that was found, a row of NAMES; dataset: what it was tested on.

    unheeded: how the code of these names normalises images, a row of NORMALISED, if nobody said so; else "".
    """

    run: Path
    config: TrainConfig
    names: str
    sha256: str
    dataset: Dataset
    test: Evaluation
    unheeded: str


def import_run(
    file: str | Path,
    path: str | Path,
    *,
    names: str = "auto",
    normalised: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Imported:
    """Make the run folder `path` from the weights in `file`, tested on its data set once, as a training is.

    names: see `fit`. normalised: a row of NORMALISED, what images were normalised by where the weights were trained;
    None: as they are here. options: those of a `TrainConfig` in ASKED, where its data are and how it computes. What
    was never known, such as epochs, has its default; run.json says under "imported" where the weights come from.
    The folder is there whole or not at all. Raises ConfigError, DataError, RunError or WeightsError.
    """
    check_new(path)
    asked = {name: options.pop(name, None) for name in ASKED}
    weights = read_weights(file)
    fitted = fit(weights, names=names, **asked)
    config = TrainConfig(**fitted.options, **options)
    device, threads = resolve_device(config.device), set_threads(config.threads)
    dataset = load_dataset(replace(config, limit_train=1), progress=progress)
    if normalised is not None:
        renormalise(fitted.model, NORMALISED[normalised], dataset.mean, dataset.std)
    batches = evaluation_batches(dataset, dataset.test).epoch(0)
    logits, labels = predict(fitted.model.to(device=device), batches, tta=config.tta, device=device)
    if not np.isfinite(logits).all():
        raise WeightsError(f"{file}: the model answers with numbers that are infinite or none")
    test = score(logits, labels)
    backend = usable_backend(device).name
    info = provenance(dataset, device, backend, threads)
    info["imported"] = {
        "file": Path(file).name,
        "sha256": weights.sha256,
        "format": weights.format,
        "names": fitted.names,
        "normalised": normalised,
    }
    with whole(Path(path)) as folder:
        run = Run.create(folder, config, info)
        run.save_model(fitted.model, epoch=0)
        run.save_test(logits, labels)
        run.finish(result=result_of(test), train_seconds=0.0)
    unheeded = NAMES[fitted.names].normalised if normalised is None else ""
    return Imported(Path(path), config, fitted.names, weights.sha256, dataset, test, unheeded)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `path` if the block ends well, and is gone if not. Raises RunError."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}.") as around:
            folder = Path(around) / path.name
            yield folder
            (path / LOCK).unlink(missing_ok=True)  # of a process that was killed
            os.replace(folder, path)
    except OSError as error:
        raise RunError(f"run: cannot make the folder {path}: {error.strerror}") from error
