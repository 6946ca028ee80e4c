"""What a training run is made of: every option, its default, and what it may be."""

from __future__ import annotations

import dataclasses
import json
import math
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minise.data import DATASETS
from minise.errors import ConfigError
from minise.models import MODELS
from minise.models.options import DEFAULT_ACT, DEFAULT_REDUCTION
from minise.nn.layers import MOST_GATE_BIAS
from minise.ops import ACTIVATIONS
from minise.optim.optimizers import OPTIMIZERS
from minise.optim.schedules import SCHEDULES
from minise.train.tta import VIEWS

MACHINE = ("data_dir", "mirror", "device", "graph", "threads")
"""The options that say where a training computes, not what: they may differ when it goes on."""
RETIRED = {"conv": ("own", "auto", "cudnn")}
"""Options that files of earlier versions may have, and their values: they are read and ignored."""

PRECISIONS = ("fp32", "fp16")
"""What maps are stored in on a GPU; parameters, statistics and gradients of parameters are float32 in both."""


@dataclass(frozen=True)
class TrainConfig:
    """The options of `minise train`, under the names that flags (`--batch-size`) and TOML keys (`batch_size`) share.

    None stands for "choose": act and reduction take the model's default, lr the optimiser's, val_size a tenth of
    the training images, threads all cores.
    """

    dataset: str = "cifar10"
    data_dir: str | None = None
    mirror: str | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    val_size: int | None = None

    model: str = "se-resnet20"
    act: str | None = None
    reduction: int | None = None
    alpha: str = "layer"
    trunk_act: str = "relu"
    gate_bias: float = 0.0

    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "sgd"
    lr: float | None = None
    momentum: float = 0.9
    nesterov: bool = True
    norm_rate: float = 1.0
    weight_decay: float = 5e-4
    decay: str = "weights"
    schedule: str = "cosine"
    warmup: float = 0.5
    smoothing: float = 0.0

    crop: int = 4
    flip: bool = True
    cutout: int = 0
    tta: str = "none"

    microscope: int = 0

    seed: int = 0
    device: str = "auto"
    precision: str = "fp32"
    graph: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for the first value that cannot be used."""
        for option in dataclasses.fields(self):
            object.__setattr__(self, option.name, _typed(option.name, getattr(self, option.name)))
            rule = RULES.get(option.name)
            value = getattr(self, option.name)
            if rule and value is not None and not rule.holds(value):
                raise ConfigError(f"{option.name}: found {value!r}, expected {rule.expected}")
        spec = MODELS[self.model]
        for name in ("act", "reduction"):
            if getattr(self, name) is not None and not spec.has_se:
                other = f", or --model se-{self.model}" if f"se-{self.model}" in MODELS else ""
                raise ConfigError(
                    f"{name}: found {getattr(self, name)!r}, but {self.model} has no SE blocks to use it;"
                    f" expected none{other}"
                )
        if self.warmup >= self.epochs:
            raise ConfigError(
                f"warmup: found {self.warmup} epochs, expected fewer than epochs = {self.epochs}"
            )
        if self.nesterov and not self.momentum and "nesterov" in OPTIMIZERS[self.optimizer].takes:
            raise ConfigError("nesterov: it needs a momentum above 0, found momentum = 0")

    def resolved(self, train_images: int) -> TrainConfig:
        """The same options with every choice made that depends on the others or on the data set's size."""
        chosen: dict[str, Any] = {}
        if MODELS[self.model].has_se:
            chosen["act"] = self.act or DEFAULT_ACT
            chosen["reduction"] = self.reduction or DEFAULT_REDUCTION
        chosen["lr"] = OPTIMIZERS[self.optimizer].lr if self.lr is None else self.lr
        chosen["val_size"] = train_images // 10 if self.val_size is None else self.val_size
        return dataclasses.replace(self, **chosen)

    def model_options(self) -> dict[str, Any]:
        """What `minise.models.build` is given beside the name and the number of classes."""
        names = ("act", "reduction", "alpha", "trunk_act", "gate_bias", "seed")
        return {name: getattr(self, name) for name in names}

    def to_toml(self) -> str:
        """The options that are set, as a TOML file that `from_toml` and `--config` read."""
        pairs = dataclasses.asdict(self).items()
        return "".join(f"{key} = {toml_value(value)}\n" for key, value in pairs if value is not None)


