"""What can go wrong, as the line that is printed and the code the process exits with."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from types import FrameType

import click

STOPPED = 130  # as a shell counts: 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE


class CommandError(click.ClickException):
    """One line for stderr (none where the message is empty), what it starts with, and an exit code."""

    def __init__(self, message: str, code: int = 1, label: str = "error") -> None:
        super().__init__(message)
        self.label = label
        self.exit_code = code  # type: ignore[misc]


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: a scheduler or a closed terminal asks to stop, and what was learnt is to be kept."""

    def __init__(self, number: int) -> None:
        self.code = 128 + number


def listen() -> None:
    """Let SIGTERM and SIGHUP stop a command as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)


def failure(error: BaseException) -> CommandError:
    """The line and the code for an error; `MINISE_TRACEBACK=1` shows where one comes from that is a bug."""
    from minise._util.plugins import plugins_here
    from minise.errors import ConfigError, MiniseError

    if isinstance(error, MiniseError):
        return CommandError(str(error), 2 if isinstance(error, ConfigError) else 1)
    if isinstance(error, KeyboardInterrupt):
        return interrupted("nothing was finished", error)
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, MemoryError):
        return CommandError(
            f"memory: not enough ({str(error) or 'allocation failed'}); try smaller sizes, such as --batch-size"
        )
    if type(error).__module__.split(".")[0] in ("cupy", "cupy_backends"):
        return CommandError(
            f"device cuda: {' '.join(str(error).split())[:500]}; `minise doctor` shows what is there"
        )
    if os.environ.get("MINISE_TRACEBACK"):
        raise error
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    who = f"minise or a plugin ({', '.join(plugins_here())})" if plugins_here() else "minise"
    return CommandError(f"{who} has a bug: {words}; MINISE_TRACEBACK=1 shows where")


def interrupted(message: str, error: KeyboardInterrupt) -> CommandError:
    """The line for Ctrl-C and its like, with the code that tells a shell which signal it was."""
    return CommandError(message, getattr(error, "code", STOPPED), "interrupted")


def drop_stdout() -> None:
    """Forget what is still buffered for stdout and cannot be written: Python would complain at exit."""
    with contextlib.suppress(OSError, ValueError):  # no real file under it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _system(error: OSError) -> CommandError:
    if error.errno == errno.EPIPE:
        drop_stdout()
        return CommandError("", BROKEN_PIPE)
    what = f"{error.filename}: " if error.filename else ""
    return CommandError(f"{what}{error.strerror or error}")
