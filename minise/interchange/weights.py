"""Weights on their way between a file and a model: arrays by name, and what a file says about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from minise.backend import Array
from minise.errors import MiniseError
from minise.runs.run import Run

FORMAT = "minise-weights-1"
TOLD = ("model", "dataset", "act", "reduction", "alpha", "trunk_act", "tta")
"""The options of a run that its weights do not show, or not all of it, and that travel with them."""
DTYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}
"""A dtype as safetensors calls it -> as NumPy does, which lacks bfloat16: the upper half of a float32."""


class WeightsError(MiniseError):
    """A file of weights that is damaged, is not one, or does not fit the model."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file holds. state: its arrays by their names there; told: what `minise export` noted, of `TOLD`."""

    where: str
    format: str
    sha256: str
    state: dict[str, Array]
    told: dict[str, Any]


def numbers(raw: bytes, dtype: str, *, big: bool = False) -> Array:
    """The numbers (n,) of a dtype in `DTYPES`, little-endian unless `big`; bfloat16 as float32."""
    flat = np.frombuffer(raw, np.dtype(DTYPES[dtype]).newbyteorder(">" if big else "<"))
    return (flat.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else flat


def note(run: Run) -> str:
    """What travels with the weights of a run, as JSON: the options in `TOLD`."""
    return json.dumps({"format": FORMAT} | {name: getattr(run.config, name) for name in TOLD})


def read_note(text: str | bytes | None) -> dict[str, Any]:
    """What `note` wrote; {} for anything else, since other programs may use the same place."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    if not (isinstance(found, dict) and found.get("format") == FORMAT):
        return {}
    return {name: found[name] for name in TOLD if _is_option(found.get(name))}


def _is_option(value: object) -> bool:
    """Whether it may be the value of an option, and may be shown."""
    return isinstance(value, int) or (isinstance(value, str) and len(value) < 40 and value.isprintable())
