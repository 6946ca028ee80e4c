"""The documentation: nothing public is left out of the reference, and the site needs nothing but itself."""

import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
from browser import chromium, complaints

from minise.ops import FUSED, OPS

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "docs" / "_ext"))

from names import modules_of, public_names  # noqa: E402
from prose import to_rest  # noqa: E402

PAGES = {path.stem: path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md")}
FAMILIES = [m for m in modules_of("minise.ops.*") if any(name.kind == "op" for name in public_names(m))]


def shown(directive):
    """The words after a directive on all pages of the reference."""
    pattern = re.compile(rf"^```{{{directive}}} (.+)$", re.MULTILINE)
    return [word for page in PAGES.values() for line in pattern.findall(page) for word in line.split()]


def test_every_op_stands_on_one_page():
    ops = {
        f"{module}.{name.name}": name
        for module in FAMILIES
        for name in public_names(module)
        if name.kind == "op"
    }
    assert Counter(shown("op")) == Counter(list(ops))
    found = {}
    for path, name in ops.items():
        module, _, attribute = path.rpartition(".")
        op = getattr(import_module(module), attribute)
        pair = (op.composed,) if op.name in FUSED else (op.forward, op.backward)
        assert name.parts == tuple(function.__name__ for function in pair)
        found[op.name] = op
    assert found == OPS | FUSED


def test_every_module_stands_on_one_page():
    """And with it all of its public names: the directive takes them from the source."""
    stand = [module for pattern in shown("modules") for module in modules_of(pattern)]
    assert Counter(stand) == Counter(["minise", *modules_of("minise.*")])


@pytest.mark.parametrize(
    "module", ["minise.tape", "minise.ops.se", "minise.ops.batch_norm_act", "minise.study.verdict"]
)
def test_the_names_read_from_a_source_are_those_of_the_module(module):
    names = {name.name for name in public_names(module)}
    loaded = vars(import_module(module))
    own = {name for name, value in loaded.items() if getattr(value, "__module__", None) == module}
    assert {name for name in own if not name.startswith("_")} <= names <= loaded.keys()


def test_data_is_shown_with_what_is_said_about_it():
    names = {name.name: name for name in public_names("minise.study.statistics")}
    noise = names["NOISE"]
    assert (noise.kind, noise.value, noise.text.split(":")[0]) == ("data", "1e-09", "Points")
    assert names["POWER"].text == ""  # the string belongs to the statement above it alone


@pytest.mark.parametrize("page", ["architecture", "decisions", "performance", "gpu", "extending"])
def test_the_files_that_a_page_names_are_there(page):
    """Paths from the top, or from inside minise or a room of it; a star stands for any letters."""
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = set(re.findall(r"`([\w./*-]*[\w*]\.(?:py|toml|md|ipynb|cuh?|j2)|[\w./]+/)`", text))
    folders = [
        ROOT,
        *(path for top in ("minise", "cli") for path in (ROOT / top).rglob("*") if path.is_dir()),
    ]
    folders += [ROOT / "minise", ROOT / "cli"]
    own = {"NAME.toml", "NAME.py", "my.py", "my.toml"}  # a reader's
    assert not {name for name in named - own if not any(any(folder.glob(name)) for folder in folders)}


@pytest.mark.parametrize("module", FAMILIES)
def test_every_family_has_its_equations(module):
    (page,) = (page for page in PAGES.values() if f"{{modules}} {module}\n" in page)
    assert page.count("$$") >= 2


def test_the_derivation_quotes_the_code_that_runs():
    source = (ROOT / "minise" / "ops" / "se.py").read_text()
    lines = {line.split("  # ")[0].strip() for line in source.splitlines()}
    quoted = [
        line for block in PAGES["se"].split("```python\n")[1:] for line in block.split("```")[0].splitlines()
    ]
    assert len(quoted) > 8
    assert set(quoted) <= lines


DOCSTRING = """Gate *every* u, with a * b_ and |x|, as `Op` does, by `act(x)`.

x: (n, c), w: (c,);
y: like x.
gx = gy w. Raises nothing.
Raises ShapeError.
Source: Hu, 2017, arXiv:1709.01507.

    squeeze   z_ = *
      excite  q
"""


def test_docstrings_become_markup_that_says_the_same():
    assert (
        to_rest(DOCSTRING.splitlines())
        == r"""\ Gate *every* u, with a \* b\_ and \|x\|, as \ :py:obj:`.Op`\  does, by \ ``act(x)``\ .

\ \ :py:obj:`x`\ : (n, c), \ :py:obj:`w`\ : (c,);

\ \ :py:obj:`y`\ : like x.

\ gx = gy w. Raises nothing.

\ Raises ShapeError.

\ Source: Hu, 2017, `arXiv:1709.01507 <https://arxiv.org/abs/1709.01507>`__.

.. code-block:: none

   squeeze   z_ = *
     excite  q
"""
    )


@pytest.mark.parametrize("page", PAGES)
def test_equations_can_be_typeset(page):
    """A command that the translator lacks would be a warning of the build."""
    mathml = pytest.importorskip(
        "docutils.utils.math.latex2mathml", reason="needs Sphinx: pip install -e '.[docs]'"
    )
    text = re.sub(r"```.*?```|`[^`\n]*`", "", PAGES[page], flags=re.DOTALL)
    for block, inline in re.findall(r"\$\$(.+?)\$\$|\$([^$]+)\$", text, re.DOTALL):
        mathml.tex2mathml(block or inline, as_block=bool(block))


SITE = os.environ.get("MINISE_DOCS")
built = pytest.mark.skipif(
    SITE is None, reason="set MINISE_DOCS to the folder of a site; `make docs` does, and builds it"
)
LOADS = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}


