"""`minise train`: options in, events out, shown as a live display, as plain lines or as JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
from pathlib import Path
from typing import Any

import click
from minise_cli.errors import stopped
from minise_cli.options import GroupedCommand, given_options, merged_config, train_options
from minise_cli.progress.lines import JsonReport, Report, TextReport
from minise_cli.render.console import Waiting, is_screen, warn

from minise._util.files import new_folder
from minise.runs.job import Event, Started, train
from minise.runs.run import Run
from minise.train.config import MACHINE, TrainConfig
from minise.train.recipes import DEFAULT, recipes


@click.command(
    "train",
    cls=GroupedCommand,
    epilog="Flags override --config, which overrides --recipe, which overrides the defaults shown here; without"
    f" --model, --config and --recipe, the recipe {DEFAULT} overrides them. Ctrl-C keeps what has been learnt.",
)
@train_options
@click.option(
    "--run",
    "run",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder to make. Default: runs/DATASET-MODEL-ACT-TIME.",
)
@click.option(
    "--recipe",
    "recipe",
    type=click.Choice(recipes()),
    metavar="NAME",
    help=f"A whole training, see `minise recipes`. One of: {', '.join(recipes())}."
    f"  [default: {DEFAULT}, unless --model or --config is given]",
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Options from a TOML file, such as the config.toml of a run.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Go on with a run that was interrupted; of the options, only the machine and data ones may change.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: start, every epoch, done.")
@click.option(
    "--tensorboard", is_flag=True, help="Also write event files for TensorBoard, in RUN/tensorboard."
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: Path | None,
    recipe: str | None,
    file: Path | None,
    resume: Path | None,
    as_json: bool,
    tensorboard: bool,
    **options: Any,
) -> None:
    """Train a model, test it once at the end, and keep everything about it in a run folder.

    \b
    minise train --dataset cifar10 --act felu
    minise train --dataset shapes10 --model se-convnet --epochs 3
    minise train --model se-resnet20 --act felu --epochs 30
    minise train --config my.toml --seed 1 --run runs/second
    """
    given = given_options(ctx, options)
    if resume is not None:
        refuse_options(ctx, given)
        config = dataclasses.replace(Run.open(resume).config, **given)
        path = resume
    else:
        config = merged_config(given, file, recipe)
        path = run or own_folder(config)
    try:
        board = board_at(path) if tensorboard else None
        follow(config, path, resume=resume is not None, as_json=as_json, board=board)
    finally:
        if path not in (run, resume):
            with contextlib.suppress(OSError):  # of a training that never began
                path.rmdir()
                path.parent.rmdir()


def refuse_options(ctx: click.Context, given: dict[str, Any]) -> None:
    """A resumed run computes what it was configured to, wherever: raises UsageError for any other option."""
    names = [
        *(name for name in given if name not in MACHINE),
        *(name for name in ("run", "recipe", "file") if ctx.params[name] is not None),
    ]
    if names:
        flags = {p.name: p.opts[0] for p in ctx.command.params}
        shown = ", ".join(flags[name] for name in names)
        raise click.UsageError(f"--resume goes on as the run was configured; it does not take {shown}")


def own_folder(config: TrainConfig) -> Path:
    """A new folder runs/DATASET-MODEL[-ACT]-TIME, with a number where that is taken."""
    time = f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    name = "-".join(part for part in (config.dataset, config.model, config.act, time) if part)
    return new_folder(Path("runs") / name)


def make_report(as_json: bool) -> Report:
    """What suits the reader: a program, a screen, or a file."""
    if as_json:
        return JsonReport()
    if not is_screen():
        return TextReport()
    from minise_cli.progress.live import LiveReport  # Rich takes longer to import than the others to run

    return LiveReport()


def board_at(path: Path) -> Report:
    """What writes TensorBoard's event files into the run folder."""
    from minise_cli.progress.tensorboard import BoardReport

    return BoardReport(path / "tensorboard")


def follow(
    config: TrainConfig, path: Path, *, resume: bool, as_json: bool, board: Report | None = None
) -> None:
    """Run the training and show its events; whatever ends it, the run folder is left in order."""
    with Waiting(f"preparing {config.dataset}") as waiting:
        events = train(config, path, resume=resume, progress=waiting)
        with contextlib.closing(events):  # a stop between two events is a stop of the training, too
            try:
                first = next(events)
                waiting.close()
                warn_if_unofficial(first)
                with make_report(as_json) as report, board or contextlib.nullcontext():
                    for event in itertools.chain([first], events):
                        report.show(event)
                        if board is not None:
                            board.show(event)
            except KeyboardInterrupt as error:
                events.close()
                raise stopped(path, error) from error


def warn_if_unofficial(event: Event) -> None:
    """Results on other files than the official ones must not be compared with published ones."""
    if isinstance(event, Started) and event.dataset.official is False:
        warn(f"{event.dataset.name}: not the official files; results on them are not comparable with others'")
