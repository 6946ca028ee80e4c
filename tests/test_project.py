"""The project itself: what is packaged, what is imported from where, and what a name promises."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

LAYERS = [
    "errors",
    "_util",
    "backend",
    "tape",
    "ops",
    "kernels",
    "nn",
    "models",
    "optim",
    "data",
    "train",
    "gradcheck",
    "analysis",
    "runs",
    "study",
    "report",
    "interchange",
    "teach",
]


def modules():
    return sorted((ROOT / "minise").rglob("*.py"))


def test_every_package_is_in_the_wheel():
    """A sub-package that is missing here works in an editable install and is absent from the wheel."""
    folders = [path.parent for top in ("minise", "cli") for path in (ROOT / top).rglob("__init__.py")]
    found = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == {
        name.replace("cli", "minise_cli", 1) if name.startswith("cli") else name for name in found
    }


def test_the_version_is_said_once():
    import minise

    assert minise.__version__ == PYPROJECT["project"]["version"]


BY_NAME = {("backend", "kernels")}
"""Rooms that look another up by name: a backend is a plug-in, and one that is missing costs speed only."""


def imported(tree):
    """The rooms of minise that a file imports: at its top, inside functions, and by a string that names a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "minise":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minise."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("minise."))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"minise(\.\w+)+", str(node.value)):
            room = node.value.split(".")[1]
            yield from (room,) if room in LAYERS else ()


def upwards(room, tree):
    """The rooms above `room` that its file imports."""
    found = {name for name in imported(tree) if name in LAYERS and LAYERS.index(name) > LAYERS.index(room)}
    return {name for name in found if (room, name) not in BY_NAME}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    room = path.relative_to(ROOT / "minise").with_suffix("").parts[0]
    if room == "__init__":
        return
    assert not upwards(room, ast.parse(path.read_text()))


@pytest.mark.parametrize(
    "code",
    [
        "from minise.ops import add",
        "from minise import ops",
        "import minise.ops",
        "def f():\n    from minise.ops.basic import add",
        "import_module('minise.ops')",
    ],
)
def test_an_import_upwards_is_seen_wherever_it_hides(code):
    assert upwards("tape", ast.parse(code)) == {"ops"}
    assert not upwards("nn", ast.parse(code))


def test_no_file_is_longer_than_300_lines():
    paths = [*modules(), *(ROOT / "cli").rglob("*.py")]
    assert not [str(path) for path in paths if len(path.read_text().splitlines()) > 300]


def test_a_name_stands_for_one_class():
    """Public classes of minise and of its command line, by name."""
    paths = [*modules(), *sorted((ROOT / "cli").rglob("*.py"))]
    places = {}
    for path in paths:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    del places["Activation"]  # the row and the layer of one thing
    assert not {name: found for name, found in places.items() if len(found) > 1}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_library_never_prints(path):
    calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    assert not [f for f in calls if isinstance(f, ast.Name) and f.id == "print"]


def test_importing_is_quiet_and_light():
    """No CuPy, no torch, no kernels, no output."""
    code = (
        "import sys, minise.ops, minise.models;"
        "assert not {'cupy', 'torch', 'numba', 'minise.kernels.numpy.blocks'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_function_says_what_it_does():
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                backward = node.name.endswith("_backward")  # its forward's docstring has both formulas
                assert backward or ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_the_readme_shows_the_code_that_runs():
    readme, source = (ROOT / "README.md").read_text(), (ROOT / "minise" / "ops" / "se.py").read_text()
    blocks = [block.split("```")[0] for block in readme.split("```python\n")[1:]]
    assert blocks[0] in source
    exec(blocks[1], {"print": lambda worst: None})  # its gradient check raises if it is wrong