class Page(HTMLParser):
    """What a page loads, where its links lead, and what can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.links, self.ids = set(), set(), {"", "top"}
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        found = {name: value or "" for name, value in attributes}
        self.ids.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if found.get(LOADS.get(tag)) is not None and found.get("rel") not in ("next", "prev"):
            self.loads.add(found[LOADS[tag]])


@pytest.fixture(scope="module")
def site():
    pages = {path.resolve(): Page(path) for path in Path(SITE).rglob("*.html")}
    assert len(pages) > 50
    return pages


def outside(link):
    return re.match(r"[a-z]+:|//", link) and not link.startswith("data:")


@built
def test_nothing_is_loaded_from_elsewhere(site):
    assert not [(path.name, link) for path, page in site.items() for link in page.loads if outside(link)]
    for style in Path(SITE).rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text()), style


@built
def test_links_within_the_site_lead_somewhere(site):
    broken = []
    for path, page in site.items():
        for link in (page.links | page.loads) - {"#"}:
            if outside(link) or link.startswith("data:"):
                continue
            target, anchor = urldefrag(link)
            file = (path.parent / unquote(target.split("?")[0])).resolve() if target else path
            if not file.exists() or (file in site and unquote(anchor) not in site[file].ids):
                broken.append(f"{path.name}: {link}")
    assert not broken


@built
def test_every_public_name_can_be_found():
    """In the inventory, which the search shows too."""
    lines = (
        zlib.decompress((Path(SITE) / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode().splitlines()
    )
    listed = {line.split(" ")[0] for line in lines}
    modules = ["minise", *modules_of("minise.*")]
    assert {f"{module}.{name.name}" for module in modules for name in public_names(module)} <= listed


@built
@pytest.mark.browser
def test_the_search_works_from_a_file(tmp_path):
    search = f"{(Path(SITE) / 'search.html').resolve().as_uri()}?q=felu"
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=5000",
    ]
    done = subprocess.run(
        [chromium(), *flags, "--dump-dom", search], capture_output=True, text=True, timeout=120
    )
    assert 'href="reference/activation.html#minise.ops.activation.felu"' in done.stdout


@built
@pytest.mark.browser
def test_a_browser_has_nothing_to_complain_of(tmp_path):
    """Code, equations and tables may scroll within themselves; the sources of modules are code alone."""
    pages = [path for path in Path(SITE).rglob("*.html") if "_modules" not in path.parts]
    assert complaints(pages, tmp_path, allowed="pre, div.math, .table-wrapper") == {}
