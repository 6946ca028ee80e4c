"""The options of `minise train`: one for each field of `TrainConfig`, in groups; choices are the tables'."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from minise.models.options import DEFAULT_ACT, DEFAULT_REDUCTION
from minise.optim import OPTIMIZERS
from minise.train.config import RULES, TrainConfig, config_from_dict, plain_keys, read_toml
from minise.train.recipes import DEFAULT, recipe

F = TypeVar("F", bound=Callable[..., Any])

GROUPS: dict[str, dict[str, str]] = {
    "Data": {
        "dataset": "What to learn; shapes10 needs no download.",
        "data_dir": "Where the files are.",
        "mirror": "Where to download from.",
        "val_size": "Training images held out for validation.",
        "limit_train": "Take only the first N training images.",
        "limit_test": "Take only the first N test images.",
    },
    "Model": {
        "model": "What to train.",
        "act": "The activation inside SE blocks: what the paper changes.",
        "reduction": "SE hidden width = channels // R, but at least 1.",
        "alpha": "Learnable activation parameters: one a layer, or one a channel.",
        "trunk_act": "The activation outside SE blocks.",
        "gate_bias": "Where the biases of SE gates, if any, start: at 0 gates are about 0.5, at 2 about 0.88.",
    },
    "Training": {
        "epochs": "Passes over the training images.",
        "batch_size": "Images a step.",
        "optimizer": "How gradients change weights.",
        "lr": "Learning rate at its peak.",
        "momentum": "Of sgd and muon.",
        "nesterov": "Nesterov's form of momentum.",
        "norm_rate": "With muon, how many times faster batch norms learn.",
        "weight_decay": "How strongly weights are pulled to zero; those that muon turns are not.",
        "decay": "What decay pulls: weights alone, or biases, norms and alphas too.",
        "schedule": "How the learning rate goes.",
        "warmup": "Epochs over which the learning rate first climbs.",
        "smoothing": "Label smoothing, 0 to 1.",
    },
    "Augmentation": {
        "crop": "Pad by N pixels and crop at random; 0: off.",
        "flip": "Mirror each image in every other epoch.",
        "cutout": "Blank a square of N pixels; 0: off.",
        "tta": "Score the mean over views of each image: its mirror image, and shifts of both.",
    },
    "Microscope": {
        "microscope": "After every epoch, look into the SE blocks on N training images; 0: off.",
    },
    "Machine": {
        "seed": "Of the weights, the order of the data and its augmentation.",
        "device": "auto takes the GPU where there is one.",
        "precision": "Of the maps between layers; fp16 needs a GPU.",
        "graph": "On a GPU, capture the training step once and replay it.",
        "threads": "How many cores to use.",
    },
}
"""Group -> field of TrainConfig -> help."""

CHOICES = {name: rule.choices for name, rule in RULES.items() if rule.choices}
DEFAULTS = {
    "data_dir": "MINISE_DATA_DIR, else data/ of a checkout, else the user's cache",
    "mirror": "the makers' site",
    "val_size": "a tenth",
    "limit_train": "all",
    "limit_test": "all",
    "act": DEFAULT_ACT,
    "reduction": str(DEFAULT_REDUCTION),
    "lr": ", ".join(f"{spec.lr:g} for {name}" for name, spec in OPTIMIZERS.items()),
    "threads": "all cores",
}
"""What None stands for, in words."""
METAVARS = {"data_dir": "DIR", "mirror": "URL", "reduction": "R", "lr": "RATE", "seed": "SEED"}
TUNED = ("lr", "momentum", "nesterov", "norm_rate", "weight_decay")
"""Options whose values suit one optimiser."""
TYPES: dict[type, tuple[Any, str]] = {
    int: (click.INT, "N"),
    float: (click.FLOAT, "X"),
    str: (click.STRING, "TEXT"),
}


def train_options(function: F) -> F:
    """Give a command every option of `GROUPS`."""
    for fields in reversed(GROUPS.values()):
        for name in reversed(fields):
            function = train_option(name, fields[name])(function)
    return function


def train_option(name: str, words: str, default_words: str | None = None) -> Callable[[F], F]:
    """The option of the TrainConfig field `name`, with its type, choices and default.

    default_words: what None stands for, where that is not what it is in `minise train`.
    """
    default = getattr(TrainConfig, name)
    flag = name.replace("_", "-")
    if isinstance(default, bool):
        return click.option(f"--{flag}/--no-{flag}", name, default=default, show_default=True, help=words)
    if name in CHOICES:
        type_, metavar = click.Choice(list(CHOICES[name])), "NAME"
        words = f"{words} One of: {', '.join(CHOICES[name])}."
    else:
        type_, metavar = TYPES[_type_of(name)]
    return click.option(
        f"--{flag}",
        name,
        type=type_,
        metavar=METAVARS.get(name, metavar),
        default=default,
        show_default=(default_words or DEFAULTS[name]) if default is None else True,
        help=words,
    )


def _type_of(name: str) -> type:
    hint = typing.get_type_hints(TrainConfig)[name]
    found: type = typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint
    return found


class GroupedCommand(click.Command):
    """A command whose help shows its options under the headings of `GROUPS`, its own under "This run"."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = {p.name: p.get_help_record(ctx) for p in self.get_params(ctx)}
        sections = {"This run": [r for name, r in rows.items() if r and not _group_of(name)]}
        for group, fields in GROUPS.items():
            sections[group] = [r for name in fields if (r := rows.get(name))]
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _group_of(name: str | None) -> str | None:
    return next((group for group, fields in GROUPS.items() if name in fields), None)


def given_options(ctx: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that stand on the command line."""
    return {k: v for k, v in values.items() if ctx.get_parameter_source(k) == ParameterSource.COMMANDLINE}


def merged_config(given: Mapping[str, Any], file: Path | None, name: str | None = None) -> TrainConfig:
    """Defaults, overridden by the recipe, by the TOML file, by what was given. Raises ConfigError.

    With neither a recipe nor a file nor a model to train, the recipe is `DEFAULT`. What a recipe says of its own
    optimiser does not hold for another one.
    A data folder becomes absolute, so that the run can be evaluated from anywhere.
    """
    if name is None and file is None and "model" not in given:
        name = DEFAULT
    values = recipe(name) if name is not None else {}
    own = plain_keys(read_toml(file), str(file)) if file is not None else {}
    own |= given
    if own.get("optimizer", values.get("optimizer")) != values.get("optimizer"):
        values = {k: v for k, v in values.items() if k not in TUNED}
    config = config_from_dict(values | own, where=str(file) if file is not None else "options")
    return dataclasses.replace(config, data_dir=absolute(config.data_dir))


def absolute(folder: str | None) -> str | None:
    """The same folder by a path that is right from anywhere."""
    return None if folder is None else str(Path(folder).expanduser().absolute())
