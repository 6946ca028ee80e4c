"""Docstrings as they stand in minise, plain text, turned into reStructuredText.

    an indented block             stays as it is: formulas, tables, shell lines
    `name`, `other code`          code, with a link where it is the name of something documented
    x: (n, c), w: (c,)            opens a paragraph; so do "gx = …", "Raises …" and "Source: …"
    *word*                        stressed

All else is prose, in which no character means anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import dedent, indent
from typing import Any

OPENS = re.compile(r"[a-z_]\w*(, [a-z_]\w*)*(:| =) |Raises |Source: ")
ENDS = (".", ",", ";", ":")
LABEL = re.compile(r"(?:^|(?<=[;,.] ))([a-z_]\w*)(?=(, [a-z_]\w*)*: )", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[A-Za-z_][\w.]*")


def to_rest(lines: Iterable[str]) -> str:
    """The lines of a docstring, their margin removed, as reStructuredText."""
    parts: list[str] = []
    for kind, group in groupby(lines, key=kind_of):
        block = list(group)
        if kind == "block":
            parts.append(literal(dedent("\n".join(block))))
        elif kind == "prose":
            parts += [f"\\ {inline(text)}" for text in paragraphs(block)]
    return "\n\n".join(parts) + "\n"


def kind_of(line: str) -> str:
    """What a line belongs to."""
    return "block" if line.startswith(" ") else "prose" if line else "space"


def literal(text: str, language: str = "none") -> str:
    """`text`, shown as it is."""
    return f".. code-block:: {language}\n\n" + indent(text, "   ")


def paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """The lines, split before each that opens a paragraph after the end of a sentence or of another such line."""
    start = 0
    for i, line in enumerate(lines):
        if i and OPENS.match(line) and lines[i - 1].endswith(ENDS):
            yield "\n".join(lines[start:i])
            start = i
    yield "\n".join(lines[start:])


def inline(text: str) -> str:
    """A paragraph: code and stress marked as such, other characters that would be markup escaped."""
    if OPENS.match(text):
        text = LABEL.sub(r"`\1`", text)
    pieces = CODE.split(text)  # prose and code, by turns
    pieces[::2] = [prose(piece) for piece in pieces[::2]]
    pieces[1::2] = [code_or_link(piece) for piece in pieces[1::2]]
    return "\\ ".join(pieces)


def prose(text: str) -> str:
    """What stands between pieces of code."""
    escaped = re.sub(r"([\\*_|<>])", r"\\\1", text)
    stressed = re.sub(r"(?<!\w)\\\*(\w+)\\\*(?!\w)", r"*\1*", escaped)
    return re.sub(r"arXiv:([\d.]*\d)", r"`arXiv:\1 <https://arxiv.org/abs/\1>`__", stressed)


def code_or_link(code: str) -> str:
    """A name as a link: of a class or constant wherever it is, of anything else in the same module or by its path."""
    if not NAME.fullmatch(code):
        return f"``{code}``"
    return f":py:obj:`.{code}`" if code[0].isupper() else f":py:obj:`{code}`"


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Autodoc's hook."""
    lines[:] = to_rest(lines).splitlines()


def setup(app: Any) -> dict[str, Any]:
    """Let autodoc read docstrings as prose."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
