"""The documentation site: `make docs` builds it into build/docs. Nothing on it is loaded from the network."""

import inspect
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
from names import ROOT, modules_of, public_names

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project = PROJECT["name"]
author = copyright = "the authors of minise"
release = PROJECT["version"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "myst_nb",
    "mathml",
    "prose",
    "reference",
    "commands",
]
exclude_patterns = ["_*", "**/.*"]
smartquotes = False  # -- begins an option

# Markdown and notebooks. The notebooks are run by the tests, and shown here as they were saved.
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

# The reference. Signatures say Array, as the source does, not what it stands for.
DATA = (
    name.name for module in modules_of("minise.*") for name in public_names(module) if name.kind == "data"
)
autodoc_type_aliases = {name: name for name in DATA if name[0].isupper() and not name.isupper()}
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True}
# Where an alias is part of another type, Sphinx 9.0 writes its repr.
TypeAliasForwardRef.__repr__ = lambda alias: alias.name
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 72
add_module_names = False
viewcode_follow_imported_members = False  # every name stands under the module that defines it
toc_object_entries_show_parents = "hide"

# Links within minise must resolve; types of Python, NumPy and the like have no page here to lead to.
nitpicky = True
suppress_warnings = [
    "ref.python"
]  # modules have names in common, such as Progress, and an annotation says just that
nitpick_ignore_regex = [("py:.*", r"(?!minise\.).*")]
linkcheck_timeout = 20
linkcheck_anchors = False

html_theme = "furo"
html_title = f"minise {release}"
html_static_path = ["_static"]
html_css_files = ["minise.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False

INCLUDED = {"../README.md": "index.md", "../data/README.md": "datasets.md"}


def inside(app: Sphinx, docname: str, source: list[str]) -> None:
    """A link to a page outside of docs/ leads to the one here that includes it."""
    for outside, page in INCLUDED.items():
        source[0] = source[0].replace(f"]({outside})", f"]({page})")


def without_fields(
    app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object
) -> bool | None:
    """The fields of a class stand in its signature and its docstring."""
    shown = isinstance(obj, property) or inspect.isroutine(obj) or inspect.isclass(obj)
    return None if shown else True


def outline(app: Sphinx, doctree: nodes.document) -> None:
    """A page's contents list its functions and classes, and not what is inside of these."""
    for signature in doctree.findall(addnodes.desc_signature):
        if isinstance(signature.parent.parent, addnodes.desc_content):
            signature["_toc_name"] = ""


def setup(app: Sphinx) -> None:
    """Connect what stands above."""
    app.connect("source-read", inside)
    app.connect("autodoc-skip-member", without_fields)
    app.connect("doctree-read", outline, priority=100)  # before Sphinx gathers the contents
