"""What a training run is made of: every option, its default, what it may be, and what it is for."""
# ruff: noqa: RUF009 -- `option` makes fields of a dataclass

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from minise._util.decode import LARGEST, Count, Fraction, NotNegative, Positive, Whole, check_keys, decoded
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
CHOICES: dict[str, Collection[str]] = {
    "dataset": DATASETS,
    "model": MODELS,
    "act": ACTIVATIONS,
    "alpha": ("layer", "channel"),
    "trunk_act": ACTIVATIONS,
    "optimizer": OPTIMIZERS,
    "decay": ("weights", "all"),
    "schedule": SCHEDULES,
    "tta": VIEWS,
    "device": ("auto", "cpu", "cuda"),
    "precision": PRECISIONS,
}
"""Option -> the names that it takes. Tables may still grow: a plugin adds rows to them."""
GateBias = Annotated[float, Meta(ge=-MOST_GATE_BIAS, le=MOST_GATE_BIAS)]
PEAK_RATES = ", ".join(f"{spec.lr:g} for {name}" for name, spec in OPTIMIZERS.items())


def option(default: Any, words: str, unset: str = "") -> Any:
    """A field of TrainConfig. words: what it is for; unset: what None stands for."""
    return field(default=default, metadata={"words": words, "unset": unset})


@dataclass(frozen=True)
class TrainConfig:
    """The options of `minise train`, under the names that flags (`--batch-size`) and TOML keys (`batch_size`) share.

    None stands for "choose": act and reduction take the model's default, lr the optimizer's, val_size a tenth of
    the training images, threads all cores.
    """

    dataset: str = option("cifar10", "What to learn; shapes10 needs no download.")
    data_dir: str | None = option(
        None, "Where the files are.", "MINISE_DATA_DIR, else data/ of a checkout, else the user's cache"
    )
    mirror: str | None = option(None, "Where to download from.", "the makers' site")
    limit_train: Count | None = option(None, "Take only the first N training images.", "all")
    limit_test: Count | None = option(None, "Take only the first N test images.", "all")
    val_size: Whole | None = option(None, "Training images held out for validation.", "a tenth")

    model: str = option("se-resnet20", "What to train.")
    act: str | None = option(
        None, "The activation inside SE blocks: what the paper changes.", unset=DEFAULT_ACT
    )
    reduction: Count | None = option(
        None, "SE hidden width = channels // R, but at least 1.", unset=str(DEFAULT_REDUCTION)
    )
    alpha: str = option("layer", "Learnable activation parameters: one per layer, or one per channel.")
    trunk_act: str = option("relu", "The activation outside SE blocks.")
    gate_bias: GateBias = option(
        0.0, "Where the biases of SE gates, if any, start: at 0 gates are about 0.5, at 2 about 0.88."
    )

    epochs: Count = option(10, "Passes over the training images.")
    batch_size: Annotated[int, Meta(ge=2, le=LARGEST)] = option(128, "Images per step.")
    optimizer: str = option("sgd", "How gradients change weights.")
    lr: Positive | None = option(None, "Learning rate at its peak.", unset=PEAK_RATES)
    momentum: Fraction = option(0.9, "Of sgd and muon.")
    nesterov: bool = option(True, "Nesterov's form of momentum.")
    norm_rate: Positive = option(1.0, "With muon, how many times faster batch norms learn.")
    weight_decay: NotNegative = option(
        5e-4, "How strongly weights are pulled to zero; those that muon turns are not."
    )
    decay: str = option("weights", "What decay pulls: weights alone, or biases, norms and alphas too.")
    schedule: str = option("cosine", "Learning-rate schedule.")
    warmup: NotNegative = option(0.5, "Epochs over which the learning rate first climbs.")
    smoothing: Fraction = option(0.0, "Label smoothing, 0 to 1.")

    crop: Annotated[int, Meta(ge=0, le=16)] = option(4, "Pad by N pixels and crop at random; 0: off.")
    flip: bool = option(True, "Mirror each image in every other epoch.")
    cutout: Annotated[int, Meta(ge=0, le=32)] = option(0, "Blank a square of N pixels; 0: off.")
    tta: str = option(
        "none", "Score the mean over views of each image: its mirror image, and shifts of both."
    )

    microscope: Whole = option(0, "After every epoch, look into the SE blocks on N training images; 0: off.")

    seed: Whole = option(0, "Of the weights, the order of the data and its augmentation.")
    device: str = option("auto", "auto takes the GPU where there is one.")
    precision: str = option("fp32", "Of the maps between layers; fp16 needs a GPU.")
    graph: bool = option(True, "On a GPU, capture the training step once and replay it.")
    threads: Count | None = option(None, "How many cores to use.", "all cores")

    def __post_init__(self) -> None:
        """Raise ConfigError for the first value that cannot be used; whole numbers become floats where due."""
        for name, names in CHOICES.items():
            value = getattr(self, name)
            if value != getattr(TrainConfig, name) and not (isinstance(value, str) and value in names):
                raise ConfigError(f"{name}: found {value!r}, expected one of {', '.join(names)}")
        for name, value in msgspec.structs.asdict(decoded(_Values, vars(self), "")).items():
            if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ConfigError(f"{name}: found {value!r}, expected text that UTF-8 can write")
            object.__setattr__(self, name, value)
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
        """The options that are set, as a TOML file that `config_from_dict` and `--config` read."""
        return "".join(toml_line(name, value) for name, value in vars(self).items() if value is not None)


FIELDS = {f.name: f for f in dataclasses.fields(TrainConfig)}
_Values = msgspec.defstruct("_Values", list(get_type_hints(TrainConfig, include_extras=True).items()))
"""The types of the options, without what a TrainConfig checks besides."""


def toml_line(key: str, value: Any) -> str:
    """`key = value` for a number, text or list of these: as JSON has it, but for the character 127."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{key} = {text}\n"


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
    check_keys(known, FIELDS, where)
    return TrainConfig(**known)


def differing(a: TrainConfig, b: TrainConfig) -> list[str]:
    """The options in which two trainings differ, but for those of the machine."""
    return [name for name in FIELDS if name not in MACHINE and getattr(a, name) != getattr(b, name)]


def read_toml(path: str | Path) -> dict[str, Any]:
    """The top-level table of a TOML file. Raises ConfigError for a file that is missing or is not TOML."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"config: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also what is no text, and numbers of too many digits
        raise ConfigError(f"config: {path} is not TOML: {error}") from error
