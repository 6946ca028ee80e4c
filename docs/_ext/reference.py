"""Two directives for the pages of the reference.

    {op} minise.ops.se.se          an op: its signature and docstring, and the code of its pair, complete
    {modules} minise.ops.se        every other public name of a module; several modules get a section each,
                                   `minise.data.*` stands for all modules below a package

So no page has to list names, and nothing new in minise is left out.
"""

from __future__ import annotations

import ast
from functools import cache
from inspect import cleandoc
from textwrap import indent
from typing import Any

from docutils import nodes
from names import Name, modules_of, path_of, public_names
from prose import literal, to_rest
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

LONGEST = 88
"""Of the values that are shown; a longer one is left to the source, to which there is a link."""


def show(module: str, name: Name) -> str:
    """A public name, as reStructuredText."""
    if name.kind == "op":
        return show_op(module, name)
    if name.kind == "data":
        value = f"   :value: {name.value}\n" if len(name.value) <= LONGEST else ""
        return describe("data", module, name.name, to_rest(cleandoc(name.text).splitlines()), value)
    bases = "\n   :show-inheritance:" if name.parts else ""
    return f".. auto{name.kind}:: {module}.{name.name}{bases}"


def show_op(module: str, name: Name) -> str:
    """An op as a function with its forward's arguments and docstring; below it the code it is made of."""
    source = path_of(module).read_text()
    tree = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    first = tree[name.parts[0]]
    blocks = [to_rest((ast.get_docstring(first) or "").splitlines())]
    for part in name.parts:
        blocks.append(describe("function", module, part, literal(code(source, tree[part]), "python")))
    return describe("function", module, f"{name.name}({arguments(first)})", "\n\n".join(blocks))


def arguments(function: ast.FunctionDef) -> str:
    """The names and defaults: an op is called with tensors, its functions with arrays."""
    args = function.args
    for argument in (*args.posonlyargs, *args.args, *args.kwonlyargs):
        argument.annotation = None
    return ast.unparse(args)


def code(source: str, function: ast.FunctionDef) -> str:
    """A function's source, without its docstring."""
    lines = source.splitlines()[: function.end_lineno]
    if ast.get_docstring(function):
        del lines[function.body[0].lineno - 1 : function.body[0].end_lineno]
    return "\n".join(lines[function.lineno - 1 :])


def describe(kind: str, module: str, signature: str, content: str, options: str = "") -> str:
    """A directive of Sphinx's Python domain."""
    return f".. py:{kind}:: {signature}\n   :module: {module}\n{options}\n{indent(content, '   ')}"


class Rest(SphinxDirective):
    """A directive of a Markdown page whose content is made as reStructuredText."""

    required_arguments = 1
    optional_arguments = 20

    def parse(self, *blocks: str) -> list[nodes.Node]:
        """Markdown parses the blocks: the fences in them lead to reStructuredText."""
        return self.parse_text_to_nodes("\n\n".join(blocks), allow_section_headings=True)


def fence(rest: str) -> str:
    """reStructuredText within Markdown."""
    return f"``````{{eval-rst}}\n{rest}\n``````"


class OpDirective(Rest):
    """`{op} module.name`"""

    def run(self) -> list[nodes.Node]:
        module, _, op = self.arguments[0].rpartition(".")
        (name,) = (name for name in public_names(module) if name.name == op)
        self.env.note_dependency(path_of(module))
        return self.parse(fence(show_op(module, name)))


class ModulesDirective(Rest):
    """`{modules} module package.* …`"""

    def run(self) -> list[nodes.Node]:
        modules = [module for pattern in self.arguments for module in modules_of(pattern)]
        blocks = []
        for module in modules:
            self.env.note_dependency(path_of(module))
            heading = [f"## `{module}`"] if len(modules) > 1 else []
            blocks += [*heading, fence(self.module(module))]
        return self.parse(*blocks)

    def module(self, module: str) -> str:
        """A module's docstring and names; the ops of `minise.ops` have places of their own on their pages."""
        docstring = ast.get_docstring(ast.parse(path_of(module).read_text())) or ""
        apart = ("half", "op") if module.startswith("minise.ops.") else ("half",)
        names = [show(module, name) for name in public_names(module) if name.kind not in apart]
        return "\n\n".join([f".. py:module:: {module}", to_rest(docstring.splitlines()), *names])


@cache
def source_of(module: str) -> tuple[str, dict[str, tuple[str, int, int]]]:
    """The source of a module and the lines of each name in it, for the pages of source."""
    analyzer = ModuleAnalyzer.for_file(str(path_of(module)), module)
    analyzer.analyze()
    return analyzer.code, analyzer.tags


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("op", OpDirective)
    app.add_directive("modules", ModulesDirective)
    app.connect("viewcode-find-source", lambda app, module: source_of(module))
    return {"parallel_read_safe": True}
