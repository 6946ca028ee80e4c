"""What a run is on disk: a folder that holds all that is needed to evaluate it anywhere, or to go on with it.

    config.toml           the options, readable by `minise train --config`
    run.json              state, provenance (versions, command, data checksum, hardware) and the final result
    metrics.jsonl         a line of JSON for each epoch
    microscope.jsonl      where it was asked for, a line for each epoch: what every SE block did
    model.safetensors     the weights and running statistics, of the last epoch or of an interruption
    resume.safetensors    those after the last whole epoch with the optimiser's state; gone when the run is done
    test.safetensors      when it is done, the logits (n, k) of the test images and their labels (n,)
    .lock                 while a process works on it

Files are replaced whole: a full disk or a power cut leaves the version before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy
from msgspec import Struct

from minise._util.decode import Count, Whole, decoded, json_lines
from minise._util.files import check_new, in_use, make_folder, write_atomically
from minise.analysis.microscope import BlockSummary
from minise.backend import Array
from minise.data import DATASETS
from minise.errors import ConfigError, RunError, ShapeError
from minise.models import build
from minise.nn import Module
from minise.optim.optimizers import Optimizer
from minise.runs.provenance import Origin
from minise.train.config import TrainConfig, config_from_dict, read_toml
from minise.train.loop import EpochDone

FORMAT = "minise-run-1"
CONFIG, METRICS, MICROSCOPE = "config.toml", "metrics.jsonl", "microscope.jsonl"
STATES = {
    "running": "is still running",
    "stopped": "stopped without a word (--resume goes on with it)",
    "interrupted": "was interrupted",
    "failed": "failed",
}
"""What became of a run that is not done, in words, by its state."""


class DataRecord(Struct):
    """What run.json says of the data."""

    checksum: str = ""
    official: bool | None = None
    classes: list[str] = []


class RunRecord(Struct):
    """What run.json must say for a run to be evaluated or resumed, and the type of what it may say besides."""

    state: str
    data: DataRecord
    result: dict[str, float] = {}
    versions: dict[str, Any] = {}
    hardware: dict[str, Any] = {}
    plugins: dict[str, str] = {}
    resumed_with: list[dict[str, Any]] = []


class ResumeRecord(Struct):
    """What resume.safetensors says of its arrays."""

    epoch: Count
    steps: Whole


class EpochBlocks(Struct):
    """A line of MICROSCOPE."""

    epoch: Count
    blocks: list[BlockSummary]


LINES: dict[str, type] = {METRICS: EpochDone, MICROSCOPE: EpochBlocks}


def best_epoch(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The line of METRICS that is best on the held-out images; {} where nothing was held out."""
    validated = [line for line in lines if line["val_acc"] is not None]
    return max(validated, key=lambda line: line["val_acc"], default={})


