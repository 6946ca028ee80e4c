"""The pickle inside a file of PyTorch's: which names it may mention, and what they stand for here.

A tensor is a view of a storage (where it begins, its shape and strides), and a storage is a key in the pickle whose
numbers lie elsewhere in the file. Both are kept as records, and checked before a byte of them is looked at.
Source of the format: the comments and the writer in PyTorch's own `torch/serialization.py` and `torch/_utils.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeGuard

import numpy as np

from minise.backend import Array
from minise.data.pickle_machine import Machine, Maker, RefusedError, Stateful, kind_of, short_text
from minise.interchange.weights import DTYPES

MOST = 2**40
"""Counts and places above this are not meant seriously."""


@dataclass(frozen=True)
class StorageKind:
    """The class of a storage, `torch.FloatStorage` say. dtype: as in `DTYPES`."""

    dtype: str


@dataclass(frozen=True)
class Storage:
    """`count` numbers of a dtype in `DTYPES`, which lie in the file under `key`."""

    dtype: str
    key: str
    count: int

    @property
    def nbytes(self) -> int:
        return self.count * np.dtype(DTYPES[self.dtype]).itemsize


@dataclass(frozen=True)
class TorchTensor:
    """The numbers of a storage at offset + i0·strides[0] + i1·strides[1] + …, for indices below those of shape."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise RefusedError if it is empty, leaves the storage, or has more numbers than that."""
        reach = sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        size = prod(self.shape)
        if not 0 < size <= self.storage.count or self.offset + reach >= self.storage.count:
            raise RefusedError(
                f"holds a tensor of shape {self.shape} in a storage of {self.storage.count} numbers"
            )

    def numpy(self, flat: Array) -> Array:
        """The tensor, a view of its storage's numbers (count,)."""
        strides = tuple(stride * flat.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides, writeable=False)


class StateDict(dict[Any, Any], Stateful):
    """An `OrderedDict()`, filled later. Its state are attributes, which say nothing about weights: `_metadata`."""

    def build(self, state: Any) -> None:
        """Let the state go."""


def is_count(n: object) -> TypeGuard[int]:
    """Whether it is a whole number, not negative, that may count something."""
    return type(n) is int and 0 <= n < MOST


def tensor(storage: object, offset: Any, shape: Any, strides: Any, *_: object) -> TorchTensor:
    """`_rebuild_tensor_v2(storage, offset, shape, strides, …)`; what follows matters to gradients alone."""
    tuples = isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides) <= 8
    if not (isinstance(storage, Storage) and tuples and all(map(is_count, (offset, *shape, *strides)))):
        raise RefusedError("holds a tensor without (storage, offset, shape, strides) that fit one another")
    return TorchTensor(storage, offset, shape, strides)


STORAGES = {
    **{"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"},
    **{"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8"},
    **{"ByteStorage": "U8", "BoolStorage": "BOOL"},
}


class TorchMachine(Machine):
    """Runs a pickle of `torch.save`. storages: those that it mentions, by their keys."""

    names: ClassVar = {
        ("collections", "OrderedDict"): Maker(
            lambda: StateDict()
        ),  # from nothing: what it is filled with is checked
        ("torch._utils", "_rebuild_tensor_v2"): Maker(tensor),
        ("torch._utils", "_rebuild_tensor"): Maker(tensor),  # before 0.4
        ("torch._utils", "_rebuild_parameter"): Maker(lambda tensor, *_: tensor),
        **{("torch", name): StorageKind(dtype) for name, dtype in STORAGES.items()},
    }

    def __init__(self, data: bytes, at: int = 0) -> None:
        super().__init__(data, at)
        self.storages: dict[str, Storage] = {}

    def key(self, key: object) -> str | int:
        """An optimizer's state has whole numbers as keys, too."""
        return key if type(key) is int else super().key(key)

    def persistent(self, _: object) -> None:
        """("storage", class, key, device, count), and in the older format a sixth, None unless it is of a storage."""
        (named,) = self.pop(1)
        if not (isinstance(named, tuple) and len(named) in (5, 6) and short_text(named[0]) == "storage"):
            raise RefusedError(f"refers to a {kind_of(named)} outside the pickle, expected a storage")
        _, kind, name, _, count, *view = named
        key = short_text(name)
        if not (isinstance(kind, StorageKind) and key and is_count(count) and view in ([], [None])):
            raise RefusedError("refers to a storage without (class, key, device, count)")
        storage = Storage(kind.dtype, key, count)
        if self.storages.setdefault(key, storage) != storage:
            raise RefusedError(f"refers to the storage {key!a} as two different ones")
        self.push(storage)

    steps: ClassVar = Machine.steps | {
        "BINFLOAT": Machine.push,
        "LONG1": Machine.push,
        "BINPERSID": persistent,
    }
