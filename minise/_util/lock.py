"""One process at a time: a lock on a file, which ends with the process that holds it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
    import time

    def _acquire(file: IO[bytes], wait: bool) -> None:
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            except OSError as error:  # held by another process
                if not wait:
                    raise BlockingIOError(*error.args) from error
                time.sleep(0.1)

else:

    def _acquire(file: IO[bytes], wait: bool) -> None:
        # On a file system or a Python without locks go on without: it is for the user then not to start two at once.
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except (ImportError, OSError):
            pass


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether `file` still lies at `path`; the one who held it before us may have removed it as we waited."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock file `path` for the length of a `with`; wait as long as another process or thread has it.

    Gives the file's descriptor: a process that inherits it holds the lock as well, until it ends. The file is removed
    afterwards. Raises OSError where it cannot be made, and BlockingIOError when another has it
    and `wait` is False.
    """
    while True:
        file = path.open("ab")
        try:
            _acquire(file, wait)
            if _is_at(file, path):
                break
        except BaseException:
            file.close()
            raise
        file.close()
    try:
        yield file.fileno()
    finally:
        if sys.platform != "win32":  # Windows does not remove a file that is open
            path.unlink(missing_ok=True)
        file.close()


def is_held(path: Path) -> bool:
    """Whether another process holds the lock file `path`, which need not be writable; it stays as it is."""
    try:
        with path.open("rb") as file:
            _acquire(file, wait=False)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or it is closed to this user: nothing says that it is held
        return False
    return False
