"""The lessons: what they show is what minise computes, and what it computes is right."""

import json
import math
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from browser import complaints
from cli_runs import MINISE, environment, failed, lines, minise, succeeded
from parsed_page import Parsed

from minise.backend import use_backend
from minise.errors import ConfigError
from minise.ops import ACTIVATIONS
from minise.ops.activation import felu_forward
from minise.ops.se import se_backward, se_forward
from minise.teach.explain import TOPICS, as_data, explain
from minise.teach.explain.arithmetic import number, written
from minise.teach.explain.batch_norm import VARIANTS
from minise.teach.explain.evidence import small_steps, verdict
from minise.teach.explain.grading import is_right, read
from minise.teach.explain.grid import cell, column, grid
from minise.teach.explain.lesson import Question, Value
from minise.teach.explain.page import page
from minise.teach.explain.rules import RULES
from minise.teach.explain.script import Script
from minise.teach.explain.source import Lines, body, instead

ROOT = Path(__file__).resolve().parents[2]
CASES = [
    *[("se", {"act": act}) for act in ACTIVATIONS],
    ("se", {"act": "felu", "seed": 2}),
    ("felu", {}),
    *[("dead", {"act": act}) for act in ACTIVATIONS],
    ("dead", {"act": "relu", "biases": {3: 2.0}, "weights": {1: -0.5}}),
    *[("conv", {"stride": stride, "padding": padding}) for stride in (1, 2, 3) for padding in (0, 1, 2)],
    ("batchnorm", {}),
    ("batchnorm", {"seed": 3}),
    ("tape", {}),
]


def name_of(case):
    topic, options = case
    return "-".join([topic, *(str(value) for value in options.values())])


@cache
def made(case):
    return explain(case[0], **json.loads(case[1], object_pairs_hook=whole_keys))


def whole_keys(pairs):
    return {int(key) if key.isdigit() else key: value for key, value in pairs}


@pytest.fixture(params=CASES, ids=name_of)
def lesson(request):
    topic, options = request.param
    return made((topic, json.dumps(options)))


def lesson_of(topic, **options):
    return made((topic, json.dumps(options)))


# ---- what holds for every lesson ---------------------------------------------------------------------------


def test_every_number_agrees_with_the_tape_and_with_small_steps(lesson):
    compared = [step.agreement for step in lesson.steps if step.agreement is not None]
    assert len(compared) >= 4
    assert max(compared) < 1e-9
    assert all(verdict(value)[0] for step in lesson.steps for value in step.values)


def test_every_line_of_code_stands_in_the_source(lesson):
    for step in lesson.steps:
        for code in step.code:
            shown = code.text.splitlines()
            source = (ROOT / code.file).read_text().splitlines()[code.line - 1 :][: len(shown)]
            assert [line.strip() for line in source] == [line.strip() for line in shown]
    assert sum(len(step.code) for step in lesson.steps) >= 4


def test_what_is_written_out_comes_to_what_the_array_holds(lesson):
    for step in lesson.steps:
        values = {value.name: value.array for value in step.values}
        for one in step.written:
            if one.of in values:
                assert one.result == pytest.approx(float(values[one.of][one.at]), abs=1e-12)


def test_what_is_written_out_is_right_in_the_numbers_that_are_shown(lesson):
    for one in (one for step in lesson.steps for one in step.written):
        assert calculated(one.numbers) == pytest.approx(one.result, abs=2e-3), one
        assert calculated(number(one.result)) == pytest.approx(one.result, abs=1e-4)


def calculated(text):
    """What a line of arithmetic, as the lessons write it, comes to."""
    text = text.replace("·", "*").replace("^", "**").replace("√", "sqrt")
    return eval(text, {"e": math.e, "π": math.pi, "max": max, "tanh": math.tanh, "sqrt": math.sqrt})


