"""What commands print: JSON and warnings as lines, the console that drawings go to, and how far a download is.

Rich is imported only for what is drawn.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, NoReturn, Self

import click
from minise_cli.render.format import scaled

from minise._util.to_json import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from minise.data import Dataset

WIDE = 160
"""Columns where neither a terminal nor COLUMNS bounds them."""
LEAST = 20
"""Columns that everything finds room in; in a narrower terminal, lines wrap."""


def print_json(*values: Any) -> None:
    """One value per line, at once."""
    for value in values:
        click.echo(json.dumps(plain(value), allow_nan=False, default=str))


def warn(*messages: str) -> None:
    """Each message as a line on stderr."""
    for message in messages:
        click.echo(f"warning: {message}", err=True)


def unofficial(dataset: Dataset) -> list[str]:
    """The warning about results on other files than the official ones, which published results are of."""
    if dataset.official is not False:
        return []
    return [f"{dataset.name}: not the official files; results on them are not comparable with others'"]


def is_screen() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def console() -> Console:
    """Standard output, without colors that nobody asked for. A closed pipe raises BrokenPipeError."""
    from rich.console import Console

    def broken_pipe() -> NoReturn:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    screen = sys.stdout.isatty()
    columns = get_terminal_size((WIDE, 25)).columns if screen or os.environ.get("COLUMNS") else WIDE
    width = (
        None if screen and columns >= LEAST else max(columns, LEAST)
    )  # None: as wide as the terminal becomes
    made = Console(highlight=False, emoji=False, width=width)
    made.on_broken_pipe = broken_pipe  # type: ignore[method-assign]  # Rich would exit with 1
    return made


class Waiting:
    """What stands on stderr while something is prepared: words, and a bar once it is called with
    (bytes done, bytes in all or None). Where stderr is no terminal, only a download says something.

    `close` makes room for what comes next; so does the end of the block.
    """

    def __init__(self, words: str) -> None:
        self.words, self.screen = words, sys.stderr.isatty()
        self.bar: Progress | None = None
        self.done: int | None = None

    def __enter__(self) -> Self:
        if self.screen:
            click.echo(f"{self.words} …", err=True, nl=False)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __call__(self, done: int, total: int | None) -> None:
        if self.done is None:
            self.start(total)
        self.done = done
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, total=total)

    def start(self, total: int | None) -> None:
        """A download has begun."""
        if self.screen:
            self.clear()
            self.bar = byte_bar()
            self.bar.add_task("downloading", total=total)
            self.bar.start()
        else:
            click.echo(f"downloading ({scaled(total, 'B') if total else 'size unknown'}) …", err=True)

    def clear(self) -> None:
        """Take the words away."""
        if self.screen:
            click.echo("\r\x1b[K", err=True, nl=False)
            self.screen = False

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
        elif self.done is not None:
            click.echo(f"downloaded {scaled(self.done, 'B')}", err=True)
        self.clear()
        self.bar, self.done = None, None


def byte_bar() -> Progress:
    """A bar for a download, on stderr."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    return progress.Progress(*columns, console=Console(stderr=True), transient=True)
