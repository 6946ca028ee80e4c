"""What a study is made of: arms that differ in one thing, seeds that pair them, data sets, models, and a claim.

A study is a TOML file; `claim.toml` beside this file is the paper's. Everything that is not an arm's own is shared:
runs of one seed have the same trunk at the start, the same held-out images, the same order and the same augmentation.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from typing import Annotated, Any

from msgspec import Meta

from minise._util.decode import Whole, check_keys, decoded
from minise.data import DATASETS
from minise.errors import ConfigError
from minise.models import MODELS, ModelInfo, build, describe
from minise.train.config import MACHINE, TrainConfig, config_from_dict, differing, toml_line
from minise.train.recipes import recipe

PLAIN = "se-"
"""A model's name without this is the same trunk without SE blocks: the model of an arm with `se = false`."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
OWN = ("dataset", "model", "seed")
"""Options of a training that the study itself sets for each run."""
SHARED = ("limit_train", "limit_test", "val_size", "tta")
"""Options that no arm may have for itself: on which images is trained, and how they are scored."""
EXCITED = ("model", "act", "reduction", "alpha", "gate_bias")
"""Options of the SE blocks, which are what a study is about."""
MOST_SEEDS = 1000
Names = Annotated[tuple[str, ...], Meta(min_length=1)]
Points = Annotated[float, Meta(gt=0, le=100)]


@dataclass(frozen=True)
class PlannedRun:
    """One training of a study. The name is that of its folder."""

    dataset: str
    model: str
    arm: str
    seed: int
    config: TrainConfig

    @property
    def group(self) -> tuple[str, str, str]:
        """What its seed varies."""
        return self.dataset, self.model, self.arm

    @property
    def name(self) -> str:
        return f"{self.dataset}-{self.model}-{self.arm}-s{self.seed}"