def test_a_mistake_gives_another_number(lesson):
    for mistake in (mistake for step in lesson.steps for mistake in step.mistakes):
        assert mistake.wrong != pytest.approx(mistake.right, abs=1e-6), mistake


def test_a_right_answer_is_right_and_every_step_has_words(lesson):
    questions = [question for step in lesson.steps for question in step.questions]
    assert questions
    for question in questions:
        text = (
            ",".join(map(str, question.answer))
            if isinstance(question.answer, tuple)
            else f"{question.answer:.4f}"
        )
        given = read(question, text)
        assert given is not None
        assert is_right(question, given)
        assert question.ask
        assert question.hint
    assert all(step.title and step.formula and step.words for step in lesson.steps)


def test_it_is_data(lesson):
    steps = as_data(lesson)
    again = json.loads(json.dumps(steps, allow_nan=False))
    assert [step["step"] for step in again] == list(range(1, len(lesson.steps) + 1))
    for step, plain in zip(lesson.steps, again, strict=True):
        assert step.shapes == {value["name"]: tuple(value["shape"]) for value in plain["values"]}
        assert plain["agreement"] == step.agreement


# ---- lesson files ------------------------------------------------------------------------------------------


def script(topic, text):
    with use_backend("reference"):
        return Script(topic, text, TOPICS[topic].prepare).lesson()


def file_of(topic):
    return (ROOT / "minise/teach/explain/lessons" / f"{topic}.toml").read_text(encoding="utf-8")


def test_every_lesson_has_its_file_and_is_installed():
    folder = ROOT / "minise/teach/explain/lessons"
    assert sorted(file.stem for file in folder.iterdir()) == sorted(TOPICS)
    with (ROOT / "pyproject.toml").open("rb") as file:
        data = tomllib.load(file)["tool"]["setuptools"]["package-data"]["minise"]
    assert "teach/explain/lessons/*.toml" in data


@pytest.mark.parametrize(
    ("good", "bad", "error", "words"),
    [
        ('title = "Through the sigmoid"', 'titel = "Through the sigmoid"', TypeError, "'title'"),
        ("[[step.mistake]]", "[[step.mistakes]]", TypeError, "unexpected key 'mistakes'"),
        ('hint = "a sum, not a mean"', 'hints = "a sum, not a mean"', TypeError, "'hints'"),
        ('returns = "y, saved"', 'return = "y, saved"', TypeError, "return"),
        ('run.backward = ["gv = "]', 'run.backward = ["gvv = "]', LookupError, "start with 'gvv = '"),
        ('run.backward = ["gv = "]', 'run.backwards = ["gv = "]', KeyError, "'backwards'"),
        ('"minise.ops.se:se_backward"', '"minise.ops.se:se_back"', AttributeError, "se_back"),
        ('show = ["gv"]', 'show = ["gvv"]', NameError, "'gvv'"),
        ('line = "gv = gs"', 'line = "gv = gs * s * rest"', ValueError, "changes nothing"),
        ('line = "gv = gs"', 'line = "gv = ggs"', NameError, "'ggs'"),
        ('of = "gv[0,1]"', 'of = "gv[0,9]"', IndexError, "9"),
        ("= gs[0,1]·s[0,1]·", "= gs[0,1]·t[0,1]·", KeyError, "'t'"),
        ("= gs[0,1]·s[0,1]·", "= gs[0,9]·s[0,1]·", IndexError, r"\(0, 9\)"),
        ("Σ_n gv[n,1]", "Σ_m gv[n,1]", LookupError, "no array has the index m"),
        ('answer = "gs.shape"', 'answer = "gs.shapes"', AttributeError, "shapes"),
        ("= {q[0,1]}?", "= {qq[0,1]}?", NameError, "'qq'"),
        ('"if slope(q[0,1]) == 0"', '"when slope(q[0,1]) == 0"', SyntaxError, "syntax"),
        ("of all channels, and scales", "of all {channels}, and scales", NameError, "'channels'"),
        ("[axes]", "[axis]", TypeError, "'axis'"),
    ],
)
def test_a_damaged_lesson_file_is_noticed(good, bad, error, words):
    text = file_of("se")
    assert good in text
    with pytest.raises(error, match=words):
        script("se", text.replace(good, bad))


