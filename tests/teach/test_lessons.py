"""The lessons: valid notebooks without outputs, which run as they are, and with the exercises solved."""

import ast
import json
import re
from pathlib import Path

import pytest

from minise.teach.exercises import EXERCISES, check_file

LESSONS = Path(__file__).resolve().parents[2] / "docs" / "lessons"
NOTEBOOKS = sorted(LESSONS.glob("*.ipynb"))
SECONDS = 120
"""How long a lesson may take on a machine that is busy with other things; alone it takes a few."""


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def tagged(notebook, tag):
    return [cell for cell in notebook["cells"] if tag in cell["metadata"].get("tags", [])]


def asked(notebook):
    """The names of the exercises in a notebook, in order."""
    calls = [
        node
        for cell in tagged(notebook, "check")
        for node in ast.walk(ast.parse(source(cell)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"
    ]
    return [call.args[0].value for call in calls]


def solved(path):
    """The notebook with the solutions in place of the stubs."""
    notebook = read(path)
    for cell, name in zip(tagged(notebook, "exercise"), asked(notebook), strict=True):
        assert "raise NotImplementedError" in source(cell)
        cell["source"] = EXERCISES[name].solution.splitlines(keepends=True)
    return notebook


def test_there_are_five_and_every_exercise_stands_in_its_lesson():
    assert [path.name[0] for path in NOTEBOOKS] == list("12345")
    for lesson, path in enumerate(NOTEBOOKS, start=1):
        assert asked(read(path)) == [e.name for e in EXERCISES.values() if e.lesson == lesson]
        index = (LESSONS / "index.md").read_text(encoding="utf-8")
        assert f"({path.name})" in index
        assert f"\n{path.stem}\n" in index
    assert all(f"`{name}`" in index for name in EXERCISES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_tidy(path):
    text, notebook = path.read_text(encoding="utf-8"), read(path)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code_cells(notebook))
    assert all("!" not in line[:1] for cell in code_cells(notebook) for line in cell["source"])


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_stubs_have_the_signatures_that_are_asked_for(path):
    notebook = read(path)
    for cell, name in zip(tagged(notebook, "exercise"), asked(notebook), strict=True):
        stubs = [node for node in ast.parse(source(cell)).body if isinstance(node, ast.FunctionDef)]
        found = tuple(f"{stub.name}({', '.join(arg.arg for arg in stub.args.args)})" for stub in stubs)
        assert found == EXERCISES[name].signatures


def test_the_tape_has_at_most_80_lines():
    lines = [line for cell in tagged(read(NOTEBOOKS[0]), "tape") for line in source(cell).splitlines()]
    assert 60 < len(lines) <= 80


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_from_top_to_bottom_as_it_is(path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(LESSONS)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources=resources).execute()
    checks = tagged(notebook, "check")
    assert checks
    for cell in checks:
        shown = [output["data"] for output in cell["outputs"] if output["output_type"] == "execute_result"]
        assert len(shown) == 1
        assert "not written yet" in shown[0]["text/markdown"]
    assert not [o for cell in code_cells(notebook) for o in cell["outputs"] if o.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS[:3], ids=lambda path: path.stem)
def test_with_the_exercises_solved_a_lesson_says_so(path, capsys):
    """Without a kernel; lessons 4 and 5 would train for longer."""
    scope, results = {"__name__": "lesson"}, []
    for cell in code_cells(solved(path)):
        tree = ast.parse(source(cell))
        is_check = "check" in cell["metadata"].get("tags", [])
        last = tree.body.pop() if is_check else None
        exec(compile(tree, cell["id"], "exec"), scope)
        if last is not None:
            results.append(eval(compile(ast.Expression(last.value), cell["id"], "eval"), scope))
    assert all(results), results
    assert len(results) == 3
    out = capsys.readouterr().out
    assert "False" not in out  # what is compared with minise's is equal
    trained = [int(percent) for percent in re.findall(r"loss [\d.]+, (\d+) % right", out)]
    assert len(trained) == 3 * (path.name[0] == "3")
    assert not trained or trained[2] < 20 < min(trained[:2])  # lesson 3: only one of two mistakes shows


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_answers_in_a_notebook_are_found_and_right(path, tmp_path):
    """As `minise check-exercise` sees them, which runs no training."""
    answered = tmp_path / path.name
    answered.write_text(json.dumps(solved(path)))
    for name in asked(read(path)):
        assert check_file(name, answered), name
        assert check_file(name, path).state == "not written yet"
