"""A machine that runs pickles which hold data, and only data: CIFAR's python files, and those of PyTorch.

`pickle.load` runs whatever a pickle tells it to. This machine knows the instructions that dicts, lists, numbers, text
and bytes are made of, and no others. It imports nothing, sets no attribute, and calls only what stands in the table
`names` of a subclass: functions of minise's own, which check their arguments.

It is a machine of its own because a `pickle.Unpickler` with `find_class` as an allow-list is not safe: its
instructions run before `find_class` is asked, and cannot be replaced. A memo index of 2^31 makes it ask for
32 GB. A tuple nested a million deep overflows the C stack when it is hashed as a key, which kills the process.
`pickle._Unpickler`, the same in Python, has replaceable instructions, but it is private to Python, and each of them
would be part of the argument. Here the argument is one file: a value is never larger than the bytes that it was
read from, the number of instructions is bounded, keys are short texts or numbers, nothing recurses, and every error
becomes a RefusedError. PyTorch's own `weights_only` loader is such a machine, too.

Source of the format: the comments in Python's own `pickletools`, whose names the instructions have. Protocols 2 to 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

MAX_INSTRUCTIONS = 2_000_000  # the largest official file has 0.3 million; each can cost some 100 bytes
PROTO, STOP = b"\x80", b"."


class RefusedError(Exception):
    """This file is not plain data; the message says where it goes astray."""


@dataclass(frozen=True)
class Maker:
    """What a pickle may call by a name: `make` is called instead."""

    make: Callable[..., object]


class Stateful:
    """What a pickle may give a state to."""

    def build(self, state: Any) -> None:
        """Take the state, or raise."""
        raise NotImplementedError


def kind_of(value: object) -> str:
    """What to call a value in an error. Never its repr: a hostile one may be endless."""
    return type(value).__name__.lower()


def short_text(value: object) -> str | None:
    """`value` if it is a text of at most 100 characters (or bytes, which Python 2 wrote), else None."""
    if not (isinstance(value, str | bytes) and len(value) <= 100):
        return None
    return value if isinstance(value, str) else value.decode("latin1")


class Machine:
    """Runs the pickle that starts at byte `at`. A mark sets the stack aside, as in Python's pickle.

    A subclass fills `names`: what stands for each (module, name) that a pickle may mention, a Maker or a mere value.
    """

    names: ClassVar[Mapping[tuple[str, str], object]] = {}

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.encoded = 0  # bytes that calls have made

    def run(self) -> object:
        """The value that the pickle holds. Raises RefusedError, and never another exception."""
        if not self.data.startswith(PROTO, self.at):
            raise RefusedError("is not a pickle of protocol 2 to 4")
        code = PROTO
        try:
            for _ in range(MAX_INSTRUCTIONS):
                code = self.take(1)
                if code == STOP:
                    return self.stack.pop()
                if code not in self.steps:
                    raise RefusedError(
                        f"has the pickle instruction {code!r} at byte {self.at - 1}, not one for data"
                    )
                self.steps[code](self)
        except RefusedError:
            raise
        except Exception as error:  # a value that is not there, or is of a kind that cannot be meant
            what = f"the pickle instruction {code!r} before byte {self.at} cannot be carried out"
            raise RefusedError(f"is damaged: {what} ({type(error).__name__})") from None
        raise RefusedError(f"has more than {MAX_INSTRUCTIONS} pickle instructions")

    def take(self, n: int) -> bytes:
        """The next `n` bytes of the file."""
        if not 0 <= n <= len(self.data) - self.at:
            raise RefusedError(f"is cut off: it ends after {len(self.data)} bytes")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, size: int, *, signed: bool = False) -> int:
        """The next number, of `size` bytes."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self) -> str:
        """The rest of a text line (the two names after GLOBAL), at most 100 bytes of it."""
        line = self.take(self.data.index(b"\n", self.at, self.at + 100) + 1 - self.at)
        return line[:-1].decode("latin1")

    def text(self, n: int) -> str:
        """The next `n` bytes as a text."""
        return self.take(n).decode("utf-8", "surrogatepass")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self, n: int) -> tuple[Any, ...]:
        """The topmost `n` values, in the order in which they were pushed."""
        return tuple(self.stack.pop() for _ in range(n))[::-1]

    def mark(self) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.outer.pop()
        return items

    def append(self, items: list[Any] | tuple[Any, ...]) -> None:
        list.extend(self.stack[-1], items)

    def set_items(self, items: list[Any] | tuple[Any, ...]) -> None:
        for key, value in zip(items[::2], items[1::2], strict=True):
            dict.__setitem__(self.stack[-1], self.key(key), value)

    def key(self, key: object) -> str | int:
        """`key` as it may stand in a dict: only a short text is safe to hash, and to show."""
        text = short_text(key)
        if text is None:
            raise RefusedError(f"has a {kind_of(key)} as a key, expected a short text")
        return text

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def find(self, module: object, name: object) -> None:
        """Push what stands for a name in a module."""
        if not (isinstance(module, str) and isinstance(name, str)):  # only text is safe to hash, and to show
            raise RefusedError(f"asks for a {kind_of(name)} of a {kind_of(module)}; refused")
        if (module, name) not in self.names:
            raise RefusedError(f"asks for {f'{module[:60]}.{name[:60]}'!a}, which is not data; refused")
        self.push(self.names[module, name])

    def reduce(self) -> None:
        """Call a Maker."""
        maker, args = self.pop(2)
        if not (isinstance(args, tuple) and isinstance(maker, Maker)):
            raise RefusedError(f"calls a {kind_of(maker)}, at byte {self.at}; refused")
        made = maker.make(*args)
        # A text that is stored once can be encoded any number of times: a file is not to grow by that.
        self.encoded += len(made) if isinstance(made, bytes) else 0
        if self.encoded > len(self.data):
            raise RefusedError("encodes the same text over and over; refused")
        self.push(made)

    def build(self) -> None:
        """Give a state to what can have one."""
        target, state = self.pop(2)
        if not isinstance(target, Stateful):
            raise RefusedError(f"gives a state to a {kind_of(target)}, at byte {self.at}; refused")
        target.build(state)
        self.push(target)

    steps: ClassVar[dict[bytes, Callable[[Any], object]]] = {
        PROTO: lambda m: m.take(1),
        b"\x95": lambda m: m.take(8),  # FRAME
        b"(": mark,  # MARK
        b"N": lambda m: m.push(None),  # NONE
        b"\x88": lambda m: m.push(True),  # NEWTRUE
        b"\x89": lambda m: m.push(False),  # NEWFALSE
        b"K": lambda m: m.push(m.number(1)),  # BININT1
        b"M": lambda m: m.push(m.number(2)),  # BININT2
        b"J": lambda m: m.push(m.number(4, signed=True)),  # BININT
        b"U": lambda m: m.push(m.take(m.number(1))),  # SHORT_BINSTRING
        b"T": lambda m: m.push(m.take(m.number(4, signed=True))),  # BINSTRING
        b"C": lambda m: m.push(m.take(m.number(1))),  # SHORT_BINBYTES
        b"B": lambda m: m.push(m.take(m.number(4))),  # BINBYTES
        b"\x8c": lambda m: m.push(m.text(m.number(1))),  # SHORT_BINUNICODE
        b"X": lambda m: m.push(m.text(m.number(4))),  # BINUNICODE
        b")": lambda m: m.push(()),  # EMPTY_TUPLE
        b"\x85": lambda m: m.push(m.pop(1)),  # TUPLE1
        b"\x86": lambda m: m.push(m.pop(2)),  # TUPLE2
        b"\x87": lambda m: m.push(m.pop(3)),  # TUPLE3
        b"t": lambda m: m.push(tuple(m.pop_mark())),  # TUPLE
        b"]": lambda m: m.push([]),  # EMPTY_LIST
        b"a": lambda m: m.append(m.pop(1)),  # APPEND
        b"e": lambda m: m.append(m.pop_mark()),  # APPENDS
        b"}": lambda m: m.push({}),  # EMPTY_DICT
        b"s": lambda m: m.set_items(m.pop(2)),  # SETITEM
        b"u": lambda m: m.set_items(m.pop_mark()),  # SETITEMS
        b"q": lambda m: m.remember(m.number(1)),  # BINPUT
        b"r": lambda m: m.remember(m.number(4)),  # LONG_BINPUT
        b"\x94": lambda m: m.remember(len(m.memo)),  # MEMOIZE
        b"h": lambda m: m.push(m.memo[m.number(1)]),  # BINGET
        b"j": lambda m: m.push(m.memo[m.number(4)]),  # LONG_BINGET
        b"c": lambda m: m.find(m.line(), m.line()),  # GLOBAL
        b"\x93": lambda m: m.find(*m.pop(2)),  # STACK_GLOBAL
        b"R": reduce,  # REDUCE
        b"b": build,  # BUILD
    }
    """What each instruction does. A subclass may know more of them."""