def test_what_is_wrong_in_a_lesson_file_says_where():
    with pytest.raises(NameError) as caught:
        script("se", file_of("se").replace('show = ["gv"]', 'show = ["gvv"]'))
    assert caught.value.__notes__ == ["in the lesson se, step 'Through the sigmoid'"]


def test_a_step_may_be_made_for_each_of_some_values_and_text_may_be_chosen():
    text = """
    title = "t"
    words = "w"
    ending = [["if 1 > 2", "never", "else", "ends with {1 / 4}"], ["if 1 > 2", "never"]]
    [[step]]
    part = "one"
    each = "i in (1, 2, 3)"
    title = "step {i}"
    formula = "i = {i}"
    words = ["first", ["if i == 1", "one", "elif i == 2", "two", "else", "many"], "last"]
    let.square = "i * i"
    show = [{ name = "x{i}", value = "x[:i]" }, ["if i > 2", { name = "square", value = "square" }]]
    [[step.question]]
    when = "i == 2"
    ask = "i·i?"
    answer = "square"
    hint = "{i}·{i}"
    """
    made = script("felu", text)
    assert made.ending == ("ends with 0.25",)
    assert [step.title for step in made.steps] == ["step 1", "step 2", "step 3"]
    assert [step.words for step in made.steps] == ["first one last", "first two last", "first many last"]
    assert [list(step.shapes) for step in made.steps] == [["x1"], ["x2"], ["x3", "square"]]
    assert [step.questions for step in made.steps] == [(), (Question("i·i?", 4.0, "2·2"),), ()]


# ---- each lesson -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_se_ends_in_what_se_backward_gives(act):
    values = {v.name: v.array for step in lesson_of("se", act=act).steps for v in step.values}
    inputs = [values[name] for name in ("u", "w1", "b1", "w2", "b2")]
    alpha = values.get("alpha")
    y, saved = se_forward(*inputs, alpha, act=act)
    gradients = se_backward(values["gy"], saved, (True,) * (5 + (alpha is not None)))
    np.testing.assert_array_equal(values["y"], y)
    for name, gradient in zip(("gu", "gw1", "gb1", "gw2", "gb2", "galpha"), gradients, strict=False):
        np.testing.assert_array_equal(values[name], gradient)


def test_se_shows_a_unit_that_is_silent_for_one_image_and_not_for_another():
    for seed in range(5):
        q = {v.name: v.array for step in explain("se", seed=seed).steps for v in step.values}["q"]
        assert q[0, 1] < 0 < q[0, 0]
        assert q[1:, 1].max() > 0
        assert np.abs(q).min() > 0.1


def test_se_names_the_classic_mistakes():
    words = " ".join(m.words for step in lesson_of("se", act="relu").steps for m in step.mistakes)
    for mistake in ("mean for the sum", "second path is missing", "1 / (h·w)", "slope is left out"):
        assert mistake in words


def test_all_ways_through_the_gate_sum_up_to_its_path():
    for act in ("relu", "felu"):
        steps = lesson_of("se", act=act).steps
        gate = next(v.array for step in steps for v in step.values if v.name == "through_gate")
        rows = next(step for step in steps if "term by term" in step.title).tables[0].rows
        assert math.fsum(row[-1] for row in rows) / 4 == pytest.approx(gate[0, 1, 0, 0])
        assert all(math.prod(row[2:-1]) == pytest.approx(row[-1]) for row in rows)
        assert [row[-1] == 0 for row in rows] == [act == "relu" and row[0] == 1 for row in rows]


