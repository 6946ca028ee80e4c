"""What an answer does that no answer may, told in a line: the student's own line, and the shapes that met in it."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator
from itertools import islice
from types import CodeType, FrameType, TracebackType

import numpy as np

LONGEST = 200
"""Characters of somebody else's error message; half as many of a line of theirs."""
Shape = tuple[int, ...]


class NotWrittenError(Exception):
    """The function still raises NotImplementedError."""


class UnfitError(Exception):
    """What a function did that no answer may do, in words that tell what was found and what was expected."""


class TimeUpError(BaseException):
    """Raised in the middle of an answer when its time is up; no `except Exception` of its own catches it."""


def fault(error: BaseException) -> Exception:
    """What a function raised, as NotWrittenError or UnfitError."""
    if isinstance(error, UnfitError | NotWrittenError):
        return error
    own = [step for step in _steps(error.__traceback__) if not _is_library(step[0])]
    if not own:
        return UnfitError(f"calling it {outcome(error)}")
    frame, line, instruction = own[-1]
    code = frame.f_code
    if isinstance(error, NotImplementedError):
        return NotWrittenError(f"{code.co_name} is not written yet")
    place = f"{code.co_name}, its line {line - code.co_firstlineno + 1},"
    text = _plain(linecache.getline(code.co_filename, line))[: LONGEST // 2]
    shapes, advice = _met(frame, instruction)
    # the advice says it better than NumPy's message
    words = f"raises {type(error).__name__}" if advice else outcome(error)
    where = "".join(
        (f", in `{text}`" * bool(text), f": {shapes}" * bool(shapes), f": {advice}" * bool(advice))
    )
    return UnfitError(f"{place} {words}{where}{_caller(own)}")


def _caller(own: list[tuple[FrameType, int, int]]) -> str:
    """Who called the last of the frames, if that is another function of the student's."""
    above, line, _ = own[-2] if len(own) > 1 else own[-1]
    if above.f_code is own[-1][0].f_code:
        return ""
    return f"; {above.f_code.co_name} calls it, in its line {line - above.f_code.co_firstlineno + 1}"


def outcome(error: BaseException) -> str:
    """What came of a call that raised, in words."""
    try:
        words = _plain(str(error))[:LONGEST]
    except Exception:  # of its own __str__
        words = ""
    if isinstance(error, TimeUpError):
        return f"is {words}"
    return f"raises {type(error).__name__}{words and f': {words}'}"


def _plain(words: str) -> str:
    """Words in a line, without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(words.split()))


def _steps(trace: TracebackType | None) -> Iterator[tuple[FrameType, int, int]]:
    """The frames that an error went through, each with its line and its instruction there."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno, trace.tb_lasti
        trace = trace.tb_next


def module_of(frame: FrameType) -> str:
    """The name of the module that a frame's code stands in."""
    return str(frame.f_globals.get("__name__", ""))


def _is_library(frame: FrameType) -> bool:
    package = module_of(frame).partition(".")[0]
    return package in ("minise", "numpy", *sys.stdlib_module_names)


def _met(frame: FrameType, instruction: int) -> tuple[str, str]:
    """The arrays that met where a frame stopped, with their shapes, and what would make them fit."""
    try:
        (node,) = ast.parse(_expression(frame.f_code, instruction)).body
    except (SyntaxError, ValueError):
        return "", ""
    inner: ast.AST = node.value if isinstance(node, ast.Expr) else node
    arrays = list(_arrays(inner, frame))
    operands = [ast.unparse(part) for part in ast.iter_child_nodes(inner) if isinstance(part, ast.expr)]
    advice = ""
    if isinstance(inner, ast.BinOp | ast.AugAssign | ast.Compare) and operands == [
        name for name, _ in arrays
    ]:
        fits = _product if isinstance(getattr(inner, "op", None), ast.MatMult) else _broadcast
        advice = fits(*arrays) if len(arrays) == 2 else ""
    return ", ".join(dict.fromkeys(f"{name} is {shape}" for name, shape in arrays)), advice


def _expression(code: CodeType, instruction: int) -> str:
    """The source of the expression that an instruction belongs to, or nothing where it is not known."""
    at = next(islice(code.co_positions(), instruction // 2, None), (None,) * 4)
    first, last, start, end = at
    if first is None or last is None or start is None or end is None:
        return ""
    lines = [linecache.getline(code.co_filename, k).encode() for k in range(first, last + 1)]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    return (
        f"({b''.join(lines).decode(errors='replace')})"
        if len(lines) > 1
        else lines[0].decode(errors="replace")
    )


def _arrays(node: ast.AST, frame: FrameType) -> Iterator[tuple[str, Shape]]:
    """The largest parts of an expression that are arrays, in order: their source and shapes. Nothing is called."""
    for part in ast.iter_child_nodes(node):
        value = None
        if isinstance(part, ast.expr) and not any(isinstance(p, CALLING) for p in ast.walk(part)):
            try:
                value = eval(ast.unparse(part), frame.f_globals, frame.f_locals)
            except Exception:
                value = None
        if isinstance(value, np.ndarray):
            yield ast.unparse(part), value.shape
        else:
            yield from _arrays(part, frame)


CALLING = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.Lambda, ast.comprehension)


def _broadcast(one: tuple[str, Shape], other: tuple[str, Shape]) -> str:
    """What keeps two arrays from broadcasting against each other."""
    (small, s), (large, b) = sorted((one, other), key=lambda named: len(named[1]))
    for k in range(1, min(len(b) - len(s), 3) + 1):
        if _fit((*s, *(1,) * k), b):
            return f"{small} lacks {('one axis', 'two axes', 'three axes')[k - 1]} at its end"
    for k in range(1, min(len(s), len(b)) + 1):
        if 1 not in (s[-k], b[-k]) and s[-k] != b[-k]:
            return (
                f"axes are compared from the last one on, and there {small} has {s[-k]} where {large} has {b[-k]},"
                " expected equal sizes, or 1"
            )
    return ""


def _fit(s: Shape, b: Shape) -> bool:
    return all(x == y or 1 in (x, y) for x, y in zip(reversed(s), reversed(b), strict=False))


def _product(one: tuple[str, Shape], other: tuple[str, Shape]) -> str:
    """What keeps two arrays from being multiplied as matrices."""
    (left, a), (right, b) = one, other
    if not a or not b:
        return "@ needs arrays with axes, and a number has none"
    axis, inner = ("second last", b[-2]) if len(b) > 1 else ("only", b[0])
    if a[-1] != inner:
        return f"@ needs the last axis of {left}, {a[-1]}, to be as long as the {axis} of {right}, {inner}"
    return ""
