"""The lines of a function, run one by one as they stand in its file.

So a step shows the line that really computes its number: they cannot drift apart.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minise
from minise.teach.explain.lesson import Code

ROOT = Path(minise.__file__).parent.parent


class Lines:
    """The statements of `function`, and the names that they read and set.

    names: the function's arguments. returns: the names that its `return` sets, such as "y, saved".
    A statement is found by how it starts; only equal ones may share that.
    """

    def __init__(self, function: Callable[..., Any], returns: str = "returned", **names: Any) -> None:
        self.outside = function.__globals__
        self.scope = self.outside | names
        self.returns = returns
        lines, first = inspect.getsourcelines(function)
        path = Path(inspect.getfile(function))  # of minise, or of a plugin
        file = (path.relative_to(ROOT) if path.is_relative_to(ROOT) else path).as_posix()
        self.code = Code(textwrap.dedent("".join(lines)), file, first)
        tree = ast.parse(self.code.text)
        self.statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)][1:]

    def run(self, *starts: str) -> tuple[Code, ...]:
        """Run the statements that start so, and return their lines."""
        return tuple(self._run(self._find(start)) for start in starts)

    def show(self, *starts: str) -> tuple[Code, ...]:
        """The lines of statements, with all that is inside them, without running them."""
        return tuple(self._code(self._find(start)) for start in starts)

    def __getitem__(self, name: str) -> Any:
        """The value of a name by now."""
        return self.scope[name]

    @property
    def names(self) -> dict[str, Any]:
        """What the arguments and the lines have set so far."""
        return {name: x for name, x in self.scope.items() if self.outside.get(name, self) is not x}

    def _find(self, start: str) -> ast.stmt:
        found = [node for node in self.statements if self._text(node).startswith(start)]
        if len({self._text(node) for node in found}) != 1:
            raise LookupError(f"{self.code.file}: {len(found)} statements start with {start!r}, expected 1")
        return found[0]

    def _run(self, node: ast.stmt) -> Code:
        ran: ast.stmt = node
        if isinstance(node, ast.Return) and node.value is not None:
            (ran,) = ast.parse(f"{self.returns} = 0").body
            assert isinstance(ran, ast.Assign)
            ran.value = node.value
        exec(compile(ast.fix_missing_locations(ast.Module([ran], [])), self.code.file, "exec"), self.scope)
        return self._code(node)

    def _code(self, node: ast.stmt) -> Code:
        return Code(self._text(node), self.code.file, self.code.line + node.lineno - 1)

    def _text(self, node: ast.stmt) -> str:
        lines = self.code.text.splitlines()[node.lineno - 1 : node.end_lineno]
        return textwrap.dedent("\n".join(lines))


def instead(line: str, name: str, scope: dict[str, Any]) -> Any:
    """What `name` would be, had `line` run in this scope; nothing is kept of it."""
    copy = dict(scope)
    exec(line, copy)
    return copy[name]


def body(function: Callable[..., Any]) -> Code:
    """A function's lines below its docstring."""
    lines = Lines(function)
    code, (first, *rest) = lines.code, lines.statements
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        first = rest[0]
    text = "\n".join(code.text.splitlines()[first.lineno - 1 :])
    return Code(textwrap.dedent(text), code.file, code.line + first.lineno - 1)