def test_the_last_step_of_se_compares_every_gradient():
    rows = lesson_of("se", act="felu").steps[-1].tables[0].rows
    assert [row[0] for row in rows] == ["gu", "gw1", "gb1", "gw2", "gb2", "galpha"]
    assert all(off < 1e-9 for row in rows for off in row[2:])


def test_what_alpha_learns_is_written_with_one_pair_of_brackets():
    for act, of_one in (("felu", r"·\(e\^\(-[\d.]+\) - 1\)"), ("prelu", r"·\(-[\d.]+\)")):
        (galpha,) = (w for step in lesson_of("se", act=act).steps for w in step.written if w.of == "galpha")
        assert len(re.findall(of_one, galpha.numbers)) == galpha.symbols.count("ga[")
        assert "((" not in galpha.numbers


@pytest.mark.parametrize(("stride", "padding", "size"), [(3, 0, 9), (1, 1, 144)])
def test_conv_says_what_its_columns_would_take(stride, padding, size):
    steps = lesson_of("conv", stride=stride, padding=padding).steps
    assert [v.array.size for step in steps for v in step.values if v.name == "cols"] == [size]
    (words,) = (step.words for step in steps if "made again" in step.words)
    assert f"{size} numbers, and x has 16" in words


def test_every_activation_has_its_rule():
    assert list(RULES) == list(ACTIVATIONS)


def test_felu_is_elu_and_its_derivative_at_zero_is_alpha():
    steps = lesson_of("felu").steps
    zero = next(step for step in steps if "both sides" in step.title)
    assert zero.values[0].array == 0.5
    limits = [row[2:] for row in zero.tables[0].rows if row[1] == "→ 0"]
    np.testing.assert_allclose(limits, [(1, 1), (0.5, 1)], atol=1e-6)
    assert "differ by 0 " in next(step for step in steps if "Beside" in step.title).tables[0].note


def test_a_dead_unit_stops_what_lies_before_it_and_wakes_up_as_the_lesson_says():
    dead = lesson_of("dead", act="relu")
    db = [
        float(v.array)
        for step in dead.steps
        for v in step.values
        if v.name.startswith("dC/db") and v.array.ndim == 0
    ]
    assert db[0] != 0  # neuron 4 comes first
    assert db[1:] == [0, 0, 0]
    neuron, bias = re.search(r"--bias (\d)=([\d.]+)", dead.ending[0]).groups()
    awake = explain("dead", act="relu", biases={int(neuron): float(bias)})
    assert not awake.steps[-2].chain.dead
    assert "Every neuron learns" in awake.steps[-2].words
    assert "No unit is dead" in awake.ending[0]


def test_a_chain_on_target_or_without_a_weight_is_not_called_dead():
    for options in (
        {"weights": {4: 0.0}, "biases": {3: 2.0, 4: 1.0}},
        {"weights": {2: 0.0}, "biases": {2: 1.0, 3: 2.0}},
    ):
        lesson = explain("dead", act="relu", **options)
        assert "dead" not in lesson.steps[-2].words
        assert lesson.steps[-2].agreement < 1e-9


def test_a_gradient_that_vanishes_is_neither_0_nor_called_learning():
    lesson = explain("dead", act="tanh", weights={1: 10.0, 2: 10.0, 3: 10.0})
    assert [cell(db) for db in lesson.steps[-2].chain.db[:3]] == ["-7e-26", "-1e-18", "-2e-11"]
    assert "the bias of neurons 1, 2, 3 is not 0, but below 1e-06" in lesson.steps[-2].words
    assert ["vanishes" in step.words for step in lesson.steps[3:7]] == [False, True, True, True]


def test_another_activation_changes_the_output_of_the_chain_too():
    (made,) = lesson_of("dead", act="relu").steps[-1].tables
    row = {cells[0]: dict(zip(made.columns, cells, strict=True)) for cells in made.rows}
    for column_ in ("a4", "C", "dC/db4"):
        assert row["relu"][column_] != row["felu"][column_]


