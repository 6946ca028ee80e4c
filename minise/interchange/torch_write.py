"""Writing a state_dict as `torch.save` does, without PyTorch: `torch.load(weights_only=True)` reads it.

A zip archive, nothing in it compressed: a pickle of an OrderedDict of tensors, and a file with the numbers of each.
Equal weights give equal files. Source of the format: see `torch_pickle`.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

from minise.backend import Array
from minise.interchange.torch_read import NOTE

FOLDER = "weights"
ALIGNMENT = 64
"""Numbers begin at a multiple of this in the file, so that `torch.load(mmap=True)` can take them from there."""
HEADER = 30
"""Bytes before the name of a member."""
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"ctorch\nFloatStorage\n"
FALSE, MARK, TUPLE, PERSISTENT, CALL = b"\x89", b"(", b"t", b"Q", b"R"


def torch_bytes(state: Mapping[str, Array], note: str) -> bytes:
    """The file: `state` in float32, and `note` beside it, in a member that PyTorch passes over."""
    arrays = {name: np.array(a, "<f4", order="C") for name, a in state.items()}
    members = {"data.pkl": pickled(arrays), "byteorder": b"little", "version": b"3\n", NOTE: note.encode()}
    members |= {f"data/{i}": a.tobytes() for i, a in enumerate(arrays.values())}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(f"{FOLDER}/{name}")  # of 1980, whenever it is written
            info.extra = _padding(file.tell() + HEADER + len(info.filename))
            archive.writestr(info, content)
    return file.getvalue()


def _padding(end: int) -> bytes:
    """An extra field after a header that ends at byte `end`, so that what follows is aligned."""
    n = -(end + 4) % ALIGNMENT
    return b"FB" + struct.pack("<H", n) + b"\0" * n


def pickled(arrays: Mapping[str, Array]) -> bytes:
    """The pickle, protocol 2, of an OrderedDict of tensors, the i-th of which has the storage i for itself."""
    items = b"".join(_text(name) + _tensor(i, a) for i, (name, a) in enumerate(arrays.items()))
    return b"\x80\x02" + ORDERED_DICT + MARK + items + b"u."


def _tensor(i: int, a: Array) -> bytes:
    """_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)."""
    strides = tuple(stride // a.itemsize for stride in a.strides)
    storage = MARK + _text("storage") + STORAGE + _text(str(i)) + _text("cpu") + _number(a.size) + TUPLE
    arguments = storage + PERSISTENT + _number(0) + _counts(a.shape) + _counts(strides) + FALSE + ORDERED_DICT
    return TENSOR + MARK + arguments + TUPLE + CALL


def _text(text: str) -> bytes:
    raw = text.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _number(n: int) -> bytes:
    return b"J" + struct.pack("<i", n)


def _counts(counts: tuple[int, ...]) -> bytes:
    return MARK + b"".join(map(_number, counts)) + TUPLE
