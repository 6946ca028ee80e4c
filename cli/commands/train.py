"""`minise train`: options in, events out, shown as a live display, as plain lines or as JSON."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import FILE, PATH, choice, json_option
from minise_cli.errors import CommandError, interrupted
from minise_cli.options import GroupedCommand, given_options, merged_config, train_options
from minise_cli.progress.display import Display, follow
from minise_cli.progress.lines import display_for
from minise_cli.render.console import Waiting

from minise._util.files import new_folder
from minise.runs.job import train
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
    "--run", type=PATH, metavar="DIR", help="The folder to make. Default: runs/DATASET-MODEL-ACT-TIME."
)
@choice(
    "--recipe",
    among=recipes(),
    words="A whole training, see `minise recipes`.",
    show_default=f"{DEFAULT}, unless --model or --config is given",
)
@click.option(
    *("--config", "file"),
    type=FILE,
    metavar="FILE",
    help="Options from a TOML file, such as the config.toml of a run.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="RUN",
    help="Go on with a run that was interrupted; of the options, only the machine and data ones may change.",
)
@json_option("One JSON object a line: start, every epoch, done.")
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
        with Waiting(f"preparing {config.dataset}") as waiting:
            displays = [display_for(as_json), *([tensorboard_files(path)] if tensorboard else [])]
            events = train(config, path, resume=resume is not None, progress=waiting)
            follow(events, waiting, *displays, stopped=partial(stopped, path))
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


def tensorboard_files(path: Path) -> Display:
    """What writes TensorBoard's event files into the run folder."""
    from minise_cli.progress.tensorboard import TensorBoardFiles

    return TensorBoardFiles(path / "tensorboard")


def stopped(path: Path, error: KeyboardInterrupt) -> CommandError:
    """The line for a training run that was interrupted: where it is, and how to go on."""
    if not (path / "run.json").exists():
        return interrupted("the training had not begun; no run was made", error)
    if not (path / "model.safetensors").exists():
        return interrupted(f"{path} has no weights yet; `minise train --resume {path}` starts anew", error)
    ways = f"`minise evaluate {path}` tests it, `minise train --resume {path}` goes on"
    return interrupted(f"the run is kept in {path}: {ways}", error)