def test_kinks_and_far_values_of_the_chain_are_survived():
    for act in ("relu", "felu", "tanh"):
        for biases in ({3: 1.152}, {1: -10.0}, {1: 10.0, 2: 10.0, 3: 10.0, 4: 10.0}):
            lesson = explain("dead", act=act, biases=biases, weights=dict.fromkeys(biases, 10.0))
            assert all(verdict(v)[0] for step in lesson.steps for v in step.values)


def test_batch_norm_shows_that_ones_hide_what_random_numbers_find():
    table = lesson_of("batchnorm").steps[-1].tables[0]
    assert len(table.rows) == len(VARIANTS)
    right, *wrong = table.rows
    assert right[1:] == ("none", "none")
    assert [row[1] for row in wrong].count("none") == 3
    assert "none" not in [row[2] for row in wrong]


def test_the_tape_lesson_walks_as_the_tape_does():
    nodes = [step.title for step in lesson_of("tape").steps if step.title.startswith("The node of")]
    assert [title.split()[3] for title in nodes] == ["y:", "c:", "b:", "a:"]
    assert "used up" in lesson_of("tape").steps[-1].words


# ---- the tools ---------------------------------------------------------------------------------------------


def test_lines_run_as_they_stand():
    lines = Lines(felu_forward, "y, saved", x=np.array([-1.0, 2.0]), alpha=np.asarray(0.5))
    code = lines.run("xp = ", "alpha = ", "e = ", "return ")
    np.testing.assert_array_equal(lines["y"], felu_forward(np.array([-1.0, 2.0]), np.asarray(0.5))[0])
    assert [c.text for c in code] == body(felu_forward).text.splitlines()
    assert instead("e = e + 1", "e", lines.scope)[1] == 1
    assert lines["e"][1] == 0


def test_a_line_that_is_not_there_is_noticed():
    with pytest.raises(LookupError, match="0 statements start with 'gu = direct \\+ gate'"):
        Lines(se_backward).run("gu = direct + gate")
    with pytest.raises(LookupError, match="statements start with 'g'"):
        Lines(se_backward).run("g")


def test_small_steps_find_a_gradient():
    x, gy = np.array([0.3, -0.7]), np.array([2.0, -1.0])
    np.testing.assert_allclose(small_steps(np.sin, [x], gy)[0], gy * np.cos(x), atol=1e-10)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (0.5, "0.5"),
        (-0.12345, "-0.1235"),
        (0.0, "0"),
        (-1e-17, "-1e-17"),
        (3.0, "3"),
        (1.2e-5, "1.2e-05"),
        (2e7, "2e+07"),
    ],
)
def test_numbers(x, text):
    assert number(x) == text


def test_sums_are_written_with_their_signs():
    one = written("z[0] = (a·b + c + d) / m", {"a": -0.5, "b": -2.0, "c": -3.0, "d": 0.25, "m": 2.0})
    assert one.name == "z[0]"
    assert one.symbols == "(a·b + c + d) / m"
    assert one.numbers == "(-0.5·(-2) - 3 + 0.25) / 2"
    assert one.result == -0.875


def test_a_formula_is_written_out_with_all_of_its_terms():
    scope = {"a": np.array([[1.0, -2.0], [0.0, 3.0]]), "x": np.array([0.5, -1.0]), "k": 1, "f'": np.exp}
    for text, symbols, numbers in (
        ("y[1] = Σ_j a[1,j]·x[j]", "a[1,0]·x[0] + a[1,1]·x[1]", "0·0.5 + 3·(-1)"),
        ("m = (Σ_ij a[i,j]) / 4", "(a[0,0] + a[0,1] + a[1,0] + a[1,1]) / 4", "(1 - 2 + 0 + 3) / 4"),
        ("y = Σ_j a[k,j]·x[j - k]", "a[1,1]·x[0]", "3·0.5"),
        ("y = Σ_j x[j] over x[j] < 0", "x[1]", "-1"),
        ("y = Σ_j x[j] over x[j] > 1", "0", "0"),
        ("y = 1 / (1 + e^(-x[1])) - f'(x[0])", "1 / (1 + e^(-x[1])) - f'(x[0])", "1 / (1 + e^(1)) - 1.6487"),
    ):
        one = written(text, scope)
        assert (one.symbols, one.numbers) == (symbols, numbers)
        assert calculated(one.numbers) == pytest.approx(one.result, abs=1e-4)
    assert written("y[1] = x[1]", scope).name == "y[1]"
    with pytest.raises(LookupError):
        written("y = x[2]", scope)


