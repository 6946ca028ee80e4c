"""The command `minise`: a table of commands, each imported only when it is used."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import sys
import warnings
from typing import Any

import click
from minise_cli.errors import STOPPED, drop_stdout, failure, listen

COMMANDS = {
    "train": (".commands.train", "Train a model and keep everything about it in a run folder."),
    "evaluate": (".commands.evaluate", "Test a run: accuracy, per class, and what is taken for what."),
    "claim": (".commands.claim", "Test the claim that FeLU helps SE: a study with a verdict."),
    "inspect": (".commands.inspect", "Look into the SE blocks of a run: dead units and gates."),
    "compare": (".commands.compare", "Show runs side by side."),
    "report": (".commands.report", "Write a run or a study as a page to look at."),
    "gradcheck": (".commands.gradcheck", "Check gradients: every op, layer and model, or your own."),
    "explain": (".commands.explain", "Walk through one op with numbers: se, felu, conv and others."),
    "check-exercise": (".commands.check_exercise", "Check your answers to the lessons' exercises."),
    "export": (".commands.export", "Write a run's weights for PyTorch, safetensors or ONNX."),
    "import": (".commands.import_weights", "Make a run from weights that were trained elsewhere."),
    "recipes": (".commands.recipes", "List or print whole trainings to choose from."),
    "models": (".commands.models", "List the models, or one model's layers."),
    "data": (".commands.data", "List, fetch, verify and look at data sets."),
    "bench": (".commands.bench", "Time a training step, whole and op by op."),
    "doctor": (".commands.doctor", "Show what this machine has, and what is missing."),
    "completion": (".commands.completion", "Print the script that completes minise in a shell."),
}
"""Name -> (module, help in one line). The module holds the command under the name `command`."""


class LazyGroup(click.Group):
    """A group whose commands are rows of `COMMANDS`; every error leaves as one line and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`--plugin FILE` may stand behind the command as well."""
        first: list[str] = []
        rest: list[str] = []
        left = iter(args)
        for arg in left:
            (first if arg == "--plugin" or arg.startswith("--plugin=") else rest).append(arg)
            if arg == "--plugin":
                first += itertools.islice(left, 1)
            elif arg == "--":
                rest += left
        return super().parse_args(ctx, first + rest)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0], __package__).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        # Before Click sees them: it would print "Aborted!" for Ctrl-C, and 1 for a closed pipe.
        try:
            with warnings.catch_warnings():
                # of NumPy: what is no number is said where it matters
                warnings.simplefilter("ignore", RuntimeWarning)
                warnings.filterwarnings("default", category=UserWarning, module=r"minise\.")
                warnings.showwarning = show_warning
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise failure(error) from error

    def main(self, *args: Any, **extra: Any) -> Any:  # it never returns
        """Run, print an error as one line on stderr, and exit with its code."""
        for name in ("COLUMNS", "LINES"):
            if not os.environ.get(name, "").strip("0"):  # 0 is no size: Rich would print nothing
                os.environ.pop(name, None)
        extra |= {"standalone_mode": False, "prog_name": extra.get("prog_name") or "minise"}
        try:
            code = super().main(*args, **extra)
            sys.stdout.flush()
        except click.ClickException as error:
            code = print_error(error)
        except (click.Abort, KeyboardInterrupt):  # outside any command
            code = STOPPED
        except Exception as error:  # of a plugin; or nothing can be printed: a pipe is closed, a disk is full
            failed = failure(error)
            drop_stdout()
            code = print_error(failed)
        sys.exit(code if isinstance(code, int) else 0)


def show_warning(message: Warning | str, *_: Any) -> None:
    """What minise itself warns of, as a line on stderr."""
    click.echo(f"warning: {message}", err=True)


def print_error(error: click.ClickException) -> int:
    """Print the line of an error, if it has one; returns its exit code."""
    message = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        message = f"{message.removesuffix('.')} (see `{error.ctx.command_path} --help`)"
    if message:
        with contextlib.suppress(OSError):
            click.echo(f"{getattr(error, 'label', 'error')}: {message}", err=True)
    return error.exit_code


def import_plugins(ctx: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    """Import what `--plugin` names."""
    if files:
        from minise._util.plugins import load_plugins

        load_plugins(files)


@click.group(
    "minise",
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"], "show_default": True},
)
@click.option(
    "--plugin",
    multiple=True,
    type=click.Path(),
    envvar="MINISE_PLUGINS",
    metavar="FILE",
    is_eager=True,  # before any command looks into a table
    expose_value=False,
    callback=import_plugins,
    help="A Python file with activations, models or data sets of your own; may be given again.  [env:"
    " MINISE_PLUGINS, joined as in PATH]",
)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def cli(ctx: click.Context, version: bool) -> None:
    """Train, test and take apart channel-attention networks, on an autograd engine made from scratch.

    \b
    Start with:  minise train --dataset shapes10 --model se-convnet --epochs 3
    """
    if version:
        import minise

        click.echo(f"minise {minise.__version__}")
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main() -> None:
    """The entry point of the installed command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in this order, as their numbers
        if getattr(sys, name) is None:  # it was closed: a file would get its number, and what is printed
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without the character shows another one
    listen()
    try:
        cli.main()
    except KeyboardInterrupt:  # a second one, while the first was told
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
