"""A file of weights, whichever of the formats it is in: the first bytes tell."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors

from minise.backend import Array
from minise.data.pickle_machine import RefusedError
from minise.interchange.torch_read import read_legacy, read_zip
from minise.interchange.weights import DTYPES, Weights, WeightsError, numbers, read_note

MAX_BYTES = 1_000_000_000
"""The largest model here has 14 MB."""
Reader = Callable[[bytes], tuple[dict[str, Array], dict[str, Any]]]


def read_weights(path: str | Path) -> Weights:
    """The arrays in the file, as they are, by the names that they have there. Raises WeightsError.

    Nothing that a file asks for is run. bfloat16 becomes float32, which holds all of it.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise WeightsError(f"{path}: has {size} bytes, expected at most {MAX_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        format, reader = format_of(data)
        state, told = reader(data)
    except RefusedError as error:
        raise WeightsError(f"{path}: {error}") from None
    if not state:
        raise WeightsError(f"{path}: holds no arrays, expected the weights of a model")
    return Weights(str(path), format, hashlib.sha256(data).hexdigest(), state, told)


def format_of(data: bytes) -> tuple[str, Reader]:
    """The name of the file's format, and what reads it. Raises RefusedError."""
    for place, start, name, reader in SIGNS:
        if data.startswith(start, place):
            return name, reader
    raise RefusedError("is neither a file of torch.save nor safetensors")


def read_safetensors(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a safetensors file, and what `minise export` noted in it. Raises RefusedError."""
    try:
        found: Any = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise RefusedError(f"is not a whole safetensors file ({str(error)[:80]})") from None
    state = {}
    for name, a in found:
        if a["dtype"] not in DTYPES:
            raise RefusedError(
                f"holds numbers of the type {a['dtype']!s:.30}, expected one of {', '.join(DTYPES)}"
            )
        state[name] = numbers(bytes(a["data"]), a["dtype"]).reshape(a["shape"])
    header = json.loads(data[8 : 8 + struct.unpack_from("<Q", data)[0]])
    return state, read_note((header.get("__metadata__") or {}).get("minise"))


SIGNS: tuple[tuple[int, bytes, str, Reader], ...] = (
    # safetensors first: its first eight bytes are a number, and can be anything
    (8, b"{", "safetensors", read_safetensors),
    (0, b"PK\x03\x04", "torch", read_zip),
    (0, b"\x80", "torch, before 1.6", read_legacy),
)
"""A place in the file, what stands there, the name of the format, and what reads it."""