def test_grids():
    assert grid(np.array(3)).cells == (((("3",),),),)
    assert [cell(x, 2) for x in (0.0, -1e-9, 1.5, -1.5)] == ["0", "-1e-09", "1.50", "-1.50"]
    laid = grid(np.arange(24.0).reshape(3, 2, 2, 2) / 8, ("n", "c", "h", "w"))
    assert laid.rows == ("image 0", "image 1", "image 2")
    assert laid.groups == ("channel 0", "channel 1")
    assert laid.cells[1][0] == (("1.000", "1.125"), ("1.250", "1.375"))
    assert column((1, 0.5, "x", 0.25)) == ["1", "0.50", "x", "0.25"]
    assert column((0.0, 1e-12)) == ["0", "1.0e-12"]


@pytest.mark.parametrize("text", ["3,4", "(3, 4)", " 3x4 ", "3 4", "[3,4]", "3×4"])  # noqa: RUF001
def test_a_shape_may_be_typed_in_many_ways(text):
    question = Question("?", (3, 4), "")
    assert read(question, text) == (3, 4)
    assert is_right(question, (3, 4))
    assert not is_right(question, (4, 3))


@pytest.mark.parametrize("text", ["three", "3,", "3,4", "", "nan", "inf", "1/0", "1/2/3"])
def test_what_is_no_number_is_asked_again(text):
    assert read(Question("?", 0.5, ""), text) is None


def test_near_enough_is_right():
    half = Question("?", 0.5, "")
    assert read(half, "1/2") == 0.5
    assert [is_right(half, x) for x in (0.5, 0.495, 0.48, -0.5)] == [True, True, False, False]
    assert is_right(Question("?", 0.0, ""), 0.0)


def test_a_difference_is_called_one():
    apart = Value("x", np.ones(2), tape=np.array([1.0, 1.1]))
    assert verdict(apart) == (False, "the tape: 1e-01 apart")
    assert verdict(Value("x", np.ones(2), tape=np.ones(3)))[0] is False


# ---- the command -------------------------------------------------------------------------------------------

COMMANDS = [
    *[(topic,) for topic in TOPICS],
    ("se", "--act", "felu", "--seed", "2"),
    ("dead", "--bias", "3=0.9", "--weight", "1=-0.5", "--act", "felu"),
    ("conv", "--stride", "2", "--padding", "0"),
]


@pytest.mark.parametrize(("args", "width"), [*((args, "80") for args in COMMANDS), (("se",), "100")])
def test_the_terminal_shows_every_step(args, width):
    out = succeeded(minise("explain", *args, env={"COLUMNS": width}))
    options = {option.strip("-"): value for option, value in zip(args[1::2], args[2::2], strict=True)}
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= int(width)
    assert not [line for line in out.splitlines() if line != line.rstrip()]
    assert not re.search(r"\b(nan|inf)\b", out)
    for step in explain(args[0]).steps if not options else []:
        assert re.search(rf"^\d+ +{re.escape(step.title[:40])}", out, re.M), step.title
    assert "✗ the tape" not in out
    assert "the tape says" in out
    assert "to take along" in out


def test_without_a_topic_it_helps():
    out = succeeded(minise("explain"))
    assert all(name in out and topic.words[:40] in out for name, topic in TOPICS.items())


