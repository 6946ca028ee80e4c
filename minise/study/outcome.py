"""A study on disk, and what has come of its runs so far.

study.toml        the study, readable by `minise claim --config`
runs/NAME/        a run folder for each training: DATASET-MODEL-ARM-sSEED
looks.jsonl       the looks at its verdict, see `interim.py`
report.html       what `minise claim` makes of it in the end

What has come of it is read from the runs each time: nothing is kept twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minise._util.files import LOCK, make_folder, write_atomically
from minise.data import Dataset
from minise.errors import ConfigError, RunError
from minise.runs.provenance import Origin, origin_here
from minise.runs.run import CONFIG, MICROSCOPE, Run, best_epoch
from minise.study.plan import PlannedRun, StudyConfig, study_from_dict
from minise.train.config import differing, read_toml

STUDY_FILE = "study.toml"
INTERRUPTED = 130
"""With what the process of a run ends when it was asked to stop."""
UNBEGUN = {CONFIG, LOCK}
"""What a run's folder may hold before the run has begun, if its process was killed."""
CHOSEN = ("act", "reduction", "lr", "val_size")
"""Options for which None stands for the choice that a run makes for itself."""


@dataclass(frozen=True)
class Outcome:
    """What came of a planned run.

    state: "done", "failed" (recorded as such, with the reason), "open" (begun, to be gone on with) or "planned".
    test_acc: of the last epoch, a fraction, None unless done. val_acc: of the last epoch; best_val_acc and
    best_epoch: of the epoch that was best on the held-out images, for comparison only. epochs: how many are whole.
    seconds: of training. microscope: what the SE blocks did after the last epoch, as `BlockView.summary` says.
    checksum: of the data, "" where that is unknown. plugins: what the run was made with, None before it is begun.
    """

    planned: PlannedRun
    path: Path
    state: str = "planned"
    reason: str = ""
    epochs: int = 0
    test_acc: float | None = None
    val_acc: float | None = None
    best_val_acc: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    microscope: tuple[dict[str, Any], ...] = ()
    checksum: str = ""
    plugins: dict[str, str] | None = None

    @property
    def origin(self) -> Origin | None:
        """What it was made from, None before it is begun; of data that are unknown it names none."""
        if self.plugins is None:
            return None
        return Origin(self.planned.dataset if self.checksum else "", self.checksum, self.plugins)

    @property
    def dead_share(self) -> float | None:
        """The share of all excitation units that are dead, see `BlockView`."""
        hidden = sum(block["hidden"] for block in self.microscope)
        return sum(block["dead"] for block in self.microscope) / hidden if hidden else None


def outcome_of(planned: PlannedRun, folder: Path) -> Outcome:
    """What came of a planned run of the study in `folder`. Raises ConfigError where that is another one."""
    path = folder / "runs" / planned.name
    nothing = Outcome(planned, path)
    if not path.exists() or {p.name for p in path.iterdir()} <= UNBEGUN:
        return nothing
    run = Run.open(path)
    _same_training(run, planned)
    lines = run.metrics()
    views = run.lines(MICROSCOPE)
    ended = run.info["state"] == "done" or (run.info["state"] == "failed" and run.info.get("final"))
    state = run.info["state"] if ended else "open"
    best = best_epoch(lines)
    return Outcome(
        planned,
        path,
        state,
        reason=str(run.info.get("reason", "")) if state == "failed" else "",
        epochs=len(lines),
        test_acc=run.info["result"]["test_acc"] if state == "done" else None,
        val_acc=lines[-1]["val_acc"] if lines else None,
        best_val_acc=best.get("val_acc"),
        best_epoch=best.get("epoch"),
        seconds=sum(line["seconds"] for line in lines),
        microscope=tuple(views[-1]["blocks"]) if views else (),
        checksum=run.info["data"].get("checksum", ""),
        plugins=run.plugins,
    )


@dataclass(frozen=True)
class Study:
    """A study folder as it stands."""

    folder: Path
    config: StudyConfig
    outcomes: tuple[Outcome, ...]

    def __post_init__(self) -> None:
        """Raise ConfigError unless all runs were made with one code, and those of a data set on the same data."""
        firsts: dict[str, Outcome] = {}
        for o in self.outcomes:
            if o.origin is None:
                continue
            for first in (next(iter(firsts.values()), o), firsts.setdefault(o.origin.dataset, o)):
                if first.origin and (unlike := o.origin.unlike(first.origin)):
                    raise ConfigError(
                        f"study: {o.path} {unlike[0]}, expected {unlike[1]} as {first.path};"
                        " move one of them away"
                    )

    def check(self, dataset: Dataset) -> None:
        """Raise RunError unless the plugins here and the data set are those of the runs so far."""
        for o in self.outcomes:
            if o.origin and (unlike := o.origin.unlike(origin_here(dataset))):
                raise RunError(f"study: {o.path} {unlike[0]}, found {unlike[1]} ({dataset.source})")

    def write(self) -> None:
        """Make the folder, or extend the study that is in it. Raises RunError where that is not possible."""
        if not is_study(self.folder) or read_study(self.folder) != self.config:
            make_folder(self.folder)
            write_atomically(self.folder / STUDY_FILE, self.config.to_toml().encode())

    def of(self, dataset: str, model: str, arm: str) -> list[Outcome]:
        """The outcomes of an arm, in the order of the seeds."""
        return [o for o in self.outcomes if o.planned.group == (dataset, model, arm)]

    def todo(self, *, retry: bool = False) -> list[Outcome]:
        """What is left to do; retry: with the runs that failed."""
        states = ("planned", "open", "failed") if retry else ("planned", "open")
        return [o for o in self.outcomes if o.state in states]


def is_study(folder: str | Path) -> bool:
    """Whether the folder holds a study."""
    return (Path(folder) / STUDY_FILE).is_file()


def read_study(folder: Path) -> StudyConfig:
    """The study that the folder holds. Raises ConfigError or RunError."""
    if not is_study(folder):
        raise RunError(f"study: {folder} has no {STUDY_FILE}, expected a folder that `minise claim` made")
    path = folder / STUDY_FILE
    try:
        return study_from_dict(read_toml(path), where=str(path))
    except ConfigError as error:
        if str(path) in str(error):
            raise
        raise ConfigError(f"{path}: {error} (or it needs `minise --plugin`)") from error


def open_study(folder: str | Path, **machine: Any) -> Study:
    """A study folder as it stands. machine: as for `StudyConfig.runs`. Raises ConfigError or RunError."""
    return planned_study(folder, None, **machine)


def planned_study(folder: str | Path, config: StudyConfig | None, **machine: Any) -> Study:
    """The study in the folder, extended by `config`, or a new one; nothing is written.

    Raises ConfigError where it differs from `config` in more than what was added, RunError where the folder holds
    something else.
    """
    folder = Path(folder)
    if config is None or is_study(folder):
        begun = read_study(folder)
        config = begun.extended(config) if config else begun
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"study: {folder} exists and holds no study, expected a new folder or one of a study")
    return Study(folder, config, tuple(outcome_of(planned, folder) for planned in config.runs(**machine)))


def _same_training(run: Run, planned: PlannedRun) -> None:
    """Raise ConfigError unless the run is what was planned."""
    own = (n for n in CHOSEN if getattr(planned.config, n) is None)
    names = sorted(set(differing(run.config, planned.config)) - set(own))
    if names:
        found, meant = getattr(run.config, names[0]), getattr(planned.config, names[0])
        raise ConfigError(
            f"study: {run.path} was trained with {names[0]} = {found!r}, expected {meant!r}; move it away"
        )
