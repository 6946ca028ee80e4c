"""The pickle inside a file of PyTorch's: which names it may mention, and what they stand for here.

The machine is that of CIFAR's pickles, see `minise.data.unpickle`: it runs nothing that a file asks for. A tensor
is a view of a storage (where it begins, its shape and strides), and a storage is a number in the pickle whose bytes
lie elsewhere in the file. Both are kept as records, and checked before a byte of them is looked at.
Source of the format: the comments and the writer in PyTorch's own `torch/serialization.py` and `torch/_utils.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeGuard

import numpy as np

from minise.backend import Array
from minise.data.pickled import Name, RefusedError, kind_of, short_text
from minise.data.unpickle import STEPS, Machine

MOST = 2**40
"""Counts and places above this are not meant seriously."""


class StorageName(Name):
    """The class of a storage, `torch.FloatStorage` say; never called. dtype: as in `DTYPES`."""

    def __init__(self, dtype: str) -> None:
        super().__init__(None)
        self.dtype = dtype


@dataclass(frozen=True)
class Storage:
    """`count` numbers of a dtype in `DTYPES`, which lie in the file under `key`."""

    dtype: str
    key: str
    count: int


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


def is_count(n: object) -> TypeGuard[int]:
    """Whether it is a whole number, not negative, that may count something."""
    return type(n) is int and 0 <= n < MOST


def _tensor(*args: object) -> TorchTensor:
    """`_rebuild_tensor_v2(storage, offset, shape, strides, …)`; what follows matters to gradients alone."""
    if len(args) < 4 or not isinstance(args[0], Storage) or not is_count(args[1]):
        raise RefusedError("holds a tensor without (storage, offset, shape, strides)")
    shape, strides = args[2:4]
    counts = all(isinstance(a, tuple) and len(a) <= 8 and all(map(is_count, a)) for a in (shape, strides))
    if not (
        counts and isinstance(shape, tuple) and isinstance(strides, tuple) and len(shape) == len(strides)
    ):
        raise RefusedError("holds a tensor whose shape and strides are not equally many counts")
    return TorchTensor(args[0], args[1], shape, strides)


def _parameter(*args: object) -> TorchTensor:
    """`_rebuild_parameter(tensor, …)`."""
    if not (args and isinstance(args[0], TorchTensor)):
        raise RefusedError("holds a parameter that is no tensor")
    return args[0]


def _ordered_dict(*args: object) -> dict[Any, Any]:
    """`OrderedDict()`, filled later."""
    if args:
        raise RefusedError(
            "holds an OrderedDict that is made from something; expected an empty one, filled later"
        )
    return {}


STORAGES = {
    **{"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"},
    **{"LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8"},
    **{"ByteStorage": "U8", "BoolStorage": "BOOL"},
}
NAMES: dict[tuple[str, str], Name] = {
    ("collections", "OrderedDict"): Name(_ordered_dict),
    ("torch._utils", "_rebuild_tensor_v2"): Name(_tensor),
    ("torch._utils", "_rebuild_tensor"): Name(_tensor),  # before 0.4
    ("torch._utils", "_rebuild_parameter"): Name(_parameter),
    **{("torch", name): StorageName(dtype) for name, dtype in STORAGES.items()},
}


class TorchMachine(Machine):
    """Runs a pickle of `torch.save`. storages: those that it mentions, by their keys."""

    names = NAMES

    def __init__(self, data: bytes, at: int = 0) -> None:
        super().__init__(data, at)
        self.storages: dict[str, Storage] = {}

    def steps(self) -> Mapping[int, Callable[[Any], object]]:
        return TORCH_STEPS

    def key(self, key: object) -> str | int:
        """An optimiser's state has whole numbers as keys, too."""
        return key if type(key) is int else super().key(key)

    def build(self) -> None:
        """A state_dict has attributes, its `_metadata`: nothing in there is about the weights."""
        self.pop()
        self.top(dict)

    def persistent(self) -> None:
        """("storage", class, key, device, count), and in the older format a sixth, None unless it is of a storage."""
        named = self.pop()
        if not (isinstance(named, tuple) and len(named) in (5, 6) and short_text(named[0]) == "storage"):
            raise RefusedError(f"refers to a {kind_of(named)} outside the pickle, expected a storage")
        kind, key, _, count = named[1:5]
        if not (isinstance(kind, StorageName) and short_text(key) and is_count(count)) or named[5:] not in (
            (),
            (None,),
        ):
            raise RefusedError("refers to a storage without (class, key, device, count)")
        storage = Storage(kind.dtype, short_text(key), count)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise RefusedError(f"refers to the storage {storage.key!a} as two different ones")
        self.push(storage)


TORCH_STEPS: Mapping[int, Callable[[Any], object]] = {
    **STEPS,
    ord("G"): lambda m: m.push(m.number(">d")),  # BINFLOAT
    0x8A: lambda m: m.push(int.from_bytes(m.take(m.byte()), "little", signed=True)),  # LONG1
    ord("Q"): TorchMachine.persistent,  # BINPERSID
    ord("b"): TorchMachine.build,  # BUILD
}