def test_colours_only_on_a_terminal():
    done = subprocess.run(
        [*MINISE, "explain", "dead"], capture_output=True, text=True, env=environment(TERM="dumb"), check=True
    )
    assert "\x1b" not in done.stdout
    assert "┄┄┄" in done.stdout


def test_json_is_a_line_a_step():
    steps = lines(minise("explain", "dead", "--act", "felu", "--json"))
    assert [step["step"] for step in steps] == list(range(1, 10))
    assert steps[1]["values"][0]["name"] == "z"
    assert steps[1]["values"][0]["shape"] == [4]


def taught(text, *args):
    return succeeded(minise("explain", *args, "--interactive", input=text, env={"COLUMNS": "90"}))


def test_interactive_tells_right_from_wrong_and_counts():
    out = taught("3,4\n0.7\n\nq\n", "se")
    assert "✓ right: (3, 4)" in out
    assert "✗ it is 0.5: sum them, divide by 4" in out
    assert "skipped; it is (3, 2)" in out
    assert "score  1 of 2 right, 1 skipped" in out
    assert out.index("The shape of z?") < out.index("z  (n, c) = (3, 4)")
    assert "to take along" not in out


def test_interactive_asks_again_for_what_it_cannot_read():
    out = taught("four\n3x4\nq\n", "se")
    assert "expected a shape such as 3,4, Enter or q" in out
    assert "score  1 of 1 right" in out


@pytest.mark.parametrize("topic", TOPICS)
def test_interactive_goes_to_the_end(topic):
    questions = [question for step in lesson_of(topic).steps for question in step.questions]
    answers = [
        ",".join(map(str, q.answer)) if isinstance(q.answer, tuple) else f"{q.answer:.4f}" for q in questions
    ]
    out = taught("\n".join(answers) + "\n", topic)
    assert f"score  {len(questions)} of {len(questions)} right" in out
    assert "to take along" in out


def test_interactive_goes_to_the_end_without_an_answer():
    assert "score  nothing answered, 9 skipped" in taught("\n" * 10, "tape")


@pytest.mark.parametrize("text", ["", "quit\n", "Q\n"])
def test_interactive_ends_when_the_reader_does(text):
    assert "score  nothing answered" in taught(text, "tape")


def test_interactive_ends_with_ctrl_c(monkeypatch):
    answers = iter(["0.6"])

    def typed(prompt):
        for answer in answers:
            return answer
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", typed)
    assert "score  1 of 1 right" in taught("", "tape")


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["nope"], 2, ["'nope'", "se, felu, dead, conv, batchnorm, tape"]),
        (["se", "--act", "nope"], 2, ["--act", "'nope'", "'relu'"]),
        (["se", "--seed", "-1"], 2, ["--seed", "-1"]),
        (["se", "--interactive", "--json"], 2, ["at most one"]),
        (["felu", "--html", "x.html", "--json"], 2, ["at most one"]),
        (["felu", "--act", "relu"], 2, ["--act"]),
        (["dead", "--bias", "9=1"], 2, ["bias 9", "from 1 to 4"]),
        (["dead", "--bias", "0=1"], 2, ["bias 0", "from 1 to 4"]),
        (["dead", "--weight", "2"], 2, ["'2'", "3=0.9"]),
        (["dead", "--weight", "2=nan"], 2, ["nan", "-10 to 10"]),
        (["dead", "--bias", "2=1e9"], 2, ["1e+09", "-10 to 10"]),
        (["conv", "--stride", "4"], 2, ["--stride", "4"]),
        (["tape", "extra"], 2, ["extra"]),
        (["tape", "--html", "no-folder/page.html"], 1, ["no-folder/page.html", "No such file"]),
        (["tape", "--html", "/"], 2, ["--html", "directory"]),
    ],
)
def test_bad_input_is_one_line(args, code, words):
    failed(minise("explain", *args), code, *words)


