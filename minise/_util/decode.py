"""Values from files as the types that the program declares for them, by msgspec; what does not fit is one line.

A file's types are its schema: a dataclass or a `msgspec.Struct`, with bounds as `msgspec.Meta`. They are written down
once, where the values are used.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from codecs import BOM_UTF8
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from minise.errors import ConfigError, MiniseError, RunError

T = TypeVar("T")

LARGEST = 2**63 - 1
"""The largest whole number that arrays and files hold; no option or record needs a larger one."""
MAX = sys.float_info.max
"""A number is at most this if it is finite."""
Count = Annotated[int, Meta(ge=1, le=LARGEST)]
Whole = Annotated[int, Meta(ge=0, le=LARGEST)]
Positive = Annotated[float, Meta(gt=0, le=MAX)]
NotNegative = Annotated[float, Meta(ge=0, le=MAX)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "keys and values",
}
"""msgspec's name of a type -> what a message calls it."""
BOUNDS = {">=": "at least", "<=": "at most", ">": "a number above", "<": "a number below"}


def decoded(kind: type[T], value: Any, where: str, error: type[MiniseError] = ConfigError) -> T:
    """`value`, of dicts, lists, text and numbers, as a `kind`; only whole numbers are converted, to floats.

    Raises `error`, which names `where` and the key, what was found there and what was expected; an error that the
    type's own `__post_init__` raises passes as it is.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        if isinstance(problem.__cause__, MiniseError):
            raise problem.__cause__ from None
        reason, _, path = str(problem).partition(" - at `$")
        for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
            value = value[key] if key else value[int(index)]
        place = path.rstrip("`").removesuffix("[...]").removeprefix(".")
        where = ": ".join(filter(None, (where, place)))
        if missing := re.match(r"Object missing required field `(\w+)`", reason):
            raise error(f"{where}: {missing[1]} is missing") from None
        found, expected = _words(value, reason)
        each = " for each" if path.endswith("[...]`") else ""
        raise error(f"{where}: found {found}, expected {expected}{each}") from None


def _words(value: Any, reason: str) -> tuple[str, str]:
    """What was found and what was expected; reason: as msgspec has it, like "Expected `int` >= 1"."""
    found = f"{value!r:.200}"
    if isinstance(value, int) and abs(value) > LARGEST:
        found = f"a number of {value.bit_length()} bits"
    if bound := re.match(r"Expected `\w+` (of length )?([<>]=?) (.*)", reason):
        length, than, limit = bound.groups()
        if limit == str(MAX):
            return found, "a finite number"
        limit = "63 bits" if limit == str(LARGEST) else f"{float(limit):g}"
        return f"{len(value)} entries" if length else found, f"{BOUNDS[than]} {limit}"
    if kinds := re.match(r"Expected `(.+?)`", reason):
        return found, " or ".join(WORDS[name] for name in kinds[1].split(" | ") if name in WORDS)
    return found, "a number that float64 holds"  # Number out of range


def check_keys(values: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise ConfigError for the first key that is not among the known ones."""
    known = tuple(known)
    for key in values:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}, expected some of {', '.join(known)}")


def json_lines(path: Path, kind: type[T], what: str) -> list[T]:
    """The lines of a file of JSON, each as a `kind`; [] where there is no file.

    A last line that a process which was killed left unfinished is dropped, with a warning. Raises RunError.
    """
    try:
        content = path.read_bytes().removeprefix(BOM_UTF8)
        *lines, last = content.split(b"\n")  # after the end of the last line that is whole
        if last and _is_torn(last):
            warnings.warn(f"{what}: {path}: its last line is cut off, and left out", stacklevel=1)
        elif last:
            lines.append(last)
        found = [json.loads(line) for line in lines]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{what}: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{what}: {path} has a line that is not JSON ({error})") from error
    return [
        decoded(kind, line, f"{what}: {path}, line {number}", RunError)
        for number, line in enumerate(found, start=1)
    ]


def _is_torn(line: bytes) -> bool:
    """Whether a line without an end is no JSON. May raise RecursionError."""
    try:
        json.loads(line)
    except ValueError:
        return True
    return False
