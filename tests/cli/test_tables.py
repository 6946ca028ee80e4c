"""Tables at every width: what a row is stays, no column goes without a word, no line is too long."""

import dataclasses
import re
from operator import itemgetter
from types import SimpleNamespace

import numpy as np
import pytest
from cli_runs import TINY, minise, succeeded
from hypothesis import given
from hypothesis import strategies as st
from minise_cli.render.curves import panels
from minise_cli.render.evaluation import draw_evaluation
from minise_cli.render.fit import shortened
from minise_cli.render.gates import draw_history
from minise_cli.render.study import draw_verdict
from minise_cli.render.tables import Column, figure, show
from rich.console import Console

from minise.study.verdict import ArmResult, Comparison, Verdict
from minise.train.metrics import Evaluation

WIDTHS = (200, 120, 100, 80, 60, 40)
COLUMNS = (
    Column("run", itemgetter(0), least=8),
    figure("loss", itemgetter(1), 3),
    figure("test", itemgetter(2)),
    Column("words", itemgetter(3), 2, least=10, wraps=True),
    figure("epochs", itemgetter(4), 1),
)
ROWS = [
    ("runs/study/first-relu-s0", "2.3026", "91.20 %", "not enough seeds to tell", "10"),
    ("runs/study/first-felu-s1", "1.0000", "90.10 %", "supported", "10"),
]


def shown(width, columns=COLUMNS, rows=ROWS):
    out = Console(width=width, highlight=False)
    with out.capture() as capture:
        show(out, columns, rows)
    return capture.get().splitlines()


def flat(lines):
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", range(20, 90))
def test_nothing_goes_without_a_word(width):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    for column in COLUMNS:
        assert column.name in flat(lines)
    for name in ("relu-s0", "felu-s1", "91.20 %", "90.10 %"):
        assert name in flat(lines)


def test_with_room_there_is_a_table_and_nothing_else():
    head, *rows = shown(80)
    assert head.split() == ["run", "loss", "test", "words", "epochs"]
    assert [row.split()[0] for row in rows] == [row[0] for row in ROWS]


def test_the_same_in_every_row_goes_first_and_then_by_rank():
    more = "(COLUMNS=75 or --json shows them)"
    assert flat(shown(45)).startswith("run loss test words epochs …relu-s0")
    assert "in every row" not in flat(shown(45))
    assert flat(shown(44)).endswith("in every row: epochs 10")
    assert flat(shown(36)).startswith("run test words …")
    assert flat(shown(36)).endswith(f"in every row: epochs 10 no room for: loss {more}")
    assert flat(shown(28)).endswith(f"no room for: loss, words {more}")


def test_one_row_is_not_the_same_in_every_row():
    lines = flat(shown(36, rows=ROWS[:1]))
    assert "every row" not in lines
    assert "no room for: loss, words" in lines


def test_where_nothing_fits_a_row_is_a_block():
    columns = (
        Column("difference of", itemgetter(0)),
        figure("difference", itemgetter(1)),
        Column("verdict", itemgetter(2), least=13, wraps=True),
    )
    rows = [
        ("se-felu - plain", "+0.10", "not enough seeds to tell"),
        ("se-felu - relu", "-1.00", "supported"),
    ]
    blocks = "\n".join(line.rstrip() for line in shown(40, columns, rows)).split("\n\n")
    assert blocks[0].splitlines() == [
        "difference of  se-felu - plain",
        "difference     +0.10",
        "verdict        not enough seeds to tell",
    ]
    assert "se-felu - relu" in blocks[1]
    assert "no room" not in blocks[-1]


def test_cells_are_no_markup():
    assert "[b]run[/b]" in flat(shown(80, rows=[("[b]run[/b]", *ROWS[0][1:])]))


def test_names_lose_what_they_share_then_their_middles():
    names = ["runs/claim/cifar10-relu-s0", "runs/claim/cifar10-felu-s10"]
    assert shortened(names, 27) == names
    assert shortened(names, 26) == ["…claim/cifar10-relu-s0", "…claim/cifar10-felu-s10"]
    assert shortened(names, 17) == ["…cifar10-relu-s0", "…cifar10-felu-s10"]
    assert shortened(names, 9) == ["…relu-s0", "…felu-s10"]
    assert shortened(["abcdefghijk", "xyz"], 7) == ["ab…hijk", "xyz"]


