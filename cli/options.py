"""The options of `minise train`: one for each field of `TrainConfig`, in groups; choices are the tables'."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from minise._util.home import expanded
from minise.train.config import CHOICES, FIELDS, TrainConfig, config_from_dict, plain_keys, read_toml
from minise.train.recipes import DEFAULT, recipe

F = TypeVar("F", bound=Callable[..., Any])

GROUPS = {
    "Data": ("dataset", "data_dir", "mirror", "val_size", "limit_train", "limit_test"),
    "Model": ("model", "act", "reduction", "alpha", "trunk_act", "gate_bias"),
    "Training": (
        *("epochs", "batch_size", "optimizer", "lr", "momentum", "nesterov", "norm_rate", "weight_decay"),
        *("decay", "schedule", "warmup", "smoothing"),
    ),
    "Augmentation": ("crop", "flip", "cutout", "tta"),
    "Microscope": ("microscope",),
    "Machine": ("seed", "device", "precision", "graph", "threads"),
}
"""Heading of the help -> fields of TrainConfig under it."""
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
    for names in reversed(GROUPS.values()):
        for name in reversed(names):
            function = train_option(name)(function)
    return function


def train_option(name: str, words: str | None = None, default_words: str | None = None) -> Callable[[F], F]:
    """The option of the TrainConfig field `name`, with its type, choices and default.

    words, default_words: what it is for and what None stands for, where that is not what it is in `minise train`.
    """
    default, about = FIELDS[name].default, FIELDS[name].metadata
    words = words or about["words"]
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
        show_default=(default_words or about["unset"]) if default is None else True,
        help=words,
    )


def _type_of(name: str) -> type:
    hint = typing.get_type_hints(TrainConfig)[name]
    found: type = (typing.get_args(hint) or (hint,))[0]  # of X | None: X
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
    return None if folder is None else str(expanded(folder).absolute())