@dataclass(frozen=True)
class StudyConfig:
    """A study: every arm with every seed, on every data set with every model.

    models: with SE blocks; arms: name -> what is its own: `se = false` for no SE blocks, `model` for another model in
    the place of a study's only one, or any option of a training.
    claim: the arm that is said to gain `effect[dataset]` points of test accuracy over each arm in `against`; the
    others are controls, as are all on a data set without an effect. parity: by what fraction an arm's parameters and
    FLOPs may differ from the claim's. train: the options that all runs share. Raises ConfigError for the first thing
    that cannot be.
    """

    datasets: Names
    models: Names
    seeds: Annotated[tuple[Whole, ...], Meta(min_length=1, max_length=MOST_SEEDS)]
    arms: dict[str, dict[str, Any]]
    claim: str
    against: tuple[str, ...]
    effect: dict[str, Points] = field(default_factory=dict)
    parity: Annotated[float, Meta(ge=0, le=1)] = 0.05
    train: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ConfigError(f"study: {problem}")
        self.runs()  # every configuration is checked before the first is trained

    def _problems(self) -> Iterator[str]:
        """What is wrong with it as a whole, one after the other; each line may rest on those before it."""
        for name in ("datasets", "models", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                yield f"{name} names one twice: {', '.join(map(str, values))}"
        excited = [name for name, spec in MODELS.items() if spec.has_se]
        for model in self.models:
            if model not in excited:
                yield f"found the model {model!r}, expected one with SE blocks: {', '.join(excited)}"
        for arm in self.arms:
            if not NAME.fullmatch(arm):
                yield f"found the arm {arm!r}, expected a name of small letters, digits, '-' and '_'"
        for arm in (self.claim, *self.against):
            if arm not in self.arms:
                yield f"there is no arm {arm!r}, expected one of {', '.join(self.arms)}"
        if self.claim in self.against:
            yield f"{self.claim!r} is in `against`, expected other arms than the claim's"
        for where, datasets in (("datasets", self.datasets), ("effect", self.effect)):
            for dataset in datasets:
                if dataset not in DATASETS:
                    yield f"{where}: found the data set {dataset!r}, expected some of {', '.join(DATASETS)}"
        for arm, options in self.arms.items():
            if "model" in options and len(self.models) > 1:
                models = ", ".join(self.models)
                yield f"arms.{arm} sets model beside the models {models}, expected only one of these"
            se = options.get("se", True)
            if not isinstance(se, bool):
                yield f"arms.{arm}.se: found {se!r}, expected true or false"
            others = [f"the model {model}" for model in self.models if not model.startswith(PLAIN)]
            others = ["a model of its own"] if "model" in options else others
            if others and not se:
                yield f"arms.{arm} has se = false and {others[0]}, expected a model se-…, or `model` alone"
        by_study = dict.fromkeys(OWN, "the study itself") | dict.fromkeys(MACHINE, "the command line")
        by_train = dict.fromkeys(SHARED, "[train], for all arms the same")
        tables = [("train", self.train, by_study)]
        tables += [(f"arms.{a}", o, by_study | by_train) for a, o in self.arms.items()]
        for where, options, setters in tables:
            for name in options:
                if name in setters and (name != "model" or where == "train"):
                    yield f"{where} sets {name}, expected it not to: {setters[name]} sets it"

    def runs(self, **machine: Any) -> list[PlannedRun]:
        """Every training, one seed after the other, so that a study that stops early is complete as far as it went.

        machine: data_dir, mirror, device, threads.
        """
        return [
            PlannedRun(dataset, model, arm, seed, self.run_config(dataset, model, arm, seed, **machine))
            for seed in self.seeds
            for dataset in self.datasets
            for model in self.models
            for arm in self.arms
        ]

    def run_config(self, dataset: str, model: str, arm: str, seed: int, **machine: Any) -> TrainConfig:
        """The options of one training."""
        own = dict(self.arms[arm])
        model = own.pop("model", model if own.pop("se", True) else model.removeprefix(PLAIN))
        shared = dict(self.train)
        if model in MODELS and not MODELS[model].has_se:
            shared = {k: v for k, v in shared.items() if k not in ("act", "reduction")}
        values = {**shared, **own, **machine, "dataset": dataset, "model": model, "seed": seed}
        return config_from_dict(values, where=f"study, arm {arm}")

    def extended(self, other: StudyConfig) -> StudyConfig:
        """This study with the data sets, models, seeds and arms of `other` added; raises ConfigError where what both
        have is not the same: runs that are done would belong to another study.
        """
        begun, now = _flat(self), _flat(other)
        for name in [*begun, *now]:
            added = name.startswith(("arms.", "effect.")) and (name not in begun or name not in now)
            if not added and begun.get(name) != now.get(name):
                raise ConfigError(
                    f"study: {name} is {now.get(name)!r}, expected {begun.get(name)!r} as it was begun;"
                    " choose another folder"
                )
        return replace(
            self,
            datasets=_union(self.datasets, other.datasets),
            models=_union(self.models, other.models),
            seeds=tuple(sorted(_union(self.seeds, other.seeds))),
            arms=self.arms | other.arms,
            against=_union(self.against, other.against),
            effect=other.effect | self.effect,
        )

    def to_toml(self) -> str:
        """The study as a TOML file that `study_from_dict` reads."""
        values = asdict(self)
        tables = {"effect": values.pop("effect"), "train": values.pop("train")}
        tables |= {f"arms.{name}": options for name, options in values.pop("arms").items()}
        return "".join(toml_line(*pair) for pair in values.items()) + "".join(
            f"\n[{name}]\n" + "".join(toml_line(*pair) for pair in table.items())
            for name, table in tables.items()
        )


def study_from_dict(values: Mapping[str, Any], *, where: str = "study") -> StudyConfig:
    """A StudyConfig from a TOML file's table. seeds may be a number, n for 0 to n - 1. Raises ConfigError."""
    check_keys(values, [f.name for f in fields(StudyConfig)], where)
    values = dict(values)
    if type(seeds := values.get("seeds")) is int:
        values["seeds"] = list(range(min(seeds, MOST_SEEDS + 1)))
    for name, kind in (("arms", dict[str, Any]), ("effect", Points)):  # so that a message names the key
        for key, value in decoded(dict[str, Any], values.get(name, {}), f"{where}: {name}").items():
            decoded(kind, value, f"{where}: {name}.{key}")
    return decoded(StudyConfig, values, where)


def with_recipe(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The table of a study with the recipe's model, and its options in `train` where the recipe has them.

    On which images is trained, and how they are scored, stays the study's.
    """
    options = {k: v for k, v in recipe(name).items() if k not in ("limit_train", "val_size", "tta")}
    model = options.pop("model")
    return {**values, "models": [model], "train": {**values.get("train", {}), **options}}


def claim_text() -> str:
    """The paper's study, as the TOML file it is."""
    return (files(__package__) / "claim.toml").read_text(encoding="utf-8")


def claim_dict() -> dict[str, Any]:
    """The paper's study, as a table."""
    return tomllib.loads(claim_text())


@dataclass(frozen=True)
class ArmSize:
    """What an arm's model costs, and how much more that is than the claim's, as fractions of the claim's."""

    dataset: str
    model: str
    arm: str
    info: ModelInfo
    parameters_more: float
    flops_more: float


def sizes(study: StudyConfig) -> list[ArmSize]:
    """The size of every arm's model. Raises ConfigError where two arms differ by more than `parity`."""
    infos = {run.group: _info(run) for run in study.runs() if run.seed == study.seeds[0]}
    found = []
    for (dataset, model, arm), info in infos.items():
        claim = infos[dataset, model, study.claim]
        more = info.parameters / claim.parameters - 1, info.flops / claim.flops - 1
        if max(map(abs, more)) > study.parity:
            raise ConfigError(
                f"study: on {dataset}, {arm} has {info.parameters:,} parameters and {info.flops:,} FLOPs,"
                f" {study.claim} {claim.parameters:,} and {claim.flops:,}; expected them to differ by at"
                f" most {study.parity:.1%} (parity)"
            )
        found.append(ArmSize(dataset, model, arm, info, *more))
    return found


def _info(run: PlannedRun) -> ModelInfo:
    classes = len(DATASETS[run.dataset].classes)
    return describe(build(run.config.model, classes=classes, **run.config.model_options()))


def unequal(study: StudyConfig) -> dict[str, dict[str, tuple[Any, Any]]]:
    """How arms are trained otherwise than the claim's: arm -> option -> what it has there, and the claim's."""
    dataset, model, seed = study.datasets[0], study.models[0], study.seeds[0]
    trained = {
        arm: study.run_config(dataset, model, arm, seed).resolved(DATASETS[dataset].train)
        for arm in study.arms
    }
    claim = trained[study.claim]
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for arm, config in trained.items():
        for name in differing(config, claim):
            if name not in EXCITED:
                found.setdefault(arm, {})[name] = getattr(config, name), getattr(claim, name)
    return found


def _union(a: Iterable[Any], b: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*a, *b]))


def _flat(study: StudyConfig) -> dict[str, Any]:
    """All that a study must not change, by its name in the file: "train.epochs"."""
    tables = {name: getattr(study, name) for name in ("arms", "effect", "train")}
    inside = {f"{name}.{key}": value for name, table in tables.items() for key, value in table.items()}
    return {"claim": study.claim, "parity": study.parity, **inside}
