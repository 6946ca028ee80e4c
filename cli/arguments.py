"""Arguments and options that several commands share; those of a training are in `options.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)


def json_option(words: str = "One JSON object.") -> Callable[[F], F]:
    return click.option("--json", "as_json", is_flag=True, help=words)


def number(*flags: str, words: str, least: int = 1, **more: Any) -> Callable[[F], F]:
    """An option that takes a whole number."""
    return click.option(*flags, type=click.IntRange(least), **{"metavar": "N", "help": words} | more)


def choice(*flags: str, among: Iterable[str], words: str, **more: Any) -> Callable[[F], F]:
    """An option that takes a name of a table, or several; its help lists them."""
    names = list(among)
    again = " May be given again." if more.get("multiple") else ""
    help = f"{words} One of: {', '.join(names)}.{again}"
    return click.option(*flags, type=click.Choice(names), metavar="NAME", help=help, **more)
