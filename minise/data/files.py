"""Reading the files of a data set from a folder or from a .tar.gz archive, with every size bounded.

An archive is never unpacked to the disk: only the members that are expected by name are looked at, and only if they
are regular files.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minise.data.official import Form
from minise.data.places import VARIABLE
from minise.errors import DataError

MAX_BYTES = (
    400_000_000  # of a file, and of all that an archive unpacks to; the largest official one has 185 MB
)
MAX_MEMBERS = 1000  # of an archive; the official ones have 9 at most


@dataclass(frozen=True)
class File:
    """One file that was read: its name in the official form, where it was found, its bytes."""

    name: str
    where: str
    data: bytes


def read_files(form: Form, path: Path) -> Iterator[File]:
    """The files of `form` in the folder or archive at `path`, one at a time.

    Files with class names come first where there is a folder, in any order from an archive; they may be
    missing, the others may not. Raises DataError for what is missing, too large or not readable.
    """
    yield from read_archive(form, path) if os.path.isfile(path) else _read_folder(form, path)


def _read_folder(form: Form, folder: Path) -> Iterator[File]:
    # os.path.isfile says False where Path.is_file would raise PermissionError.
    missing = [name for name in form.required if not os.path.isfile(folder / name)]
    if missing:
        raise DataError(f"{folder}: incomplete, {missing[0]} is missing; expected {', '.join(form.required)}")
    for name in form.names + form.required:
        if os.path.isfile(folder / name):
            yield File(name, str(folder / name), _read(folder / name))


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: has {size} bytes, expected at most {MAX_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); say where else the data lie with --data-dir or {VARIABLE}"
        ) from None


def read_archive(form: Form, path: Path) -> Iterator[File]:
    """The files of `form` in the archive at `path`, in the order in which they stand there.

    Read to the end first, so that gzip's own checksum of the content is checked too. Raises DataError.
    """
    wanted = {f"{form.folder}/{name}": name for name in form.names + form.required}
    found = set()
    try:
        with path.open("rb") as start:
            packed = start.read(2) == b"\x1f\x8b"  # else something on the way has unpacked it
        with gzip.open(path) if packed else path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)  # here a gzip bomb fizzles out
        if len(content) > MAX_BYTES:
            raise ValueError(f"unpacks to more than {MAX_BYTES} bytes")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for count, member in enumerate(tar):
                if count >= MAX_MEMBERS:
                    raise ValueError(f"has more than {MAX_MEMBERS} members")
                name = wanted.pop(member.name.removeprefix("./"), None)
                if name is None:
                    continue
                file = tar.extractfile(member) if member.isreg() and not member.issparse() else None
                if file is None:
                    raise ValueError(f"{member.name!a} is not a regular file")
                found.add(name)
                yield File(name, f"{path}: {member.name}", file.read())
    except DataError:
        raise
    except Exception as error:  # tarfile and gzip raise a dozen kinds on damaged or hostile input
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: not a sound .tar.gz archive ({reason})") from None
    missing = [name for name in form.required if name not in found]
    if missing:
        raise DataError(f"{path}: incomplete, {form.folder}/{missing[0]} is missing")
