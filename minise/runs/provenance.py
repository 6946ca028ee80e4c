"""Where a result comes from: versions, command, data, hardware, time."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minise
from minise._util.plugins import plugin_words, plugins_here
from minise.data import Dataset


@dataclass(frozen=True)
class Origin:
    """What the runs of a study share, and what a resumed run keeps: the data, and the plugins it was made with."""

    dataset: str
    checksum: str
    plugins: dict[str, str]

    def unlike(self, other: Origin) -> tuple[str, str] | None:
        """What this was made with and what the other has in its place, in words; None if they agree."""
        if self.plugins != other.plugins:
            return f"was made with the plugins {plugin_words(self.plugins)}", plugin_words(other.plugins)
        if self.dataset == other.dataset and self.checksum != other.checksum:
            return f"was trained on data with checksum {self.checksum[:12]}…", f"{other.checksum[:12]}…"
        return None


def origin_here(dataset: Dataset) -> Origin:
    """That of a run that began now."""
    return Origin(dataset.name, dataset.checksum, plugins_here())


def provenance(dataset: Dataset, device: str, backend: str, threads: int) -> dict[str, Any]:
    """Where a result comes from: versions, command, data, hardware, time."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["minise", *sys.argv[1:]]),
        "plugins": plugins_here(),
        "data": {
            "name": dataset.name,
            "checksum": dataset.checksum,
            "official": dataset.official,
            "classes": list(dataset.classes),
        },
        **machine(device, backend, threads),
    }


def machine(device: str, backend: str, threads: int) -> dict[str, Any]:
    """What computes here: a part of `provenance`, of which every resumption has one of its own."""
    return {
        "versions": versions(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "device": device,
            "backend": backend,
            "threads": threads,
        },
    }


def versions() -> dict[str, str]:
    """Of minise, with a checksum of its code, and of what it computes with."""
    numba = {"numba": sys.modules["numba"].__version__} if "numba" in sys.modules else {}
    return {
        "minise": minise.__version__,
        "source": source_checksum(),
        "numpy": np.__version__,
        **numba,
        "python": platform.python_version(),
    }


@cache
def source_checksum() -> str:
    """The first 16 digits of a SHA-256 of minise's own code, which tells edited copies of a version apart."""
    folder = Path(minise.__file__).parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".cu", ".cuh", ".toml"))
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
