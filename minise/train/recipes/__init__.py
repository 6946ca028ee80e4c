"""The recipes: whole trainings as TOML files of `minise train`'s options, to be used, printed and copied."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from minise.errors import ConfigError

DEFAULT = "default"


def recipes() -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(
        sorted(f.name.removesuffix(".toml") for f in files(__name__).iterdir() if f.name.endswith(".toml"))
    )


def recipe_text(name: str) -> str:
    """The TOML file of a recipe. Its first line says in a comment what it is for. Raises ConfigError."""
    if name not in recipes():
        raise ConfigError(f"recipe: {name!r} is unknown, expected one of {', '.join(recipes())}")
    return (files(__name__) / f"{name}.toml").read_text(encoding="utf-8")


def recipe_summary(name: str) -> str:
    """What a recipe is for, in a line."""
    return recipe_text(name).splitlines()[0].removeprefix("#").strip()


def recipe(name: str) -> dict[str, Any]:
    """The options of a recipe, by the names of `TrainConfig`'s fields."""
    return tomllib.loads(recipe_text(name))
