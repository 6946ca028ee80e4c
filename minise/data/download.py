"""Getting an official archive from the network, or from a mirror, checked and unpacked or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from minise._util.lock import locked
from minise.data.files import read_archive
from minise.data.official import CIFAR, CifarSet, Form
from minise.data.transfer import Progress, download
from minise.errors import ConfigError, DataError

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
    place = Path(directory).expanduser()
    was_there = place.exists()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / f"{form.archive}.lock"):
            return _fetch(form, place, url, progress or _silent, timeout, pause)
    except OSError as error:
        path = error.filename or place
        raise DataError(f"{path}: cannot be used ({error.strerror or error})") from None
    finally:
        if not was_there:
            with contextlib.suppress(OSError):  # it holds something
                place.rmdir()


def _silent(done: int, total: int | None) -> None:
    pass


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
    if target.exists():
        _check_folder(form, target)
        return target
    if os.path.isfile(archive) and md5_of(archive) == form.archive_md5:  # somebody brought it: it stays
        return _unpack(form, archive, target)
    if not (
        os.path.isfile(part) and md5_of(part) == form.archive_md5
    ):  # whole where unpacking failed last time
        _download(form, url, part, progress, timeout, pause)
    _unpack(form, part, target)
    part.unlink()
    return target


def _download(form: Form, url: str, part: Path, progress: Progress, timeout: float, pause: float) -> None:
    try:
        download(url, part, progress, timeout, pause)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{part}: cannot be written ({reason}); kept as it is, the next try resumes"
        ) from None
    found = md5_of(part)
    if found != form.archive_md5:
        part.unlink()
        raise DataError(
            f"{url}: MD5 {found}, expected {form.archive_md5}; deleted. Try again, or another source with "
            f"--mirror or {VARIABLE}"
        )


def _check_folder(form: Form, folder: Path) -> None:
    """Never overwrite what somebody put there: it is the official content, or an error."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file, expected a folder; move it away to download that")
    for name in form.required:
        path = folder / name
        found = md5_of(path) if path.is_file() else "no such file"
        if found != form.md5[name]:
            raise DataError(
                f"{path}: MD5 {found}, expected {form.md5[name]}; move the folder away to download it afresh"
            )


def _unpack(form: Form, archive: Path, target: Path) -> Path:
    """The files of `archive`, whose MD5 is known to be right, as the folder `target`."""
    temporary = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a process that was killed: we hold the lock
    try:
        temporary.mkdir()
        for file in read_archive(form, archive):
            (temporary / file.name).write_bytes(file.data)
        os.rename(temporary, target)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{target}: cannot be unpacked ({reason}); {archive} is kept") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def md5_of(path: Path) -> str:
    """The MD5 (hex) of a file: what the makers publish, good against damage, not against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