@given(
    names=st.lists(st.text("ab/-", min_size=1, max_size=9).map("begin{}-the-same-end".format), min_size=2),
    width=st.integers(8, 40),
)
def test_names_that_differ_differ_in_a_table(names, width):
    columns = (Column("run", itemgetter(0), least=3), figure("row", itemgetter(1)))
    rows = [(name, str(i % 10)) for i, name in enumerate(names)]
    lines = [line.rstrip() for line in shown(width, columns, rows)]
    assert max(map(len, lines)) <= width
    if lines[0].split() == ["run", "row"]:
        found = {line[:-1].strip() for line in lines[1:]}
        assert len(found) == len(set(names))


# ---- the commands ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three runs that differ in activation, seed and epochs."""
    folder = tmp_path_factory.mktemp("tables") / "a-folder-with-a-long-name"
    made = [folder / f"run-{act}-s{seed}" for seed, act in enumerate(("relu", "felu", "elu"))]
    for seed, (run, act) in enumerate(zip(made, ("relu", "felu", "elu"), strict=True)):
        more = ("--microscope", 20, "--act", act, "--seed", seed, "--run", run)
        epochs = ("--epochs", 2) if seed == 2 else ()
        succeeded(minise("train", *TINY, *more, *epochs))
    return made


def at(width, *args):
    """What a command prints at that width."""
    out = succeeded(minise(*args, env={"COLUMNS": str(width)}))
    assert max(map(len, out.splitlines())) <= width
    return out


@pytest.mark.parametrize("width", WIDTHS)
def test_compare_says_which_run_a_row_is(width, runs):
    out = at(width, "compare", *runs)
    rows = {act: row for act in ("relu", "felu", "elu") for row in out.splitlines() if f"-{act}-s" in row}
    assert len(set(rows.values())) == 3
    for seed, (act, row) in enumerate(rows.items()):
        assert re.search(rf"{act}-s{seed} +{act} +{seed} ", row)
        assert row.count("%") >= 1
    assert out.split().count("epochs") + out.split().count("epochs,") == 1
    assert flat(out.splitlines()).count("test loss") == 1


def test_compare_says_how_far_a_run_is(runs, tmp_path):
    from minise_cli.commands.compare import epochs_words

    run = {"state": "interrupted", "epochs": 2, "config": {"epochs": 5}}
    assert epochs_words(run) == "2 of 5 interrupted"
    assert epochs_words(run | {"state": "done", "epochs": 5}) == "5"


@pytest.mark.parametrize("width", WIDTHS)
def test_inspect_names_every_block_and_explains_what_it_shows(width, runs):
    out = at(width, "inspect", runs[0], "--images", 20)
    for i in range(3):
        assert len(re.findall(rf"^groups\.{i}\.se ", out, re.MULTILINE)) == 2
    blocks, legend, _ = map(str.split, out.split("\n\n"))
    assert ("slope:" in legend) == ("slope" in blocks[blocks.index("block") : blocks.index("groups.0.se")])
    assert "dead:" in legend


