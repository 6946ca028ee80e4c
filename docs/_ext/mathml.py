"""Equations as MathML, which browsers typeset by themselves: no script, no font, nothing to load.

docutils, on which Sphinx stands, comes with the translator from LaTeX; so this costs no further dependency, where
MathJax, Sphinx's usual way, would be two megabytes to copy or a page that needs the network.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def visit(translator: Any, node: nodes.math | nodes.math_block) -> None:
    """Write the equation; what cannot be translated is a warning, and stays readable as LaTeX."""
    block = isinstance(node, nodes.math_block)
    tag = "div" if block else "span"
    try:
        equation = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        LOGGER.warning("the equation %r: %s", node.astext(), error, location=node)
        equation = f"<code>{translator.encode(node.astext())}</code>"
    translator.body.append(f"{translator.starttag(node, tag, '', CLASS='math')}{equation}</{tag}>")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer that conf.py names."""
    app.add_html_math_renderer("mathml", (visit, None), (visit, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
