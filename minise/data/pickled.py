"""The names that CIFAR's pickles mention, and what they stand for here: records of their arguments.

NumPy pickles an array as a call of `_reconstruct`, one of `dtype`, and a state for each. Here these are kept
as they come and checked when the array is asked for, so that no code of NumPy runs on a file's say-so and an
array of objects cannot arise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

INTEGER_DTYPES = frozenset(f"{kind}{size}" for kind in "ui" for size in (1, 2, 4, 8))
BYTE_ORDERS: dict[str, Any] = {order: order for order in "<>|="}


class RefusedError(Exception):
    """This pickle is not plain data; the message says where it goes astray."""


def kind_of(value: object) -> str:
    """What to call a value in an error. Never its repr: a hostile one may be endless."""
    return type(value).__name__.lstrip("_").lower()


def short_text(value: object) -> str:
    """`value` if it is a short text (bytes from Python 2), else ''. Long ones are not even decoded."""
    if not (isinstance(value, str | bytes) and len(value) <= 20):
        return ""
    return value if isinstance(value, str) else value.decode("latin1")


class PickledDtype:
    """`numpy.dtype(name, align, copy)`, then its state (version, byte order, ...)."""

    def __init__(self, *args: object) -> None:
        self.name = short_text(args[0] if args else None)
        self.order = "="

    def build(self, state: object) -> None:
        order = short_text(state[1]) if isinstance(state, tuple) and len(state) > 1 else ""
        if order not in BYTE_ORDERS:
            raise RefusedError("holds an array whose dtype has no byte order")
        self.order = order


class PickledArray:
    """`_reconstruct(ndarray, (0,), 'b')`, then its state (version, shape, dtype, Fortran order, bytes)."""

    def __init__(self, *args: object) -> None:
        self.state: tuple[Any, ...] = ()

    def build(self, state: object) -> None:
        if not (isinstance(state, tuple) and len(state) == 5):
            raise RefusedError("holds an array without (version, shape, dtype, order, bytes)")
        self.state = state

    def numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The array, read-only. Raises RefusedError unless every part of the state is what it must be."""
        if not self.state:
            raise RefusedError("holds an array without content")
        _, shape, dtype, fortran, raw = self.state
        name = dtype.name if isinstance(dtype, PickledDtype) else kind_of(dtype)
        if name not in INTEGER_DTYPES:
            raise RefusedError(f"holds an array of dtype {name!r}, expected integers")
        if not (isinstance(shape, tuple) and len(shape) <= 4 and all(map(_is_length, shape))):
            raise RefusedError("holds an array whose shape is not a few numbers >= 0")
        size = int(name[1:])
        for n in shape:
            size *= n
        found = len(raw) if isinstance(raw, bytes) else kind_of(raw)
        if found != size:
            raise RefusedError(f"holds {found} bytes for an array of shape {shape}, expected {size}")
        flat = np.frombuffer(raw, np.dtype(name).newbyteorder(BYTE_ORDERS[dtype.order]))
        try:
            return flat.reshape(shape, order="F" if fortran is True else "C")
        except ValueError as error:  # a 0 beside numbers that no array can have
            raise RefusedError(f"holds an array of shape {shape}: {error}") from None


def _is_length(n: object) -> bool:
    return type(n) is int and n >= 0


def _encode(*args: object) -> bytes:
    """`_codecs.encode(text, 'latin1')`: how Python 3 writes bytes with protocol 2."""
    if not (len(args) == 2 and isinstance(args[0], str) and short_text(args[1]) == "latin1"):
        raise RefusedError("encodes something other than text in latin1")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError:
        raise RefusedError("encodes text that is not latin1") from None


class Name:
    """A global that a pickle may mention; `make` is what calling it does here (None: it is never called)."""

    def __init__(self, make: Callable[..., object] | None) -> None:
        self.make = make


GLOBALS: dict[tuple[str, str], Name] = {
    ("numpy.core.multiarray", "_reconstruct"): Name(PickledArray),
    ("numpy._core.multiarray", "_reconstruct"): Name(PickledArray),  # the same one, as NumPy 2 calls it
    ("numpy", "ndarray"): Name(None),
    ("numpy", "dtype"): Name(PickledDtype),
    ("_codecs", "encode"): Name(_encode),
}