def toml_value(value: Any) -> str:
    """A number, text or list of these as TOML has it: as JSON has it, but for the character 127."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class Rule:
    """What an option may be, and how to say so."""

    holds: Callable[[Any], bool]
    words: str = ""
    choices: Collection[str] = ()

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.choices) if self.choices else self.words


def one_of(names: Collection[str]) -> Rule:
    """One of the names of a table, which may still grow."""
    return Rule(lambda v: v in names, choices=names)


def at_least(least: float) -> Rule:
    """A finite number that is not below `least`."""
    return Rule(lambda v: math.isfinite(v) and v >= least, f"at least {least}")


FRACTION = Rule(lambda v: 0 <= v < 1, "at least 0 and below 1")
POSITIVE = Rule(lambda v: math.isfinite(v) and v > 0, "a number above 0")

RULES = {
    "dataset": one_of(DATASETS),
    "limit_train": at_least(1),
    "limit_test": at_least(1),
    "val_size": at_least(0),
    "model": one_of(MODELS),
    "act": one_of(ACTIVATIONS),
    "reduction": at_least(1),
    "alpha": one_of(("layer", "channel")),
    "trunk_act": one_of(ACTIVATIONS),
    "gate_bias": Rule(lambda v: abs(v) <= MOST_GATE_BIAS, f"-{MOST_GATE_BIAS} to {MOST_GATE_BIAS}"),
    "epochs": at_least(1),
    "batch_size": at_least(2),
    "optimizer": one_of(OPTIMIZERS),
    "lr": POSITIVE,
    "momentum": FRACTION,
    "norm_rate": POSITIVE,
    "weight_decay": at_least(0),
    "decay": one_of(("weights", "all")),
    "schedule": one_of(SCHEDULES),
    "warmup": at_least(0),
    "smoothing": FRACTION,
    "crop": Rule(lambda v: 0 <= v <= 16, "0 to 16 pixels"),
    "cutout": Rule(lambda v: 0 <= v <= 32, "0 to 32 pixels"),
    "tta": one_of(VIEWS),
    "microscope": at_least(0),
    "seed": at_least(0),
    "device": one_of(("auto", "cpu", "cuda")),
    "precision": one_of(PRECISIONS),
    "threads": at_least(1),
}

_TYPES = typing.get_type_hints(TrainConfig)


MOST_BITS = 63
"""Of whole numbers: more than any of them needs, and what arrays and files hold."""


def _typed(name: str, value: Any) -> Any:
    """`value` as the option's type; whole numbers pass as floats, nothing else is converted."""
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise ConfigError(
            f"{name}: found a number of {value.bit_length()} bits, expected at most {MOST_BITS}"
        )
    hint = _TYPES[name]
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
        expected = " or ".join(words[t] for t in allowed if t in words)
        expected = RULES[name].expected if str in allowed and name in RULES else expected
        raise ConfigError(f"{name}: found {value!r}, expected {expected}")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ConfigError(f"{name}: found {value!r}, expected text that UTF-8 can write")
    return value


def plain_keys(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The same with a dash in a key as an underscore. Raises ConfigError for a key that is there both ways."""
    known = {key.replace("-", "_"): value for key, value in values.items()}
    if len(known) < len(values):
        twice = next(key for key in values if "-" in key and key.replace("-", "_") in values)
        raise ConfigError(f"{where}: found both {twice} and {twice.replace('-', '_')}, expected one of them")
    return known


def config_from_dict(values: Mapping[str, Any], *, where: str = "config") -> TrainConfig:
    """A TrainConfig from keys and values; a dash in a key counts as an underscore. Unknown keys: ConfigError."""
    known = {k: v for k, v in plain_keys(values, where).items() if v not in RETIRED.get(k, ())}
    for key in known:
        if key not in _TYPES:
            raise ConfigError(f"{where}: unknown key {key!r}, expected some of {', '.join(_TYPES)}")
    return TrainConfig(**known)


def differing(a: TrainConfig, b: TrainConfig) -> list[str]:
    """The options in which two trainings differ, but for those of the machine."""
    names = (option.name for option in dataclasses.fields(TrainConfig) if option.name not in MACHINE)
    return [name for name in names if getattr(a, name) != getattr(b, name)]


def read_toml(path: str | Path) -> dict[str, Any]:
    """The top-level table of a TOML file. Raises ConfigError for a file that is missing or is not TOML."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"config: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also what is no text, and numbers of too many digits
        raise ConfigError(f"config: {path} is not TOML: {error}") from error
