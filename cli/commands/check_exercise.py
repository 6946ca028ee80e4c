"""`minise check-exercise`: answers to the lessons' exercises, checked, with hints."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from pathlib import Path

import click
from minise_cli.render.console import print_json

from minise.teach.exercises import EXERCISES, Exercise, Result, check_file

MARKS = {"✓": "green", "✗": "red", " ": "", "·": "dim"}
"""The style of each mark of a result's rows."""


@click.command("check-exercise")
@click.argument("name", required=False, metavar="[NAME]", type=click.Choice(list(EXERCISES)))
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("--hint", count=True, help="Say more about what is wrong; --hint --hint says most.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object: the result; or, of the list, one a line."
)
@click.pass_context
def command(ctx: click.Context, name: str | None, file: Path | None, hint: int, as_json: bool) -> None:
    """Check the answer to exercise NAME in FILE, a script or a notebook; or list the exercises.

    Of FILE only the functions that are asked for are run, with the helpers and constants that they use, in a process
    of their own that is stopped after 10 seconds. They may import NumPy only. The exit code is 0 for a right answer
    and 1 for any other.

    \b
    minise check-exercise
    minise check-exercise se-backward docs/lessons/3-se-backward.ipynb --hint
    """
    if (name is None) != (file is None):
        raise click.UsageError("expected both NAME and FILE, or neither")
    if name is None or file is None:
        show_list(as_json)
        return
    with contextlib.redirect_stdout(sys.stderr):  # what the answer prints
        result = check_file(name, file, hint=min(1 + hint, 3))
    show_result(result, as_json, more=hint < 2)
    ctx.exit(0 if result else 1)


def show_list(as_json: bool) -> None:
    """Every exercise, by lesson."""
    if as_json:
        for exercise in EXERCISES.values():
            print_json(as_object(exercise))
        return
    from minise_cli.render.console import console
    from minise_cli.render.fit import table
    from rich.text import Text

    rows = table("lesson", "exercise", "", "what is asked for")
    for exercise in EXERCISES.values():
        rows.add_row(
            str(exercise.lesson),
            Text(exercise.name, "bold"),
            Text(exercise.title),
            Text("\n".join(exercise.signatures)),
        )
    console().print(rows)


def as_object(exercise: Exercise) -> dict[str, object]:
    """What is asked for, for JSON."""
    return {
        "name": exercise.name,
        "lesson": exercise.lesson,
        "title": exercise.title,
        "asks": exercise.asks,
        "signatures": list(exercise.signatures),
        "checks": [check.title for check in exercise.checks],
    }


def show_result(result: Result, as_json: bool, *, more: bool) -> None:
    """A line per check, with what is wrong and the hints below the one that failed. more: `--hint` says more."""
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    from minise_cli.render.console import console
    from rich.text import Text

    out = console()
    out.print(Text.assemble((result.exercise, "bold"), ": ", (result.state, "green" if result else "yellow")))
    for mark, text in result.rows():
        out.print(Text.assemble((f"{mark} ", MARKS[mark]), (text, "dim" if mark == "·" else "")))
    if result.hints and more:
        out.print(Text("--hint says more", "dim"))
