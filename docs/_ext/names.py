"""The public names of minise, read from its source: what the reference has to show. No Sphinx is needed for it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Name:
    """A public name of a module. kind: function, class, data, op, or half: a function that an op is made of.

    parts: the names of an op's functions, or a class's bases. value, text: of data, its source, and the string below
    it, if there is one.
    """

    name: str
    kind: str
    parts: tuple[str, ...] = ()
    value: str = ""
    text: str = ""


def path_of(module: str) -> Path:
    """The file of a module of minise, or of a package itself."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def modules_of(pattern: str) -> list[str]:
    """The module of that name; those below a package for `package.*`, except the package itself."""
    if not pattern.endswith(".*"):
        return [pattern]
    package = path_of(pattern.removesuffix(".*"))
    files = (
        file.relative_to(ROOT).with_suffix("") for file in package.parent.rglob("*.py") if file != package
    )
    return sorted(".".join(file.parts).removesuffix(".__init__") for file in files)


def public_names(module: str) -> list[Name]:
    """What the module defines without an underscore, in the order of its source."""
    body = ast.parse(path_of(module).read_text()).body
    found: dict[str, Name] = {}
    for node, below in zip_longest(body, body[1:]):
        found |= {name.name: name for name in _defined(node, below) if not name.name.startswith("_")}
    halves = {part for name in found.values() if name.kind == "op" for part in name.parts}
    return [Name(name.name, "half") if name.name in halves else name for name in found.values()]


def _defined(node: ast.stmt, below: ast.stmt | None) -> Iterator[Name]:
    """The names that a statement defines; `below` is the one after it."""
    if isinstance(node, ast.FunctionDef):
        yield Name(node.name, "function")
    elif isinstance(node, ast.ClassDef):
        yield Name(node.name, "class", parts=tuple(map(ast.unparse, node.bases)))
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)):
            yield _assigned(name, node.value, below)


def _assigned(name: str, value: ast.expr, below: ast.stmt | None) -> Name:
    match value, below:
        case ast.Call(func=ast.Name(id="Op" | "FusedOp")), _:
            return Name(name, "op", parts=tuple(ast.unparse(part) for part in value.args))
        case _, ast.Expr(value=ast.Constant(value=str(text))):
            return Name(name, "data", value=ast.unparse(value), text=text)
    return Name(name, "data", value=ast.unparse(value))