@pytest.mark.parametrize(("width", "most"), [(200, 12), (60, 6), (40, 2)])
def test_the_history_shows_as_many_epochs_as_fit(width, most, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    block = {"block": "groups.0.se", "hidden": 4, "alpha": [0.5]}
    draw_history([{"epoch": i, "blocks": [block | {"dead": i}]} for i in range(1, 101)])
    head, row = capsys.readouterr().out.splitlines()
    epochs = head.split()[3:-1]
    assert len(epochs) == most
    assert (epochs[0], epochs[-1]) == ("1", "100")
    assert row.split()[3:-3] == epochs


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("classes", [10, 12, 100])
def test_evaluate_shows_every_class_or_its_extremes(width, classes, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    confusion = np.diag([990] * classes)
    confusion[3, 5], confusion[7, 2] = 2, 20
    names = [f"class{i}" for i in range(classes)]
    draw_evaluation("title", Evaluation(0.5, 0.9, 0.99, confusion), names)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    if classes == 100:
        assert {"class3", "class7", "98.02", "99.80"} <= set(out.split())
        return
    for name in names:
        assert re.search(rf"^{name} .*\d %", out, re.MULTILINE)
    assert out.count("100.00 %") == classes - 2
    assert ("per cent" in out and "· none" in flat(out.splitlines())) or "confusion matrix needs" in out
    assert " 0 " not in out  # few is not none
    assert "<1" in out or "0.20 %" in out


def verdict_of(datasets, others):
    """A verdict with made-up numbers."""
    nan = float("nan")
    arms, comparisons = [], []
    for dataset in datasets:
        for i, other in enumerate(("se-felu", *others)):
            arm = {f.name: 1.5 for f in dataclasses.fields(ArmResult)}
            arms.append(
                ArmResult(
                    **arm | {"dataset": dataset, "model": "se-resnet20", "arm": other, "n": i, "failed": 0}
                )
            )
        for i, other in enumerate(others):
            row = {f.name: 0.25 + i for f in dataclasses.fields(Comparison)}
            names = {"dataset": dataset, "model": "se-resnet20", "claim": "se-felu", "other": other}
            more = {
                "n": 5,
                "verdict": ("not supported", "not enough seeds to tell", "")[i % 3],
                "needed": None,
            }
            comparisons.append(Comparison(**row | names | more | {"effect_size": nan}))
    fields = {f.name: 0 for f in dataclasses.fields(Verdict)}
    return Verdict(
        **fields | {"arms": arms, "comparisons": comparisons, "verdict": "not enough seeds to tell"}
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("datasets", [("cifar10",), ("cifar10", "cifar100")])
def test_a_verdict_says_what_is_compared(width, datasets, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    others = ("plain", "se-relu", "se-prelu")
    study = SimpleNamespace(config=SimpleNamespace(claim="se-felu"))
    draw_verdict(study, verdict_of(datasets, others))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for other in others:
        assert out.count(f"se-felu - {other}") == len(datasets)
    for name in (
        "data",
        "model",
        "difference",
        "corr. interval",
        "corr. p",
        "claimed",
        "seeds needed",
        "verdict",
    ):
        assert name in flat(out.splitlines())
    if width >= 80:
        row = r"^(\w+ +)?(se-resnet20 +)?se-felu - plain .*\+0\.25.*not supported"
        found = [match[1].strip() for match in re.finditer(row, out, re.MULTILINE) if match[1]]
        assert found in (list(datasets), [])
        assert found or f"in every row: data {datasets[0]}" in out


@pytest.mark.parametrize("width", [60, 40])
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("models",), ("se-resnet110", "1,742,254")),
        (("models", "se-convnet"), ("groups.0.conv.weight",)),
        (("recipes",), ("accurate", "default", "quick")),
        (("data", "list"), ("shapes10", "cifar100-coarse")),
        (("inspect", "--chain"), ("dC/db", "-0.2000")),
    ],
)
def test_the_other_tables_keep_their_names(width, args, words):
    out = at(width, *args)
    assert all(word in out for word in words)
    assert not re.search(r"\w…", out)


@pytest.mark.parametrize(
    "command", ["explain felu", "explain conv", "models", "recipes", "doctor", "inspect --chain"]
)
@pytest.mark.parametrize("columns", ["0", "1", "7", "20", "22"])
def test_no_width_is_too_narrow(command, columns):
    """0 is no width: as if it was not said. In a few columns, all that is printed finds room in 20."""
    out = succeeded(minise(*command.split(), env={"COLUMNS": columns, "LINES": "0"}))
    if columns == "0":
        assert out == succeeded(minise(*command.split()))
    else:
        assert len(out.split()) > 20
        assert max(map(len, out.splitlines())) <= max(20, int(columns))


def test_curves_without_room_side_by_side_stand_below_each_other():
    x = np.linspace(-3, 3, 9)
    for width in range(1, 40):
        lines = panels(x, {"first": x, "second": np.abs(x)}, width)
        assert any(line.split() == ["first", "second"] for line in lines) == (width >= 27)
        assert sum("first" in line or "second" in line for line in lines) == 1 + (width < 27)
        assert max(map(len, lines)) <= max(width, 12)
