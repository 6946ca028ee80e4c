"""Where data sets are looked for, and where downloads go.

1. The folder that was asked for: only there. 2. The folder in the environment variable MINISE_DATA_DIR: only
there. Else: 3. `data/` of the checkout that minise runs from. 4. The user's cache folder.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from minise._util.home import expanded, in_home
from minise.data.official import CifarSet, Form
from minise.errors import DataError

VARIABLE = "MINISE_DATA_DIR"
PACKAGE = Path(__file__).resolve().parent.parent  # the folder minise/

DataDir = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Found:
    """A folder or an archive on the disk, and the form its name or content says it has."""

    form: Form
    path: Path


def checkout_folder(package: Path = PACKAGE) -> Path | None:
    """`data/` beside the package where this is a checkout of the project, else None."""
    root = package.parent
    signs = (root / "pyproject.toml", root / "data" / "README.md")
    return root / "data" if all(os.path.isfile(sign) for sign in signs) else None


def cache_folder(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Path:
    """minise's folder among the user's caches, by the custom of the operating system."""
    variable, default = {
        "win32": ("LOCALAPPDATA", "~/AppData/Local"),
        "darwin": ("", "~/Library/Caches"),
    }.get(platform, ("XDG_CACHE_HOME", "~/.cache"))
    return Path(environ.get(variable) or in_home(default)) / "minise"


def search_places(data_dir: DataDir = None) -> tuple[Path, ...]:
    """The folders to look in, in order. The first one is where a download goes."""
    chosen = data_dir if data_dir is not None else os.environ.get(VARIABLE)
    if chosen is not None and os.fspath(chosen) != "":
        return (expanded(chosen),)
    checkout = checkout_folder()
    return (*([checkout] if checkout else []), cache_folder())


def find_in(facts: CifarSet, place: Path) -> list[Found]:
    """Every form of the data set in one place: folders first, then archives; python first, then binary.

    The place may also be such a folder or such an archive itself. Raises DataError for a file that is none.
    """
    if os.path.isfile(place):
        found = [Found(form, place) for form in facts.forms if place.name == form.archive]
        if not found:
            names = " or ".join(form.archive for form in facts.forms)
            raise DataError(f"{place}: is a file, expected a folder or one named {names}")
        return found
    folder = os.path.isdir(place)
    itself = [
        Found(form, place)
        for form in facts.forms
        if folder and (place.name == form.folder or os.path.isfile(place / form.required[0]))
    ]
    folders = [Found(form, path) for form in facts.forms if os.path.isdir(path := place / form.folder)]
    archives = [Found(form, path) for form in facts.forms if os.path.isfile(path := place / form.archive)]
    return itself + folders + archives


def find(facts: CifarSet, data_dir: DataDir = None) -> Found | None:
    """The first form in the first place that has one, or None; one that lacks files only where none is whole."""
    found = [found for place in search_places(data_dir) for found in find_in(facts, place)]
    return min(found, key=lambda item: not _is_whole(item), default=None)


def _is_whole(found: Found) -> bool:
    """Whether all that is required is there; what it holds is not looked at."""
    return os.path.isfile(found.path) or all(
        os.path.isfile(found.path / name) for name in found.form.required
    )


def looked_in(data_dir: DataDir = None) -> str:
    """Where it was looked, in words."""
    return ", ".join(str(place) for place in search_places(data_dir))


def not_found(name: str, data_dir: DataDir = None) -> DataError:
    """The error for a data set that is nowhere: where it was looked for, and how to get it."""
    base = name.removesuffix("-coarse")
    return DataError(
        f"{name} is not in {looked_in(data_dir)}; get it with `minise data fetch {base}`, or say where it lies with "
        f"--data-dir or {VARIABLE}"
    )