@pytest.mark.parametrize(
    ("topic", "options", "words"),
    [
        ("nope", {}, "'nope', expected one of se"),
        ("se", {"act": "nope"}, "'nope', expected one of relu"),
        ("conv", {"seed": -1}, "seed -1"),
        ("conv", {"stride": 4}, "stride 4"),
        ("conv", {"padding": 3}, "padding 3"),
        ("dead", {"biases": {5: 1.0}}, "bias 5"),
    ],
)
def test_the_library_refuses_it_too(topic, options, words):
    with pytest.raises(ConfigError, match=words):
        explain(topic, **options)


# ---- the page ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_the_page_has_everything_and_needs_nothing(topic, tmp_path):
    file = tmp_path / "page.html"
    assert succeeded(minise("explain", topic, "--html", file)) == f"lesson in {file}\n"
    text = file.read_text()
    page, lesson = Parsed(text), lesson_of(topic)
    flat = " ".join(page.text.split())
    assert text.startswith("<!doctype html>")
    assert "script" not in page.tags
    assert not re.search(r"https?://|url\((?!#)|@import", text)
    links = [value for _, name, value in page.values if name in ("href", "src")]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert len(page.ids) == len(set(page.ids))
    targets = {link[1:] for link in links if link.startswith("#")}
    targets |= {t for _, name, value in page.values if name == "aria-labelledby" for t in value.split()}
    assert targets <= set(page.ids)
    assert page.tags.count("article") == len(lesson.steps)
    assert page.tags.count("h1") == 1
    for step in lesson.steps:
        assert step.title in flat
        assert " ".join(step.words.replace("`", "").split()) in flat
        for code in step.code:
            assert all(" ".join(line.split()) in flat for line in code.text.splitlines())
        for one in step.written:
            assert one.numbers in flat
        for mistake in step.mistakes:
            assert " ".join(mistake.line.split()) in flat
    plots = sum(len(step.plots) + (step.chain is not None) for step in lesson.steps)
    assert page.tags.count("svg") == plots
    assert (
        sum(1 for tag, name, value in page.values if tag == "svg" and (name, value) == ("role", "img"))
        == plots
    )
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.S))
    assert set(re.findall(r"var\((--[\w-]+)\)", drawn)) <= set(re.findall(r"(--[\w-]+):", text))
    assert "#010" not in drawn, "a sentinel colour is left"


@pytest.mark.parametrize("topic", TOPICS)
def test_the_page_asks_before_it_shows(topic):
    articles = re.findall(r"<article.*?</article>", page(lesson_of(topic)), re.S)
    for article, step in zip(articles, lesson_of(topic).steps, strict=True):
        in_sight = re.sub(r"<details.*?</details>", "", article, flags=re.S)
        assert article.count("<details") == len(step.questions) + bool(step.questions)
        for shown in ('class="why"', 'class="value', "<dl", "<table", "<svg", 'class="mistake"'):
            assert (shown in in_sight) == (shown in article and not step.questions)


def test_the_page_goes_to_stdout_and_nothing_is_left_of_one_that_cannot_be_written(tmp_path):
    assert succeeded(minise("explain", "tape", "--html", "-")).startswith("<!doctype html>")
    failed(minise("explain", "tape", "--html", tmp_path / "no" / "page.html"), 1, "page.html")
    assert not list(tmp_path.iterdir())


def test_the_page_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    failed(minise("explain", "tape", "--html", "-"), 2, "jinja2", "minise[report]")


@pytest.mark.browser
def test_a_browser_has_nothing_to_complain_of(tmp_path):
    pages = [tmp_path / f"{topic}.html" for topic in TOPICS]
    for path in pages:
        path.write_text(page(lesson_of(path.stem)), encoding="utf-8")
    assert complaints(pages, tmp_path, narrow=".table, figure, .compared") == {}
