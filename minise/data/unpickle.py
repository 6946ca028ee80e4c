"""A reader of pickles that hold data, and only data.

CIFAR's python files are pickles, and `pickle.load` runs whatever a pickle tells it to. This reader knows the
instructions that dicts, lists, numbers, text, bytes and NumPy arrays are made of, and no others: nothing in
it imports a module by name, calls a function that the file chose, or sets an attribute. The few names that
such files mention stand in `pickled.GLOBALS`; any other is refused.

It is its own small machine, rather than a `pickle.Unpickler` with `find_class` replaced, because that one can
be crashed before `find_class` is ever asked: a memo index of 2^31 makes it fill 32 GB, a tuple nested a
million deep overflows the C stack when it is hashed as a key.

Source of the format: the comments in Python's own `pickletools`. Protocols 2 to 4 are read; the official
files are protocol 2, written by Python 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from minise.data.pickled import GLOBALS, Name, PickledArray, PickledDtype, RefusedError, kind_of
from minise.errors import DataError

MAX_INSTRUCTIONS = 2_000_000  # the largest official file has 0.3 million; each can cost some 100 bytes


def unpickle(data: bytes, where: str) -> dict[str, Any]:
    """The dict that the pickle `data` holds; `where` names the file in errors.

    Keys become str (Python 2 wrote bytes). A value is an array of integers (read-only), list, tuple, dict,
    int, bool, None, str or bytes; what lies deeper is the caller's to check. Raises DataError for anything
    else, for truncated input too, and never another exception.
    """
    try:
        result = Machine(data).run()
        if not isinstance(result, dict):
            raise RefusedError(f"holds a {kind_of(result)}, expected a dict")
        return {key: _final(value) for key, value in result.items()}
    except RefusedError as error:
        raise DataError(f"{where}: {error}") from None


def _final(value: object) -> object:
    return value.numpy() if isinstance(value, PickledArray) else value


class Machine:
    """Runs the pickle that starts at byte `at`. `mark`ed parts of the stack are kept as stacks of their own, as in
    Python's pickle. A subclass can know other `names`, `steps` and keys.
    """

    names: Mapping[tuple[str, str], Name] = GLOBALS

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0  # bytes that `_encode` has made

    def run(self) -> object:
        if self.data[self.at : self.at + 1] != b"\x80":
            raise RefusedError("is not a pickle of protocol 2 to 4")
        steps = self.steps()
        for _ in range(MAX_INSTRUCTIONS):
            code = self.byte()
            if code == STOP:
                return self.pop()
            step = steps.get(code)
            if step is None:
                raise RefusedError(
                    f"has the pickle instruction {code:#04x} at byte {self.at - 1}, not one for data"
                )
            step(self)
        raise RefusedError(f"has more than {MAX_INSTRUCTIONS} pickle instructions")

    def steps(self) -> Mapping[int, Callable[[Any], object]]:
        """What each instruction does."""
        return STEPS

    def byte(self) -> int:
        """The next byte of the file."""
        if self.at >= len(self.data):
            raise RefusedError(f"is cut off: it ends after {len(self.data)} bytes")
        self.at += 1
        return self.data[self.at - 1]

    def take(self, n: int) -> bytes:
        """The next `n` bytes of the file."""
        if n < 0 or self.at + n > len(self.data):
            raise RefusedError(f"is cut off: it ends after {len(self.data)} bytes")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, layout: str) -> int:
        """The next number, laid out as `struct` calls it."""
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def line(self) -> str:
        """The rest of a text line (the two names after GLOBAL), at most 100 bytes of it."""
        end = self.data.find(b"\n", self.at, self.at + 100)
        if end < 0:
            raise RefusedError(f"has no name at byte {self.at}")
        text = self.take(end - self.at).decode("latin1")
        self.at += 1
        return text

    def text(self, n: int) -> str:
        try:
            return self.take(n).decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise RefusedError(f"has text that is not UTF-8 before byte {self.at}") from None

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise RefusedError(f"takes a value that is not there, at byte {self.at}")
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        if not self.outer:
            raise RefusedError(f"takes values that are not there, at byte {self.at}")
        items, self.stack = self.stack, self.outer.pop()
        return items

    def pop_tuple(self, n: int) -> None:
        items = [self.pop() for _ in range(n)]
        self.push(tuple(reversed(items)))

    def top(self, kind: type) -> Any:
        if not (self.stack and isinstance(self.stack[-1], kind)):
            raise RefusedError(f"has no {kind.__name__} to add to, at byte {self.at}")
        return self.stack[-1]

    def remember(self, index: int) -> None:
        self.memo[index] = self.top(object)

    def recall(self, index: int) -> None:
        if index not in self.memo:
            raise RefusedError(f"refers to a value that was never stored, at byte {self.at}")
        self.push(self.memo[index])

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def append(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        if len(items) % 2:
            raise RefusedError(f"has a key without a value, at byte {self.at}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[self.key(key)] = value

    def key(self, key: object) -> str | int:
        """`key` as it may stand in a dict: only a short text is safe to hash, and to show."""
        if not (isinstance(key, str | bytes) and len(key) <= 100):
            raise RefusedError(f"has a {kind_of(key)} as a key, expected a short text")
        return key.decode("latin1") if isinstance(key, bytes) else key

    def find(self, module: object, name: object) -> None:
        # Text first: only text is safe to hash, and to show.
        if not (isinstance(module, str) and isinstance(name, str)):
            raise RefusedError(f"asks for a {kind_of(name)} of a {kind_of(module)}; refused")
        if (module, name) not in self.names:
            shown = f"{module[:60]}.{name[:60]}"
            raise RefusedError(f"asks for {shown!a}, which is not data; refused")
        self.push(self.names[module, name])

    def reduce(self) -> None:
        args, name = self.pop(), self.pop()
        if not (isinstance(args, tuple) and isinstance(name, Name) and name.make is not None):
            raise RefusedError(f"calls a {kind_of(name)}, at byte {self.at}; refused")
        result = name.make(*args)
        # A text that is stored once can be encoded any number of times: a file is not to grow by that.
        self.encoded += len(result) if isinstance(result, bytes) else 0
        if self.encoded > len(self.data):
            raise RefusedError("encodes the same text over and over; refused")
        self.push(result)

    def build(self) -> None:
        state = self.pop()
        target = self.top(object)
        if not isinstance(target, PickledArray | PickledDtype):
            raise RefusedError(f"gives a state to a {kind_of(target)}, at byte {self.at}; refused")
        target.build(state)


STOP = ord(".")

# The names of the instructions are those of `pickletools`.
STEPS: dict[int, Callable[[Machine], object]] = {
    0x80: lambda m: m.byte(),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("("): Machine.mark,  # MARK
    ord("N"): lambda m: m.push(None),  # NONE
    0x88: lambda m: m.push(True),  # NEWTRUE
    0x89: lambda m: m.push(False),  # NEWFALSE
    ord("K"): lambda m: m.push(m.byte()),  # BININT1
    ord("M"): lambda m: m.push(m.number("<H")),  # BININT2
    ord("J"): lambda m: m.push(m.number("<i")),  # BININT
    ord("U"): lambda m: m.push(m.take(m.byte())),  # SHORT_BINSTRING
    ord("T"): lambda m: m.push(m.take(m.number("<i"))),  # BINSTRING
    ord("C"): lambda m: m.push(m.take(m.byte())),  # SHORT_BINBYTES
    ord("B"): lambda m: m.push(m.take(m.number("<I"))),  # BINBYTES
    0x8C: lambda m: m.push(m.text(m.byte())),  # SHORT_BINUNICODE
    ord("X"): lambda m: m.push(m.text(m.number("<I"))),  # BINUNICODE
    ord(")"): lambda m: m.push(()),  # EMPTY_TUPLE
    0x85: lambda m: m.pop_tuple(1),  # TUPLE1
    0x86: lambda m: m.pop_tuple(2),  # TUPLE2
    0x87: lambda m: m.pop_tuple(3),  # TUPLE3
    ord("t"): lambda m: m.push(tuple(m.pop_mark())),  # TUPLE
    ord("]"): lambda m: m.push([]),  # EMPTY_LIST
    ord("a"): lambda m: m.append([m.pop()]),  # APPEND
    ord("e"): lambda m: m.append(m.pop_mark()),  # APPENDS
    ord("}"): lambda m: m.push({}),  # EMPTY_DICT
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),  # SETITEM
    ord("u"): lambda m: m.set_items(m.pop_mark()),  # SETITEMS
    ord("q"): lambda m: m.remember(m.byte()),  # BINPUT
    ord("r"): lambda m: m.remember(m.number("<I")),  # LONG_BINPUT
    0x94: lambda m: m.remember(len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: m.recall(m.byte()),  # BINGET
    ord("j"): lambda m: m.recall(m.number("<I")),  # LONG_BINGET
    ord("c"): lambda m: m.find(m.line(), m.line()),  # GLOBAL
    0x93: lambda m: m.find(*[m.pop(), m.pop()][::-1]),  # STACK_GLOBAL
    ord("R"): Machine.reduce,  # REDUCE
    ord("b"): Machine.build,  # BUILD
}
