"""A context variable that has a value for the length of a `with`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def held(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Give the variable the value inside the block, and then the one that it had."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)
