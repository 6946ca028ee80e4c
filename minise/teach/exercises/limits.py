"""Running what somebody else wrote in a process of its own, with a limit on its time, its memory and what it prints.

On Linux the process is a fork, so functions of a notebook's cells run in it too. Elsewhere it is a new Python, which
gets what can be sent there: a file's definitions, not functions that exist in this process already. These run here,
with the limit on time alone where the platform has SIGALRM. It is no sandbox: files and the network are in reach.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from minise.backend import use_backend
from minise.teach.exercises.unfit import TimeUpError, UnfitError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

FORKS = sys.platform == "linux"
SECONDS = 10.0
MEMORY = 2 << 30
"""Bytes that an answer may take, besides what the process has at its start."""
PRINTED = 100_000
"""Characters that an answer may print."""
SHOWN = 2_000
"""How many of them are shown."""
GRACE = 2.0
"""Seconds after which a process is killed that does not let itself be interrupted."""


class EndedError(Exception):
    """The process ended without a result: in words, how."""


class Printed(io.StringIO):
    """What an answer prints, up to a limit."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > PRINTED:
            raise UnfitError(f"it prints more than {PRINTED:,} characters, expected few")
        return super().write(text)


def limited(work: Callable[..., Any], *args: Any, seconds: float = SECONDS) -> Any:
    """work(*args), which is made of what JSON has, from another process; what is printed there appears here.

    Raises EndedError where that process took too long, or ended by itself.
    """
    context: Any = multiprocessing.get_context("fork" if FORKS else "spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(there, seconds, work, args))
    with warnings.catch_warnings():  # a fork of a process with threads: nothing that the child does needs one
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    try:
        start = 0.0 if FORKS else SECONDS  # a new Python has minise to import
        if not here.poll(start + seconds + GRACE):
            raise EndedError(f"it is still running after {seconds:g} s, and cannot be interrupted")
        found = json.loads(here.recv_bytes())
    except (EOFError, OSError):
        process.join(GRACE)
        raise EndedError(f"its process ended {_how(process.exitcode)}, expected it to return") from None
    finally:
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(process.pid, signal.SIGKILL)  # with what it started
        process.kill()
        process.join()
        here.close()
    if len(found["printed"]) > SHOWN:
        found["printed"] = f"{found['printed'][:SHOWN]}… ({len(found['printed']):,} characters)\n"
    sys.stdout.write(found["printed"])
    return found["result"]


def _how(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"by {signal.Signals(-exitcode).name}"
    return f"by itself, with exit code {exitcode}"


def _serve(there: Connection, seconds: float, work: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What the process does: work(*args) within the limits, on one thread, and the result into the pipe."""
    if hasattr(os, "setsid"):
        os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    sys.stdout = sys.stderr = printed = Printed()
    _limit_memory()
    with use_backend("reference"), time_limit(seconds):
        result = work(*args)
    there.send_bytes(
        json.dumps(
            {"result": result, "printed": printed.getvalue().encode(errors="replace").decode()}
        ).encode()
    )


def _limit_memory() -> None:
    """Where the platform tells how much address space is taken already."""
    statm = Path("/proc/self/statm")
    if resource is not None and statm.exists():
        most = int(statm.read_text().split()[0]) * resource.getpagesize() + MEMORY
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (most, most))


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeUpError, once, in what runs longer; nothing without SIGALRM, or off the main thread."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: Any) -> None:
        raise TimeUpError(f"still running after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
