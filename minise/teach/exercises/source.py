"""Functions out of somebody's file, a script or a notebook, without running all of it.

Of its top level only imports, definitions (def, class) and assignments of constants are run, in order: a lesson's
trainings and prints are passed over, and the last definition of a name counts, as in the file itself.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from minise.errors import MiniseError

KEPT = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


class SourceError(MiniseError):
    """A file with answers that cannot be read, or lacks what is looked for."""


def load_functions(path: str | os.PathLike[str], names: Sequence[str]) -> list[Callable[..., Any]]:
    """The functions of these names that a .py or .ipynb file defines. Raises SourceError."""
    path = Path(path)
    scope: dict[str, Any] = {"__name__": path.stem}
    for place, code in _pieces(path):
        for node in _parse(path, place, code).body:
            if _is_kept(node):
                _run(path, place, node, scope)
    missing = [name for name in names if not callable(scope.get(name))]
    if missing:
        raise SourceError(f"{path}: found no function {', '.join(missing)}, expected {', '.join(names)}")
    return [scope[name] for name in names]


def _pieces(path: Path) -> Iterator[tuple[str, str]]:
    """Pieces of code, and where each stands: a script is one, a notebook has its cells."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: found bytes that are no UTF-8, expected a text file") from error
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}, expected a .py or .ipynb file") from error
    if path.suffix == ".py":
        yield "", text
    elif path.suffix == ".ipynb":
        yield from _cells(path, text)
    else:
        raise SourceError(f"{path}: found a file that ends in {path.suffix!r}, expected .py or .ipynb")


def _cells(path: Path, text: str) -> Iterator[tuple[str, str]]:
    """The code cells, without the lines that are IPython's and not Python's."""
    try:
        cells = [
            (number, "".join(cell["source"]))
            for number, cell in enumerate(json.loads(text)["cells"], start=1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SourceError(f"{path}: found no cells in it, expected a notebook of format 4") from error
    for number, source in cells:
        if not source.startswith("%%"):
            lines = source.split("\n")
            yield f"cell {number}, ", "\n".join("" if line.startswith(("%", "!")) else line for line in lines)


def _parse(path: Path, place: str, code: str) -> ast.Module:
    try:
        return ast.parse(code)
    except SyntaxError as error:
        raise SourceError(f"{path}: {place}line {error.lineno}: {error.msg}, expected Python") from error
    except ValueError as error:  # a null character
        raise SourceError(f"{path}: {place}{error}, expected Python") from error
    except (RecursionError, MemoryError) as error:
        raise SourceError(f"{path}: {place}it is nested too deeply, expected Python") from error


def _is_kept(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return all(isinstance(part, CONSTANT) for part in ast.walk(node.value))
    return isinstance(node, KEPT)


CONSTANT = (
    *(ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Load),
    *(ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop),
)
"""What a constant is written with: numbers, strings, arithmetic."""


def _run(path: Path, place: str, node: ast.stmt, scope: dict[str, Any]) -> None:
    """Run one statement. What is not there, and why, may matter or not: that shows when it is called."""
    try:
        exec(compile(ast.Module([node], []), str(path), "exec"), scope)
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        raise SourceError(
            f"{path}: {place}line {node.lineno} raises {type(error).__name__}: {words}, expected it to run"
        ) from error
