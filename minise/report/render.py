"""A page as one HTML file that needs nothing else, or as Markdown for GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2

import minise
from minise.report.document import Page
from minise.report.theme import style

SPECIAL = re.compile(r"([\\`*_\[\]<>|])")


class Verbatim(str):
    """Text that Markdown leaves as it is: the content of a file, in a fence."""


def html(page: Page) -> str:
    """The page as HTML, its style and its plots within."""
    with style():
        return _environment().get_template("page.html.j2").render(page=page, version=minise.__version__)


def markdown(page: Page) -> str:
    """The page as Markdown, without plots and pictures."""
    return (
        _environment()
        .overlay(autoescape=False, finalize=_escaped)
        .get_template("page.md.j2")
        .render(page=page)
    )


WRITERS = {"html": html, "md": markdown}
"""Format -> what writes a page in it."""


@cache
def _environment() -> jinja2.Environment:
    made = environment(lambda name: __package__)
    made.filters["fence"] = _fence
    return made


def environment(package: Callable[[str], str]) -> jinja2.Environment:
    """Where templates are found: each beside the code of its `package`. What is put into a page is escaped."""
    loader = jinja2.FunctionLoader(lambda name: (files(package(name)) / name).read_text(encoding="utf-8"))
    return jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        lstrip_blocks=True,
    )


def _escaped(value: Any) -> Any:
    """One line of text in which Markdown and HTML find nothing of theirs."""
    if isinstance(value, Verbatim):
        return value
    return SPECIAL.sub(r"\\\1", " ".join(str(value).replace("&", "&amp;").split()))


def _fence(text: str) -> Verbatim:
    """A file's text between fences that are longer than any within."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return Verbatim(f"{ticks}toml\n{text.strip()}\n{ticks}")
