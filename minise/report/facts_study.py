"""All that a report says about a study, as data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minise.analysis.dying_chain import Chain, run_chain
from minise.errors import ConfigError
from minise.report.history import History, history, mean_history
from minise.report.origin import origin
from minise.runs.run import MICROSCOPE, Run
from minise.study.interim import Look, earlier_looks
from minise.study.outcome import Outcome, Study, open_study
from minise.study.plan import ArmSize, sizes, unequal
from minise.study.verdict import ArmResult, Comparison, Verdict, judge

WORKED = ("relu", "felu", "elu")
"""The activations that the chain of four neurons is worked out for."""
ORIGIN = ("command", "versions", "plugins", "data", "hardware", "resumed_with")
"""What run.json says of where a run comes from."""


@dataclass(frozen=True)
class RunRow:
    """A planned run and what came of it; see `Outcome`."""

    name: str
    dataset: str
    model: str
    arm: str
    seed: int
    state: str
    reason: str
    epochs: int
    test_acc: float | None
    val_acc: float | None
    best_val_acc: float | None
    best_epoch: int | None
    dead_share: float | None
    seconds: float


@dataclass(frozen=True)
class Band:
    """A figure over the epochs: mean, lowest and highest of the runs."""

    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ArmHistory:
    """How the n finished runs of an arm went. curves: "train_loss" and, with held-out images, "val_acc" (fractions).

    blocks: what their SE blocks did, mean over the runs; None without a microscope or SE blocks.
    """

    dataset: str
    model: str
    arm: str
    n: int
    epochs: tuple[int, ...]
    curves: dict[str, Band]
    blocks: History | None

    def last(self, key: str) -> tuple[float | None, float | None, float | None]:
        """Mean, lowest and highest after the last epoch, None where the curve is missing."""
        band = self.curves.get(key)
        return (band.mean[-1], band.low[-1], band.high[-1]) if band else (None, None, None)


@dataclass(frozen=True)
class StudyFacts:
    """Of a study: its plan, the verdict and what it rests on.

    looks: at the verdict, before, see `earlier_looks`. sizes: of every arm's model; empty where arms differ by more
    than the study allows, as parity_gap then says. unequal: how arms are trained otherwise than the claim's.
    infos: run.json of the first run of each that differ in ORIGIN. unofficial: data sets of which a run had other
    files than the official ones.
    """

    path: str
    config: dict[str, Any]
    toml: str
    verdict: Verdict
    looks: tuple[Look, ...]
    sizes: tuple[ArmSize, ...]
    parity_gap: str
    unequal: dict[str, dict[str, tuple[Any, Any]]]
    runs: tuple[RunRow, ...]
    histories: tuple[ArmHistory, ...]
    chains: tuple[Chain, ...]
    infos: tuple[dict[str, Any], ...]
    unofficial: tuple[str, ...]

    @property
    def groups(self) -> list[tuple[str, str]]:
        """(data set, model), in the order of the study."""
        return [(d, m) for d in self.config["datasets"] for m in self.config["models"]]

    @property
    def arms(self) -> list[str]:
        return list(self.config["arms"])

    @property
    def claimed(self) -> dict[str, float]:
        """Data set of the study -> the gain that is claimed there, in points."""
        return {name: x for name, x in self.config["effect"].items() if name in self.config["datasets"]}

    @property
    def watched(self) -> list[tuple[RunRow, float, float]]:
        """The runs of which both are known, with their share of dead units and their test accuracy."""
        return [
            (r, r.dead_share, r.test_acc)
            for r in self.runs
            if r.dead_share is not None and r.test_acc is not None
        ]

    @property
    def origin(self) -> list[tuple[str, str]]:
        """Where the results come from, as rows of words."""
        return origin(self.path, *self.infos)

    def in_state(self, state: str) -> list[RunRow]:
        return [run for run in self.runs if run.state == state]

    def size_of(self, arm: ArmResult) -> ArmSize | None:
        """What the model of an arm costs, None where `sizes` is empty."""
        key = (arm.dataset, arm.model, arm.arm)
        return next((s for s in self.sizes if (s.dataset, s.model, s.arm) == key), None)


Row = TypeVar("Row", RunRow, ArmHistory, ArmResult, Comparison)


def within(rows: Iterable[Row], group: tuple[str, str]) -> list[Row]:
    """Those rows that are of the data set and model of the group."""
    return [row for row in rows if (row.dataset, row.model) == group]


def study_facts(path: str | Path) -> StudyFacts:
    """Gather them. Raises ConfigError, also where SciPy is missing, or RunError."""
    study = open_study(path)
    verdict = judge(study)
    begun = [(o.planned.dataset, Run.open(o.path).info) for o in study.outcomes if o.state != "planned"]
    infos: dict[str, dict[str, Any]] = {}
    for _, info in begun:
        infos.setdefault(repr([info.get(name) for name in ORIGIN]), info)
    arm_sizes, gap = _sizes(study)
    return StudyFacts(
        str(path),
        asdict(study.config),
        study.config.to_toml(),
        verdict,
        earlier_looks(study, verdict),
        arm_sizes,
        gap,
        unequal(study.config),
        tuple(row_of(outcome) for outcome in study.outcomes),
        tuple(
            arm_history(study, dataset, model, arm)
            for dataset in study.config.datasets
            for model in study.config.models
            for arm in study.config.arms
        ),
        tuple(run_chain(act) for act in WORKED),
        tuple(infos.values()),
        tuple(dict.fromkeys(name for name, info in begun if info["data"].get("official") is False)),
    )


def row_of(outcome: Outcome) -> RunRow:
    """The run as a row."""
    planned = ("name", "dataset", "model", "arm", "seed")
    return RunRow(
        **{f.name: getattr(outcome.planned if f.name in planned else outcome, f.name) for f in fields(RunRow)}
    )


def arm_history(study: Study, dataset: str, model: str, arm: str) -> ArmHistory:
    """What the finished runs of an arm recorded, epoch by epoch."""
    runs = [Run.open(o.path) for o in study.of(dataset, model, arm) if o.state == "done"]
    lines = [run.metrics() for run in runs]
    epochs = min((len(rows) for rows in lines), default=0)
    lines = [rows[:epochs] for rows in lines]
    curves = {}
    for key in ("train_loss", "val_acc"):
        values = [[line[key] for line in rows] for rows in lines]
        if epochs and all(value is not None for row in values for value in row):
            curves[key] = band(values)
    seen = [h for run in runs if (h := history(run.lines(MICROSCOPE))) is not None]
    return ArmHistory(dataset, model, arm, len(runs), tuple(range(1, epochs + 1)), curves, mean_history(seen))


def band(values: Sequence[Sequence[float]]) -> Band:
    """Mean, minimum and maximum over the runs, from values (runs, epochs)."""
    a = np.array(values, float)
    mean, low, high = (tuple(f(axis=0).tolist()) for f in (a.mean, a.min, a.max))
    return Band(mean, low, high)


def _sizes(study: Study) -> tuple[tuple[ArmSize, ...], str]:
    try:
        return tuple(sizes(study.config)), ""
    except ConfigError as error:
        return (), str(error)
