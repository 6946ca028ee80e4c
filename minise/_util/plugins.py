"""Python files of the user's that put rows into minise's tables: activations, models, data sets of their own.

A plugin is imported before anything is looked up, by the command that names it and by the processes of its study. A
run records its name and checksum, and is opened by a command that names it too: nothing that minise reads brings code
along.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from minise._util.home import expanded
from minise.errors import ConfigError

LOADED: dict[str, str] = {}
"""Absolute path -> SHA-256 of what was imported, in the order in which it was."""


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Import each file that is not yet; for the processes of studies too. Raises ConfigError for what cannot be."""
    for path in paths:
        place = expanded(path).absolute()
        if str(place) in LOADED:
            continue
        if place.name in plugins_here():
            raise ConfigError(
                f"plugin: found two files {place.name}, expected each to have a name of its own"
            )
        import_file(place, "plugin")
        LOADED[str(place)] = hashlib.sha256(place.read_bytes()).hexdigest()


def plugins_here() -> dict[str, str]:
    """What was imported, as a run records it: file name -> SHA-256."""
    return {Path(path).name: checksum for path, checksum in LOADED.items()}


def plugin_words(plugins: Mapping[str, str]) -> str:
    """Plugins as a run records them: "my.py (3415b1cc)"; "none"."""
    return ", ".join(f"{name} ({checksum[:8]})" for name, checksum in plugins.items()) or "none"


def import_file(path: Path, what: str) -> ModuleType:
    """Import a Python file, with its folder to import from; ConfigError in one line where that fails."""
    if not path.is_file() or path.suffix != ".py":
        raise ConfigError(f"{what}: {path} is no Python file, expected FILE.py")
    spec = spec_from_file_location(f"_{what}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code
        words = " ".join(str(error).split())
        raise ConfigError(
            f"{what}: {path} cannot be imported ({type(error).__name__}: {words}), expected a module"
        ) from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
