"""Where a result comes from: versions, command, data, hardware, time."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import minise
from minise._util.plugins import plugins_here
from minise.data import Dataset


def provenance(dataset: Dataset, device: str, backend: str, threads: int) -> dict[str, Any]:
    """Where a result comes from: versions, command, data, hardware, time."""
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["minise", *sys.argv[1:]]),
        "versions": versions(),
        "plugins": plugins_here(),
        "data": {
            "name": dataset.name,
            "checksum": dataset.checksum,
            "official": dataset.official,
            "classes": list(dataset.classes),
        },
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
