"""Reading what `torch.save` wrote, without PyTorch: the zip archive of today, and the row of pickles before 1.6."""

from __future__ import annotations

import io
import zipfile
from math import prod
from typing import Any

from minise.backend import Array
from minise.data.pickle_machine import RefusedError, kind_of
from minise.interchange.torch_pickle import Storage, TorchMachine, TorchTensor
from minise.interchange.weights import numbers, read_note

MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of the older format."""
NOTE = "minise.json"
"""Where, in an archive, `minise export` notes what PyTorch has no place for."""


def read_zip(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """The state_dict in an archive, and what `minise export` noted in it. Raises RefusedError.

    The archive holds NAME/data.pkl, and the numbers of each storage in NAME/data/KEY.
    """
    members = unzipped(data)
    machine = TorchMachine(members["data.pkl"])
    found = machine.run()
    big = members.get("byteorder") == b"big"
    if missing := [key for key in machine.storages if f"data/{key}" not in members]:
        raise RefusedError(f"lacks {f'data/{missing[0]}'!a}, expected a whole archive of torch.save")
    flat = {key: _numbers(members[f"data/{key}"], s, big) for key, s in machine.storages.items()}
    return _arrays(found, flat, len(data)), read_note(members.get(NOTE))


def unzipped(data: bytes) -> dict[str, bytes]:
    """The members of an archive, by their names below the one folder that all of it lies in.

    PyTorch compresses nothing, so whatever is compressed is refused: what is stored is never larger than the file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise RefusedError("is a compressed zip archive, expected a stored one as torch.save writes")
            if sum(info.file_size for info in infos) > len(data):
                raise RefusedError(f"claims to hold more than its {len(data)} bytes")
            members = {info.filename: archive.read(info) for info in infos}
    except RefusedError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damaged or hostile input
        reason = (str(error) or type(error).__name__).splitlines()[0][:80]
        raise RefusedError(f"is not a sound zip archive ({reason})") from None
    folders = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(folders) != 1:
        raise RefusedError(
            f"is a zip archive with {len(folders)} files data.pkl, expected 1 as torch.save writes"
        )
    return {name.removeprefix(folders[0]): content for name, content in members.items()}


def read_legacy(data: bytes) -> tuple[dict[str, Array], dict[str, Any]]:
    """The state_dict in a file as PyTorch wrote it before 1.6. Raises RefusedError.

    Five pickles: a magic number, the format's, the machine's byte order, the object, the keys of its storages. Then
    for each key a count (8 bytes) and so many numbers.
    """
    at, parts = 0, list[Any]()
    storages: dict[str, Storage] = {}
    for _ in range(5):
        machine = TorchMachine(data, at)
        parts.append(machine.run())
        at, storages = machine.at, storages | machine.storages
        if parts[0] != MAGIC:
            raise RefusedError("is a pickle, but not one that torch.save wrote")
    _, _, system, found, keys = parts
    big = isinstance(system, dict) and system.get("little_endian") is False
    if not (isinstance(keys, list) and all(isinstance(key, str) for key in keys)):
        raise RefusedError(f"has a {kind_of(keys)} where the keys of its storages should stand")
    if missing := storages.keys() - set(keys):
        raise RefusedError(f"lacks the numbers of {len(missing)} of its {len(storages)} storages")
    flat: dict[str, Array] = {}
    for key in keys:
        storage = storages.get(key)
        if storage is None or key in flat:
            raise RefusedError(f"has the numbers of a storage that it does not mention: {key[:30]!a}")
        start, at = at + 8, at + 8 + storage.nbytes
        if int.from_bytes(data[start - 8 : start], "little") != storage.count:
            raise RefusedError(f"is cut off or damaged in the storage {key[:30]!a}")
        flat[key] = _numbers(data[start:at], storage, big)
    return _arrays(found, flat, len(data)), {}


def _numbers(raw: bytes, storage: Storage, big: bool) -> Array:
    if len(raw) != storage.nbytes:
        raise RefusedError(f"has {len(raw)} bytes in the storage {storage.key!a}, expected {storage.nbytes}")
    return numbers(raw, storage.dtype, big=big)


def _arrays(found: object, flat: dict[str, Array], size: int) -> dict[str, Array]:
    """The tensors of the state_dict as arrays; `flat`: the numbers of each storage, `size`: bytes of the file."""
    tensors = state_dict(found)
    if sum(prod(t.shape) for t in tensors.values()) > size:
        raise RefusedError(f"shows its {size} bytes as more numbers than that; refused")
    return {name: t.numpy(flat[t.storage.key]).copy() for name, t in tensors.items()}


def state_dict(found: object) -> dict[str, TorchTensor]:
    """`found` if it is a dict of tensors, or else the one member of it that is. Raises RefusedError."""
    if not isinstance(found, dict):
        raise RefusedError(f"holds a {kind_of(found)}, expected a state_dict")
    states = {"": found} if _is_state(found) else {k: v for k, v in found.items() if _is_state(v)}
    if len(states) == 1:
        return next(iter(states.values()))
    shown = ", ".join(str(key)[:30] for key in list(states or found)[:3])
    what = f"{len(states)} dicts of tensors" if states else "no dict of tensors"
    raise RefusedError(f"holds {what}, expected one state_dict; found {shown or 'nothing'}")


def _is_state(value: object) -> bool:
    """Whether it is a dict of tensors by name, and not empty."""
    if not (isinstance(value, dict) and value):
        return False
    return all(isinstance(k, str) and isinstance(v, TorchTensor) for k, v in value.items())
