"""`minise report`: a run or a study as an HTML page or as JSON."""

from __future__ import annotations

from pathlib import Path

import click
from minise_cli.render.console import Waiting, warn

from minise._util.files import write_atomically
from minise.errors import RunError
from minise.report import FORMATS, report
from minise.study import Study, Verdict, is_study, judge, note_look, open_study

PAGE = "report.html"
STDOUT = Path("-")


def keep_look(study: Study, verdict: Verdict) -> None:
    """Note that the verdict is shown, or say that it could not be noted."""
    try:
        note_look(study, verdict)
    except RunError as error:
        warn(f"{error}; this look at the verdict is not noted")


@click.command("report")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    default="html",
    show_default=True,
    help="A page with plots, or one JSON object.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help=f"Where to write it; - is stdout.  [default: PATH/{PAGE} for html, stdout for json]",
)
@click.option(
    "--images",
    type=click.IntRange(0),
    default=24,
    show_default=True,
    metavar="N",
    help="How many of a run's worst mistakes to show.",
)
def command(path: Path, format_: str, out: Path | None, images: int) -> None:
    """Report on the run or the study in the folder PATH, as one HTML file that needs nothing else.

    \b
    minise report runs/first
    minise report runs/first --format json > first.json
    """
    with Waiting(f"reading {path}"):
        text = report(path, format_, images=images)
    if is_study(path):
        study = open_study(path)
        keep_look(study, judge(study))
    out = out or (path / PAGE if format_ == "html" else STDOUT)
    if out == STDOUT:
        click.echo(text, nl=False)
        return
    write_atomically(out, text.encode("utf-8"))
    click.echo(f"report in {out}")
