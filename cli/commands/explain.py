"""`minise explain`: one op walked through with numbers, in the terminal, as a page, or as data."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click
from minise_cli.render.console import print_json

from minise.teach.explain import TOPICS, as_data, explain
from minise.teach.explain.rules import RULES
from minise.teach.explain.se import SEED

STDOUT = Path("-")


class Topics(click.Group):
    """A group that names its topics, in their order, where one is unknown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TOPICS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in TOPICS and not ctx.resilient_parsing:
            ctx.fail(f"found the topic {args[0]!r}, expected one of {', '.join(TOPICS)}")
        return super().resolve_command(ctx, args)


@click.group("explain", cls=Topics, invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Walk through one op with numbers: the formula, the line of minise's source that computes it, what it gives,
    and beside it what the tape says.

    \b
    minise explain se --act felu
    minise explain se --interactive
    minise explain dead --bias 3=1.5
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(name: str, *, interactive: bool, html: Path | None, as_json: bool, **options: Any) -> None:
    """Make the lesson and show it in the one way that was asked for."""
    if sum((interactive, html is not None, as_json)) > 1:
        raise click.UsageError(
            "found more than one of --interactive, --html and --json, expected at most one"
        )
    lesson = explain(name, **options)
    if as_json:
        for step in as_data(lesson):
            print_json(step)
    elif html is not None:
        from minise.teach.explain.page import page

        write(html, page(lesson))
    elif interactive:
        from minise_cli.render.quiz import teach

        teach(lesson)
    else:
        from minise_cli.render.lesson import draw_lesson

        draw_lesson(lesson)


def write(path: Path, text: str) -> None:
    """Put a page into a file, or on stdout."""
    from minise._util.files import write_atomically

    if path == STDOUT:
        click.echo(text, nl=False)
        return
    write_atomically(path, text.encode())
    click.echo(f"lesson in {path}")


class Neuron(click.ParamType):
    """I=X: a neuron, counted from 1, and a number."""

    name = "I=X"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, float]:
        neuron, _, number = str(value).partition("=")
        try:
            return int(neuron), float(number)
        except ValueError:
            self.fail(f"{value!r} is not I=X, expected a neuron and a number, such as 3=0.9", param, ctx)


def act() -> click.Option:
    """The option --act."""
    return click.Option(
        ["--act"],
        type=click.Choice(list(RULES)),
        metavar="NAME",
        default="relu",
        show_default=True,
        help=f"The activation. One of: {', '.join(RULES)}.",
    )


def number(flag: str, metavar: str, kind: click.ParamType, default: int, words: str) -> click.Option:
    """A whole number with a default."""
    return click.Option([flag], type=kind, metavar=metavar, default=default, show_default=True, help=words)


def seed(default: int = 0) -> click.Option:
    """The option --seed."""
    return number("--seed", "SEED", click.IntRange(0), default, "Other pictures, other numbers.")


def neurons(flag: str, name: str, words: str) -> click.Option:
    """An option that says of some neurons what theirs is; it may be given again."""
    return click.Option(
        [flag, name],
        type=Neuron(),
        multiple=True,
        metavar="I=X",
        callback=lambda ctx, option, given: dict(given),
        help=f"{words}; may be given again.",
    )


def shared() -> list[click.Option]:
    """How a lesson is shown."""
    return [
        click.Option(
            ["--interactive"], is_flag=True, help="Predict each shape and value before it is shown."
        ),
        click.Option(
            ["--html"],
            type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
            metavar="FILE",
            help="Write a page to hand out, as one file that needs nothing else; - is stdout.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="One JSON object a step, one a line."),
    ]


OPTIONS: dict[str, list[click.Option]] = {
    "se": [act(), seed(SEED)],
    "felu": [],
    "dead": [
        act(),
        neurons("--bias", "biases", "The bias of neuron I"),
        neurons("--weight", "weights", "The weight of neuron I"),
    ],
    "conv": [
        number("--stride", "N", click.IntRange(1, 3), 1, "Pixels from window to window, 1 to 3."),
        number("--padding", "N", click.IntRange(0, 2), 1, "Zeros around the picture, 0 to 2."),
        seed(),
    ],
    "batchnorm": [seed()],
    "tape": [],
}
"""Topic -> its own options: the keyword arguments of what makes its lesson."""

for _name, _own in OPTIONS.items():
    command.add_command(
        click.Command(
            _name,
            callback=partial(run, _name),
            params=[*_own, *shared()],
            help=TOPICS[_name].words,
            short_help=TOPICS[_name].words,
        )
    )