class Run:
    """A run folder. Use `Run.create` or `Run.open`."""

    def __init__(self, path: Path, config: TrainConfig, info: dict[str, Any]) -> None:
        self.path, self.config, self.info = path, config, info

    @classmethod
    def create(cls, path: str | Path, config: TrainConfig, info: dict[str, Any]) -> Run:
        """Start a run in a folder that does not exist yet or is empty; RunError otherwise."""
        check_new(path)
        path = make_folder(path)
        run = cls(path, config, {"format": FORMAT, "state": "running", **info})
        try:
            write_atomically(path / CONFIG, config.to_toml().encode())
            run.update()  # from now on it is a run
        except BaseException:
            (path / CONFIG).unlink(missing_ok=True)
            raise
        return run

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read a run folder; RunError if it is none."""
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"run: {path} is not a folder, expected one that `minise train` made")
        info = _read_info(path / "run.json")
        try:
            config = config_from_dict(read_toml(path / CONFIG), where=str(path / CONFIG))
        except ConfigError as error:
            flags = "".join(f" --plugin {name}" for name in info.get("plugins", ()))
            made = f" (it was made with `minise{flags}`)" if flags else ""
            raise RunError(f"run: {path}: {error}{made}") from error
        return cls(path, config, info)

    @property
    def state(self) -> str:
        """What run.json says; "stopped" where that is "running" and no process works on it any more."""
        state: str = self.info["state"]
        return "stopped" if state == "running" and not in_use(self.path) else state

    @property
    def state_words(self) -> str:
        """The state, as what is said of the run."""
        return STATES.get(self.state, f"is {self.state}")

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that it tells apart."""
        return tuple(self.info["data"].get("classes") or DATASETS[self.config.dataset].classes)

    @property
    def plugins(self) -> dict[str, str]:
        """What it was made with: file name -> SHA-256."""
        return dict(self.info.get("plugins", {}))

    @property
    def origin(self) -> Origin:
        """Its data and plugins, as far as they are recorded."""
        return Origin(self.config.dataset, self.info["data"].get("checksum", ""), self.plugins)

    @property
    def data_dir(self) -> str | None:
        """Where its data were, None if that is gone or closed to this user."""
        path = self.config.data_dir or ""
        needed = os.R_OK | (os.X_OK if os.path.isdir(path) else 0)
        return path if os.access(path, needed) else None

    def update(self, **info: Any) -> None:
        """Add to run.json."""
        self.info |= info
        write_atomically(self.path / "run.json", (json.dumps(self.info, indent=1) + "\n").encode())

    def append(self, name: str, line: dict[str, Any]) -> None:
        """Add a line to METRICS or MICROSCOPE, and make sure that it is on the disk."""
        path = self.path / name
        before = path.stat().st_size if path.exists() else 0
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if path.exists():
                os.truncate(path, before)
            raise RunError(f"run: cannot write {path}: {error.strerror}") from error

    def lines(self, name: str) -> list[dict[str, Any]]:
        """The lines of METRICS or MICROSCOPE so far, one for each epoch."""
        return msgspec.to_builtins(json_lines(self.path / name, LINES[name], "run"))

    def metrics(self) -> list[dict[str, Any]]:
        """What `EpochDone` says, for each epoch so far."""
        return self.lines(METRICS)

    def keep_lines(self, epochs: int) -> None:
        """Drop the lines after `epochs`, which a resumed run is about to write again."""
        for name in (METRICS, MICROSCOPE):
            kept = [json.dumps(line) + "\n" for line in self.lines(name) if line["epoch"] <= epochs]
            if kept or (self.path / name).exists():
                write_atomically(self.path / name, "".join(kept).encode())

    def save_model(self, model: Module, *, epoch: int, whole: bool = True) -> None:
        """Write model.safetensors, after the whole epoch `epoch` (counted from 1) or in the midst of it."""
        self._write("model.safetensors", model.state_dict(), {"epoch": epoch, "whole": whole})

    def load_model(self, classes: int) -> Module:
        """The model, built as configured and with the saved weights; RunError where they do not fit."""
        model = build(self.config.model, classes=classes, **self.config.model_options())
        state, _ = self._read("model.safetensors")
        with _fitting(self.path / "model.safetensors"):
            model.load_state_dict(state)
        return model

    def save_resume(self, model: Module, optimizer: Optimizer, epoch: int) -> None:
        """Write resume.safetensors after the whole epoch `epoch` (counted from 1)."""
        state = {f"model/{name}": a for name, a in model.state_dict().items()}
        state |= {f"optimizer/{name}": a for name, a in optimizer.state_dict().items()}
        self._write("resume.safetensors", state, {"epoch": epoch, "steps": optimizer.steps})

    def save_test(self, logits: Array, labels: Array) -> None:
        """Write test.safetensors: logits float32 (n, k) and labels (n,) of the test images, in their order."""
        content: dict[str, Array] = {"logits": logits.astype(np.float32), "labels": labels.astype(np.int64)}
        self._write("test.safetensors", content, {})

    def load_test(self) -> tuple[Array, Array]:
        """What `save_test` wrote; RunError where it is missing or is something else."""
        state, _ = self._read("test.safetensors")
        logits, labels = state.get("logits"), state.get("labels")
        if logits is None or labels is None or logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise RunError(
                f"run: {self.path / 'test.safetensors'} holds"
                f" {', '.join(f'{name} {a.shape}' for name, a in state.items()) or 'nothing'},"
                " expected logits (n, k) and labels (n,)"
            )
        return logits, labels

    def can_resume(self) -> bool:
        """Whether a whole epoch was saved; a run that stopped before starts again at its first."""
        return (self.path / "resume.safetensors").exists()

    def load_resume(self, model: Module, optimizer: Optimizer) -> int:
        """Put the model and the optimiser where resume.safetensors left them; returns the epochs done."""
        state, metadata = self._read("resume.safetensors")
        parts: dict[str, dict[str, Array]] = {"model": {}, "optimizer": {}}
        for name, a in state.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = a
        path = self.path / "resume.safetensors"
        record = decoded(ResumeRecord, metadata, f"run: {path}", RunError)
        with _fitting(path):
            model.load_state_dict(parts["model"])
            optimizer.load_state_dict(parts["optimizer"], record.steps)
        return record.epoch

    def finish(self, **info: Any) -> None:
        """Mark the run as done and drop what only a resumption needs."""
        self.update(state="done", **info)
        (self.path / "resume.safetensors").unlink(missing_ok=True)

    def _write(self, name: str, state: dict[str, Array], about: dict[str, Any]) -> None:
        """About goes into one entry: safetensors orders several anew each time, and equal runs are equal files."""
        metadata = {"minise": json.dumps({"format": FORMAT, **about})}
        write_atomically(self.path / name, safetensors.numpy.save(state, metadata))

    def _read(self, name: str) -> tuple[dict[str, Array], dict[str, Any]]:
        path = self.path / name
        if not path.is_file():
            raise RunError(f"run: {path} is missing; the run's state is {self.info.get('state')!r}")
        try:
            with safetensors.safe_open(path, framework="numpy") as file:
                state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return state, json.loads((file.metadata() or {}).get("minise", "{}"))
        except (AttributeError, TypeError) as error:
            raise RunError(f"run: {path} holds numbers of a type that NumPy lacks ({error})") from error
        except (OSError, safetensors.SafetensorError, ValueError, RecursionError) as error:
            raise RunError(f"run: {path} is not a readable safetensors file ({error})") from error


def _read_info(path: Path) -> dict[str, Any]:
    """What run.json says, whole. Raises RunError."""
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        runs = sorted(path.parent.glob("runs/*/run.json"))
        hint = f"; it holds runs, such as {runs[0].parent}" if runs else ""
        raise RunError(f"run: {path.parent} has no readable run.json: {error.strerror}{hint}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"run: {path} is not JSON ({error})") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise RunError(f"run: {path} is not of the format {FORMAT}")
    record = decoded(RunRecord, info, f"run: {path}", RunError)
    if record.state == "done" and "test_acc" not in record.result:
        raise RunError(f"run: {path} is done and has no result, expected test_acc")
    return info


@contextmanager
def _fitting(path: Path) -> Iterator[None]:
    """For reading arrays of a file into a model: RunError where they do not fit it."""
    try:
        yield
    except ShapeError as error:
        raise RunError(f"run: {path} does not fit its configuration: {error}") from error
