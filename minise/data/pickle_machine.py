"""A machine that runs pickles which hold data, and only data: CIFAR's python files, and those of PyTorch.

`pickle.load` runs whatever a pickle tells it to. Python's `pickletools` takes a pickle apart and runs none of it.
This machine carries out the instructions that dicts, lists, numbers, text and bytes are made of, and refuses all
others. It imports nothing, sets no attribute, and calls only what stands in the table `names` of a subclass:
functions of minise's own, which check their arguments.

It is a machine of its own because a `pickle.Unpickler` with `find_class` as an allow-list is not safe: its
instructions run before `find_class` is asked, and cannot be replaced. A memo index of 2^31 makes it ask for
32 GB. A tuple nested a million deep overflows the C stack when it is hashed as a key, which kills the process.
`pickle._Unpickler`, the same in Python, has replaceable instructions, but it is private to Python, and each of them
would be part of the argument. Here the argument is one file: a value is never larger than the bytes that it was
read from, the number of instructions is bounded, keys are short texts or numbers, nothing recurses, and every error
becomes a RefusedError. PyTorch's own `weights_only` loader is such a machine, too.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

MAX_INSTRUCTIONS = 2_000_000  # the largest official file has 0.2 million; each can cost some 100 bytes


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
        """The value that the pickle holds; `at` is then the byte after it. Raises RefusedError, and nothing else."""
        if not self.data.startswith(b"\x80", self.at):
            raise RefusedError("is not a pickle of protocol 2 to 5")
        stream = io.BytesIO(self.data)
        stream.seek(self.at)
        try:
            for count, (instruction, argument, place) in enumerate(pickletools.genops(stream)):
                name = instruction.name
                if count == MAX_INSTRUCTIONS:
                    raise RefusedError(f"has more than {MAX_INSTRUCTIONS} pickle instructions")
                if name not in self.steps:
                    raise RefusedError(f"has the pickle instruction {name} at byte {place}, not one for data")
                self.steps[name](self, argument)
            self.at = stream.tell()
            return self.stack.pop()
        except RefusedError:
            raise
        except Exception as error:
            # It ends too soon, a value is not there, or one is of a kind that cannot be meant.
            reason = ascii(str(error)[:80]) if isinstance(error, ValueError) else type(error).__name__
            raise RefusedError(f"is cut off or damaged before byte {stream.tell()} ({reason})") from None

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self, n: int) -> tuple[Any, ...]:
        """The topmost `n` values, in the order in which they were pushed."""
        return tuple(self.stack.pop() for _ in range(n))[::-1]

    def mark(self, _: object) -> None:
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

    def reduce(self, _: object) -> None:
        """Call a Maker."""
        maker, args = self.pop(2)
        if not (isinstance(args, tuple) and isinstance(maker, Maker)):
            raise RefusedError(f"calls a {kind_of(maker)}; refused")
        made = maker.make(*args)
        # A text that is stored once can be encoded any number of times: a file is not to grow by that.
        self.encoded += len(made) if isinstance(made, bytes) else 0
        if self.encoded > len(self.data):
            raise RefusedError("encodes the same text over and over; refused")
        self.push(made)

    def build(self, _: object) -> None:
        """Give a state to what can have one."""
        target, state = self.pop(2)
        if not isinstance(target, Stateful):
            raise RefusedError(f"gives a state to a {kind_of(target)}; refused")
        target.build(state)
        self.push(target)

    steps: ClassVar[dict[str, Callable[[Any, Any], object]]] = {
        **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda m, _: None),
        **dict.fromkeys(("BININT1", "BININT2", "BININT"), push),
        **dict.fromkeys(("SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"), push),
        "BYTEARRAY8": lambda m, content: m.push(bytes(content)),
        **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), lambda m, text: m.push(text.encode("latin1"))),
        "NONE": lambda m, _: m.push(None),
        "NEWTRUE": lambda m, _: m.push(True),
        "NEWFALSE": lambda m, _: m.push(False),
        "MARK": mark,
        "EMPTY_TUPLE": lambda m, _: m.push(()),
        "TUPLE1": lambda m, _: m.push(m.pop(1)),
        "TUPLE2": lambda m, _: m.push(m.pop(2)),
        "TUPLE3": lambda m, _: m.push(m.pop(3)),
        "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
        "EMPTY_LIST": lambda m, _: m.push([]),
        "APPEND": lambda m, _: m.append(m.pop(1)),
        "APPENDS": lambda m, _: m.append(m.pop_mark()),
        "EMPTY_DICT": lambda m, _: m.push({}),
        "SETITEM": lambda m, _: m.set_items(m.pop(2)),
        "SETITEMS": lambda m, _: m.set_items(m.pop_mark()),
        **dict.fromkeys(("BINPUT", "LONG_BINPUT"), remember),
        "MEMOIZE": lambda m, _: m.remember(len(m.memo)),
        **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda m, index: m.push(m.memo[index])),
        "GLOBAL": lambda m, names: m.find(*names.split(" ", 1)),
        "STACK_GLOBAL": lambda m, _: m.find(*m.pop(2)),
        "REDUCE": reduce,
        "BUILD": build,
    }
    """What each instruction, by its name in `pickletools`, does with its argument. A subclass may know more."""
