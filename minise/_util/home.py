"""Paths that begin with ~, the user's home, which not every user has."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from minise.errors import ConfigError


def expanded(path: str | os.PathLike[str]) -> Path:
    """`path` with ~ as the user's home. Raises ConfigError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{os.fspath(path)}: found no such home folder, expected a path without ~"
        ) from error


def in_home(path: str) -> Path:
    """The folder `path` for what can be had again, ~/… among temporary files where the user has no home."""
    found = Path(os.path.expanduser(path))
    return Path(tempfile.gettempdir(), *found.parts[1:]) if found.parts[0] == "~" else found
