"""What lies on the disk, and whether it is what its makers published."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from minise.data.official import CIFAR
from minise.data.places import DataDir, Found, find, find_in, not_found, search_places
from minise.errors import DataError


class FileCheck(NamedTuple):
    """One file: its MD5 (None where it is missing), the official one (None where unknown), and the verdict.

    ok is False for a missing file and a wrong MD5; a file with no known MD5 is ok.
    """

    path: Path
    found: str | None
    expected: str | None
    ok: bool


def locate(name: str, data_dir: DataDir = None) -> Path | None:
    """The folder or archive that `load(name, data_dir=data_dir)` would read; None where it would download.

    None also for a data set that is generated. Nothing is read. Raises DataError as `places.find` does.
    """
    found = find(CIFAR[name], data_dir) if name in CIFAR else None
    return found.path if found else None


def verify(name: str, data_dir: DataDir = None) -> list[FileCheck]:
    """The MD5s of every file of `name`, in every form and place, beside the official ones.

    Empty for a data set that is generated. Raises DataError when nothing is found or a file is unreadable.
    """
    if name not in CIFAR:
        return []
    found = [item for place in search_places(data_dir) for item in find_in(CIFAR[name], place)]
    if not found:
        raise not_found(name, data_dir)
    try:
        return [check for item in found for check in _checks(item)]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None


def _checks(found: Found) -> list[FileCheck]:
    form, path = found.form, found.path
    if os.path.isfile(path):
        return [check(path, form.archive_md5)]
    named = [name for name in form.names if os.path.isfile(path / name)]
    return [check(path / name, form.md5.get(name)) for name in (*form.required, *named)]


def check(path: Path, expected: str | None) -> FileCheck:
    """Compare a file's MD5: what the makers publish, good against damage, not against forgery. May raise OSError."""
    if not os.path.isfile(path):
        return FileCheck(path, None, expected, False)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return FileCheck(path, found, expected, expected in (None, found))
