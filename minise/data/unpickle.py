"""CIFAR's python files: dicts of texts, numbers and NumPy arrays, pickled.

NumPy pickles an array as a call of `_reconstruct`, one of `dtype`, and a state for each. Records take their
places and check what they are given, so that no code of NumPy's runs on a file's say-so and an array of objects
cannot arise.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from minise.data.pickle_machine import Machine, Maker, RefusedError, Stateful, kind_of, short_text
from minise.errors import DataError

INTEGERS = frozenset(f"{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8))


def unpickle(data: bytes, where: str) -> dict[str, Any]:
    """The dict that the pickle `data` holds; `where` names the file in errors.

    Keys become str (Python 2 wrote bytes). A value is an array of integers (read-only), list, tuple, dict,
    int, bool, None, str or bytes; what lies deeper is the caller's to check. Raises DataError for anything
    else, for truncated input too, and never another exception.
    """
    try:
        found = NumPyMachine(data).run()
        if not isinstance(found, dict):
            raise RefusedError(f"holds a {kind_of(found)}, expected a dict")
        return {
            key: value.content() if isinstance(value, PickledArray) else value for key, value in found.items()
        }
    except RefusedError as error:
        raise DataError(f"{where}: {error}") from None


class PickledDtype(Stateful):
    """`numpy.dtype(name, align, copy)`, then its state (version, byte order, …)."""

    def __init__(self, name: object, *_: object) -> None:
        self.name = short_text(name)
        self.order: Any = "="

    def build(self, state: Any) -> None:
        order = short_text(state[1])
        if order not in ("<", ">", "|", "="):
            raise RefusedError("holds an array whose dtype has no byte order")
        self.order = order


def array_of(raw: Any, dtype: Any, shape: Any, order: str) -> NDArray[Any]:
    """The bytes `raw` as an array of integers, read-only. Raises RefusedError."""
    name = dtype.name if isinstance(dtype, PickledDtype) else kind_of(dtype)
    if not isinstance(dtype, PickledDtype) or name not in INTEGERS:
        raise RefusedError(f"holds an array of dtype {name!r}, expected integers")
    if not (isinstance(shape, tuple) and len(shape) <= 4 and all(type(n) is int and n >= 0 for n in shape)):
        raise RefusedError("holds an array whose shape is not a few numbers >= 0")
    try:
        flat = np.frombuffer(raw, np.dtype(name).newbyteorder(dtype.order))
        return flat.reshape(shape, order="F" if order == "F" else "C")
    except (
        ValueError
    ) as error:  # other bytes than the shape needs, or a 0 beside numbers that no array can have
        raise RefusedError(f"holds an array of shape {shape}: {error}") from None


class PickledArray(Stateful):
    """`_reconstruct(ndarray, (0,), 'b')`, then its state (version, shape, dtype, Fortran order, bytes)."""

    def __init__(self, *_: object) -> None:
        self.array: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.array = array_of(raw, dtype, shape, "F" if fortran is True else "C")

    def content(self) -> NDArray[Any]:
        """The array, read-only."""
        if self.array is None:
            raise RefusedError("holds an array without content")
        return self.array


def from_buffer(raw: object, dtype: object, shape: object, order: object) -> PickledArray:
    """`_frombuffer(bytes, dtype, shape, order)`: how NumPy writes an array with protocol 5."""
    made = PickledArray()
    made.array = array_of(raw, dtype, shape, short_text(order) or "C")
    return made


def scalar(dtype: object, raw: object) -> int:
    """`scalar(dtype, bytes)`: a number of NumPy's, such as a label that was once in an array."""
    return int(array_of(raw, dtype, (), "C"))


def encode(text: object, encoding: object) -> bytes:
    """`_codecs.encode(text, 'latin1')`: how Python 3 writes bytes with protocol 2."""
    if not (isinstance(text, str) and short_text(encoding) == "latin1"):
        raise RefusedError("encodes something other than text in latin1")
    return text.encode("latin1")


class NumPyMachine(Machine):
    """Runs a pickle of data with NumPy's arrays in it."""

    names: ClassVar = {
        **{
            (f"numpy.{core}.{module}", name): Maker(make)
            for core in ("core", "_core")  # as NumPy 2 calls it
            for module, name, make in (
                ("multiarray", "_reconstruct", PickledArray),
                ("multiarray", "scalar", scalar),
                ("numeric", "_frombuffer", from_buffer),
            )
        },
        ("numpy", "ndarray"): None,
        ("numpy", "dtype"): Maker(PickledDtype),
        ("_codecs", "encode"): Maker(encode),
    }
