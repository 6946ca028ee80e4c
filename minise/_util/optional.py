"""Modules that not every installation has."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from minise.errors import ConfigError


def optional(module: str, what: str, extra: str) -> Any:
    """The module, imported now; ConfigError with the extra that brings it where it is missing.

    what: for what it is needed, as the message begins.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f"{what}: needs {module} ({error}); pip install 'minise[{extra}]'") from error
