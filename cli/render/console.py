"""What goes to stderr beside errors: warnings, and how far a download is. Rich is imported only for a bar."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

import click
from minise_cli.render.format import scaled

if TYPE_CHECKING:
    from rich.progress import Progress


def is_screen() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def warn(message: str) -> None:
    """One line on stderr."""
    click.echo(f"warning: {message}", err=True)


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
        if not self.screen:
            click.echo(f"downloading ({scaled(total, 'B') if total else 'size unknown'}) …", err=True)
            return
        from minise_cli.render.draw import byte_bar

        self.clear()
        self.bar = byte_bar()
        self.bar.add_task("downloading", total=total)
        self.bar.start()

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
