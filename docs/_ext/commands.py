"""`{commands} module.name`: the command and all below it, from Click itself: their usage, help and options."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import cleandoc
from textwrap import indent
from typing import Any

import click
from docutils import nodes
from prose import inline, literal, to_rest
from reference import Rest, fence


class CommandsDirective(Rest):
    """A section for every command."""

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        blocks = []
        for ctx in contexts(getattr(import_module(module), name)):
            blocks += [f"## {ctx.command_path}", fence(show(ctx))]
        return self.parse(*blocks)


def contexts(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """A context for the command and for each one below it."""
    ctx = click.Context(command, parent=parent, info_name=command.name, **command.context_settings)
    yield ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from contexts(below, ctx)


def show(ctx: click.Context) -> str:
    """A command, as reStructuredText."""
    usage = " ".join(ctx.command.get_usage(ctx).split()).removeprefix("Usage: ")
    blocks = [f".. program:: {ctx.command_path}", literal(usage)]
    for paragraph in cleandoc(ctx.command.help or "").split("\n\n"):
        as_it_is = paragraph.startswith("\b\n")  # Click's mark for lines that are not to be filled
        blocks.append(literal(paragraph[2:]) if as_it_is else to_rest(paragraph.splitlines()))
    records = (param.get_help_record(ctx) for param in ctx.command.get_params(ctx))
    return "\n\n".join(blocks + [option(*record) for record in records if record is not None])


def option(names: str, words: str) -> str:
    """An option, as reStructuredText; `--flip / --no-flip` are two names of one."""
    return f".. option:: {names.replace(' / ', ', ')}\n\n{indent(inline(words), '   ')}"


def setup(app: Any) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("commands", CommandsDirective)
    return {"parallel_read_safe": True}
