"""The folder where numba keeps what it compiles: one that it chooses, or a temporary one where none can be used."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numba

from minise.ops import activation


def forget_stale(folder: Path, digest: str) -> bool:
    """Delete what a cache folder holds of other versions of these files; whether it holds none of them now.

    numba compiles a loop again when its own file changes, but not when that of a tile changes which it contains.
    """
    stamp = folder / "loops.sha256"
    with contextlib.suppress(OSError):
        if stamp.exists() and stamp.read_text() == digest:
            return True
        for file in folder.glob("*.nb[ic]"):
            file.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest)
        return True
    return False


def digest() -> str:
    """A checksum over the files that the loops are made of; GELU's constants are the reference's."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(activation.__file__)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def chosen() -> Path | None:
    """The folder that numba chooses for loops of this package; None where it finds none that can be used."""
    homeless = os.path.expanduser("~") == "~" and not os.environ.get("XDG_CACHE_HOME")
    if homeless:  # numba would make a folder of that name
        os.environ["XDG_CACHE_HOME"] = os.devnull
    try:
        return Path(str(numba.njit(cache=True)(chosen).stats.cache_path))
    except RuntimeError:
        return None
    finally:
        if homeless:
            del os.environ["XDG_CACHE_HOME"]


def settle() -> Path | None:
    """Make sure that numba has a folder with nothing stale in it; a temporary one is returned.

    The processes that this one starts share it, and it is deleted when this one ends.
    """
    folder = chosen()
    if folder is not None and forget_stale(folder, digest()):
        with contextlib.suppress(OSError):
            for file in folder.glob("*.nb[ic]"):
                file.open("rb").close()  # those of another user may not be read
            return None
    made = tempfile.mkdtemp(prefix="minise-numba-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    os.environ["NUMBA_CACHE_DIR"] = made
    vars(numba.config)["CACHE_DIR"] = made
    return Path(made)


TEMPORARY = settle()
"""The folder that is deleted in the end, or None."""
