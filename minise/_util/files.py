"""Files that are whole or not there, folders that are new, and one process at a time in one."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from minise._util.lock import is_held, locked
from minise.errors import BusyError, RunError

LOCK = ".lock"
"""In a folder that a process works in."""


def write_atomically(path: Path, content: bytes) -> None:
    """Put `content` at `path`, or where it links to, whole or not at all. Raises RunError, as for a full disk."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise RunError(f"cannot write {path}: it is there and no file, expected a file or nothing")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        part.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise RunError(f"cannot write {path}: {error.strerror}") from error
        raise


def free_paths(path: Path) -> Iterator[Path]:
    """`path`, then with -2, -3 … after its name, those that do not exist."""
    names = itertools.chain([path.name], (f"{path.name}-{i}" for i in itertools.count(2)))
    return (new for name in names if not (new := path.with_name(name)).exists())


def new_folder(path: Path) -> Path:
    """Make a folder that is nobody else's: `path`, or with -2, -3 … after its name. Raises RunError."""
    make_folder(path.parent)
    for free in free_paths(path):
        try:
            free.mkdir()
        except FileExistsError:  # since it was looked for
            continue
        except OSError as error:
            raise RunError(f"run: cannot make the folder {free}: {error.strerror}") from error
        return free
    raise AssertionError("names never end")


def make_folder(path: str | Path) -> Path:
    """`path` as a folder, which may be there. Raises RunError."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"run: cannot make the folder {path}: {error.strerror}") from error
    return path


@contextmanager
def alone(path: Path, what: str = "run", lock: Path | None = None) -> Iterator[int]:
    """Hold the folder `path` of a run, or of what else is said, for the length of a `with`.

    lock: the file that does it, LOCK in the folder where none is named; gives its descriptor, see `locked`. Raises
    BusyError where another process holds it.
    """
    with ExitStack() as held:
        try:
            descriptor = held.enter_context(locked(lock or path / LOCK, wait=False))
        except BlockingIOError:
            raise BusyError(f"{what}: another process works on {path}, expected none") from None
        except OSError as error:
            raise RunError(f"{what}: cannot write {path}: {error.strerror}") from error
        yield descriptor


def in_use(path: Path) -> bool:
    """Whether a process holds the folder, as `alone` does; nothing is written."""
    return is_held(path / LOCK)


def check_new(path: str | Path) -> None:
    """Raise RunError unless `path` does not exist yet or is an empty folder."""
    path = Path(path)
    try:
        taken = path.exists() and (not path.is_dir() or any(p.name != LOCK for p in path.iterdir()))
    except OSError as error:
        raise RunError(f"run: cannot look into {path}: {error.strerror}") from error
    if taken:
        raise RunError(f"run: {path} exists and is not empty, expected a new folder; choose another --run")
