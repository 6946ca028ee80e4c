"""Getting an official archive from the network, or from a mirror, checked and unpacked or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from minise._util.home import expanded
from minise._util.lock import locked
from minise.data.files import read_archive
from minise.data.official import CIFAR, CifarSet, Form
from minise.data.verify import check
from minise.errors import ConfigError, DataError

if TYPE_CHECKING:
    from minise.data.transfer import Progress

SITE = "https://www.cs.toronto.edu/~kriz/"
VARIABLE = "MINISE_MIRROR"
TIMEOUT = 30.0  # seconds without a byte


def fetch(
    name: str,
    directory: str | os.PathLike[str],
    *,
    mirror: str | None = None,
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
    pause: float = 1.0,
    table: Mapping[str, CifarSet] = CIFAR,
) -> Path:
    """Download the python form of the data set `name` into `directory`; returns the folder that it is then.

    mirror: the address of a folder with the archive (else the environment's MINISE_MIRROR, else the makers'
    site); progress: called with (bytes done, bytes in all or None); timeout, pause: seconds, see
    `transfer.download`; table: the archives and their MD5s.

    The archive arrives in `NAME.tar.gz.part`, where an interrupted download is resumed; its MD5 is checked
    before anything reads it; the folder appears complete or not at all, by a rename. A sound folder or
    archive that is already there is used. Several processes may do this at once: one downloads, the others
    wait.

    Raises ConfigError for an unknown name or a mirror that is not an http(s) address, DataError for
    everything that the network, the disk or the content can do.
    """
    if name not in table:
        raise ConfigError(f"{name} is nothing to download; choose from {', '.join(table)}")
    form = table[name].forms[0]
    url = _address(mirror, form)
    place = expanded(directory)
    was_there = os.path.exists(place)
    if os.path.exists(place / form.folder) and not _is_empty(place / form.folder):
        _check_folder(
            form, place / form.folder
        )  # it appears complete: no lock is needed, nor a right to write
        return place / form.folder
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / f"{form.archive}.lock"):
            return _fetch(form, place, url, progress or (lambda done, total: None), timeout, pause)
    except OSError as error:
        with contextlib.suppress(OSError):
            if check(place / form.archive, form.archive_md5).ok:  # `load` reads that as well
                return place / form.archive
        path = error.filename or place
        raise DataError(f"{path}: cannot be used ({error.strerror or error})") from None
    finally:
        if not was_there:
            with contextlib.suppress(OSError):  # it holds something
                place.rmdir()


def _address(mirror: str | None, form: Form) -> str:
    base = mirror or os.environ.get(VARIABLE) or SITE
    try:
        parts = urllib.parse.urlsplit(base)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not (sound and base.isascii() and base.isprintable() and " " not in base):
        raise ConfigError(f"mirror {base!a}: expected an http:// or https:// address of a folder")
    return f"{base.rstrip('/')}/{form.archive}"


def _fetch(form: Form, place: Path, url: str, progress: Progress, timeout: float, pause: float) -> Path:
    target, archive, part = place / form.folder, place / form.archive, place / f"{form.archive}.part"
    if target.exists() and not _is_empty(target):
        _check_folder(form, target)
    elif check(archive, form.archive_md5).ok:  # somebody brought it: it stays
        _unpack(form, archive, target)
    else:
        if not check(part, form.archive_md5).ok:  # else unpacking failed last time
            _download(form, url, part, progress, timeout, pause)
        _unpack(form, part, target)
        part.unlink()
    return target


def _is_empty(folder: Path) -> bool:
    """Whether it is a folder that holds nothing: one that is unpacked may take its place."""
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def _check_folder(form: Form, folder: Path) -> None:
    """Never overwrite what somebody put there: it is the official content, or an error."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder; move it away to download that")
    for name in form.required:
        path, found, expected, ok = check(folder / name, form.md5[name])
        if not ok:
            what = f"MD5 {found or 'no such file'}, expected {expected}"
            raise DataError(f"{path}: {what}; move the folder away to download it afresh")


def _download(form: Form, url: str, part: Path, progress: Progress, timeout: float, pause: float) -> None:
    from minise.data.transfer import download  # its parts of Python are not everywhere

    try:
        if url.startswith("https:"):
            import ssl  # noqa: F401
        download(url, part, progress, timeout, pause)
    except ImportError as error:
        raise DataError(
            f"{url}: this Python cannot download by https ({error}), expected its module ssl"
        ) from None
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{part}: cannot be written ({reason}); kept as it is, the next try resumes"
        ) from None
    _, found, expected, ok = check(part, form.archive_md5)
    if not ok:
        part.unlink()
        what = f"MD5 {found}, expected {expected}; deleted"
        raise DataError(f"{url}: {what}. Try again, or another source with --mirror or {VARIABLE}")


def _unpack(form: Form, archive: Path, target: Path) -> None:
    """Make the folder `target` of the files of `archive`, whose MD5 is known to be right."""
    temporary = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed: we hold the lock
    try:
        temporary.mkdir()
        for file in read_archive(form, archive):
            (temporary / file.name).write_bytes(file.data)
        with contextlib.suppress(OSError):  # Windows renames onto no folder, not even an empty one
            target.rmdir()
        os.rename(temporary, target)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{target}: cannot be unpacked ({reason}); {archive} is kept") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
