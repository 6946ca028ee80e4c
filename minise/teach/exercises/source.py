"""Functions out of somebody's file, a script or a notebook, without running all of it.

Of its top level only what the functions use is taken: definitions (def, class, lambda), assignments of constants, and
imports of NumPy and of a few modules of Python's. A lesson's trainings and prints are passed over, and the last
definition of a name counts. To define them runs nothing of the file's: annotations stay text; decorators are refused,
and so are defaults that are no constants. `read_definitions` runs nothing; `define` belongs into another process.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import json
import linecache
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minise.errors import MiniseError
from minise.teach.exercises.unfit import UnfitError

IMPORTED = (
    *("numpy", "math", "cmath", "functools", "itertools", "operator", "collections", "typing", "string"),
    *(
        "__future__",
        "dataclasses",
        "enum",
        "numbers",
        "fractions",
        "decimal",
        "statistics",
        "warnings",
        "copy",
    ),
)
"""What an answer may import."""


class SourceError(MiniseError):
    """A file with answers that cannot be read, or lacks what is looked for."""


@dataclass(frozen=True)
class Definition:
    """A statement of a file that defines names, and what error messages need to show its lines.

    file: the name of its code; text: the code, where it is no file of its own.
    """

    file: str
    text: str
    node: ast.stmt


def read_definitions(path: str | os.PathLike[str], names: Sequence[str]) -> list[Definition]:
    """What a .py or .ipynb file defines of these names, and of what they use. Raises SourceError."""
    path = Path(path)
    defined: dict[str, list[Definition]] = {}
    for place, code in _pieces(path):
        for node in _single_imports(_parse(path, place, code).body):
            for name in _names(node):
                found = Definition(f"{path}{place and f', {place}'}".rstrip(", "), code, node)
                defined[name] = [*defined.get(name, ()), found] if name == "*" else [found]
    needed, wanted = defined.get("*", []), list(names)
    while wanted:
        for found in defined.pop(wanted.pop(), ()):
            if found not in needed:
                needed.append(found)
                wanted += {part.id for part in ast.walk(found.node) if isinstance(part, ast.Name)}
    constants = (found.node for found in needed if isinstance(found.node, CONSTANTS))
    numbers = {name for node in constants if not isinstance(node.value, ast.Lambda) for name in _names(node)}
    functions = {name for found in needed for name in _names(found.node)} - numbers
    missing = [name for name in names if name not in functions]
    if missing:
        raise SourceError(f"{path}: found no function {', '.join(missing)}, expected {', '.join(names)}")
    for found in needed:
        _refuse_what_would_run(found)
    return needed


def define(definitions: Sequence[Definition], names: Sequence[str]) -> list[Callable[..., Any]]:
    """The functions of these names; what they import and may not raises UnfitError where it is used."""
    scope: dict[str, Any] = {"__name__": "answer", "__builtins__": vars(builtins) | {"__import__": _import}}
    for found in sorted(definitions, key=lambda found: not isinstance(found.node, IMPORTS)):
        lines = found.text.splitlines(keepends=True)
        linecache.cache[found.file] = len(found.text), None, lines, found.file
        module = ast.Module([found.node], [])
        code = compile(module, found.file, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
        try:
            exec(code, scope)
        except UnfitError as error:
            scope |= dict.fromkeys(_names(found.node), Refused(str(error)))
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


IMPORTS = (ast.Import, ast.ImportFrom)
CONSTANTS = (ast.Assign, ast.AnnAssign)


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement defines, if it is one of those that are taken."""
    match node:
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name.partition(".")[0] for alias in names]
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign() | ast.AnnAssign() if node.value is not None and _is_fixed(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.expr)]
            named = all(isinstance(part, ast.Name | ast.Tuple | ast.List | ast.Starred) for part in parts)
            return [part.id for part in parts if isinstance(part, ast.Name)] if named else []
    return []


def _single_imports(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, with `import a, b` as two."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (ast.copy_location(ast.Import([alias]), node) for alias in node.names)
        else:
            yield node


def _is_fixed(value: ast.expr) -> bool:
    """Whether it is a constant, or a function, and runs nothing."""
    return isinstance(value, ast.Lambda) or all(isinstance(part, CONSTANT) for part in ast.walk(value))


CONSTANT = (
    *(ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.Load),
    *(ast.UnaryOp, ast.BinOp, ast.operator, ast.unaryop),
)
"""What a constant is written with: numbers, strings, arithmetic."""


def _refuse_what_would_run(found: Definition) -> None:
    """Raise SourceError for what would run as soon as the statement defines its names; annotations do not."""
    node = found.node
    if isinstance(node, ast.ClassDef):
        inner = [part for part in node.body if not isinstance(part, ast.Pass | ast.Expr) and not _names(part)]
        refused: list[Any] = [*node.decorator_list, *node.bases, *node.keywords, *inner]
        for part in node.body:
            _refuse_what_would_run(Definition(found.file, found.text, part))
    else:
        function = node.value if isinstance(node, CONSTANTS) else node
        refused = list(getattr(function, "decorator_list", ()))
        if isinstance(function, ast.FunctionDef | ast.Lambda):
            defaults = (*function.args.defaults, *function.args.kw_defaults)
            refused += [value for value in defaults if value is not None and not _is_fixed(value)]
    if refused:
        words = " ".join(ast.unparse(refused[0]).split())[:80]
        raise SourceError(
            f"{found.file}: line {refused[0].lineno}: found `{words}`, which would run before any function is called,"
            " expected plain definitions, with constants for defaults and without decorators"
        )


class Refused:
    """What stands for something that an answer may not import."""

    def __init__(self, why: str) -> None:
        self.__why = why

    def __getattr__(self, name: str) -> Any:
        raise (AttributeError if name.startswith("__") else UnfitError)(self.__why)

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise UnfitError(self.__why)


def _import(name: str, globals: Any = None, locals: Any = None, names: Any = (), level: int = 0) -> Any:
    """What answers have for `import`."""
    if level or name.partition(".")[0] not in IMPORTED:
        raise UnfitError(f"it imports {'.' * level}{name}, expected NumPy only, and helpers of its own")
    return builtins.__import__(name, globals, locals, names, level)
