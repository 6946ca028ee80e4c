"""The exercises of the lessons: right answers pass, known mistakes are told by their own hints, all in a line."""

import ast
import contextlib
import json
import os
import signal
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from cli_runs import failed, lines, minise, succeeded

from minise.errors import ConfigError
from minise.gradcheck import check_gradients
from minise.ops.se import se_backward
from minise.tape import Op
from minise.teach import exercises
from minise.teach.exercises import EXERCISES, Result, SourceError, check, check_file, limits
from minise.teach.exercises.calling import call
from minise.teach.exercises.exercise import SOLVED, UNWRITTEN, WRONG
from minise.teach.exercises.judge import judge
from minise.teach.exercises.limits import FORKS
from minise.teach.exercises.load import changed, functions_in
from minise.teach.exercises.source import define, read_definitions

MISTAKES = [(e, m) for e in EXERCISES.values() for m in e.mistakes]


def written(name, tmp_path):
    """A file with the solution of exercise `name`."""
    path = tmp_path / "answers.py"
    path.write_text("import numpy as np\n\n\n" + EXERCISES[name].solution)
    return path


@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_is_solved(name, tmp_path):
    result = check_file(name, written(name, tmp_path))
    assert result, result
    assert result.state == SOLVED
    assert result.passed == tuple(check.title for check in EXERCISES[name].checks)
    assert result == Result(name, SOLVED, result.passed)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_not_written_yet(name, tmp_path):
    exercise = EXERCISES[name]
    path = tmp_path / "stub.py"
    path.write_text(
        "\n".join(f"def {signature}: raise NotImplementedError" for signature in exercise.signatures)
    )
    result = check_file(name, path)
    assert not result
    assert result.state == UNWRITTEN
    assert result.found == f"{exercise.functions[0]} is not written yet"
    assert not result.hints
    assert f"{name}: {UNWRITTEN}" in repr(result)
    assert f"{name}: {UNWRITTEN}" in result._repr_markdown_()


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.name}: {m.hint}" for e, m in MISTAKES])
def test_every_known_mistake_is_told_by_its_own_hint(exercise, mistake):
    result = judge(exercise, mistake.answer)
    assert result.state == WRONG
    assert result.hints == (mistake.hint,)
    assert "\n" not in result.found
    assert exercise.checks[len(result.passed)].result in result.found


@pytest.mark.parametrize("name", EXERCISES)
def test_a_known_mistake_changes_the_solution_and_runs_on_the_inputs_of_every_check(name):
    """The judge compares with it whatever check fails: what it raised would be blamed on the student."""
    exercise = EXERCISES[name]
    for mistake in exercise.mistakes:
        assert changed(exercise.solution, mistake.change) != exercise.solution
        for inputs in chain.from_iterable(map(exercise.inputs_of, exercise.checks)):
            call(mistake.answer, inputs, exercise.inputs)


SOURCE = "def f(x):\n    y = 2 * x\n    return y\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("- y = 2 * x\n+ y = x\n", "def f(x):\n    y = x\n    return y\n"),
        ("- y = 2 * x\n+ y = 2\n+ y *= x\n", "def f(x):\n    y = 2\n    y *= x\n    return y\n"),
        ("- return y\n- y = 2 * x\n+ return x\n", "def f(x):\n    return x\n"),
        ("- y = 2 * x\n+ y = x\n- return y\n+ return -y\n", "def f(x):\n    y = x\n    return -y\n"),
    ],
)
def test_a_change_is_a_diff_of_whole_lines(change, expected):
    assert changed(SOURCE, change) == expected


@pytest.mark.parametrize("change", ["- y = 3 * x\n+ y = x", "- y = 2\n", "y = 2 * x\n", "- y = 2 * x\nz\n"])
def test_a_change_of_a_line_that_is_not_there_is_refused(change):
    with pytest.raises(ValueError, match="expected 1"):
        changed(SOURCE, change)


def test_a_change_of_a_line_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="found 2 such lines"):
        changed("x = 1\nif x:\n    x = 1\n", "- x = 1\n+ x = 2\n")


@pytest.mark.parametrize("name", EXERCISES)
def test_the_files(name):
    exercise = EXERCISES[name]
    assert exercise.lesson in range(1, 6)
    assert {check_.result for check_ in exercise.checks} <= set(exercise.results)
    solved = [node for node in ast.parse(exercise.solution).body if isinstance(node, ast.FunctionDef)]
    found = tuple(f"{node.name}({', '.join(arg.arg for arg in node.args.args)})" for node in solved)
    assert found == exercise.signatures
    for check_ in exercise.checks:
        assert len(check_.hints) == len(set(check_.hints)) == 3
        for inputs in exercise.inputs_of(check_):
            assert len(inputs) == len(exercise.inputs)
            assert all(x.dtype in (np.float64, np.float32) for x in inputs if isinstance(x, np.ndarray))
    every = [hint for c in exercise.checks for hint in c.hints] + [m.hint for m in exercise.mistakes]
    assert all(hint.endswith((".", "?")) and "\n" not in hint for hint in every)


def test_every_file_is_an_exercise():
    stems = sorted(name.replace("-", "_") for name in EXERCISES)
    assert sorted(file.stem for file in Path(exercises.__file__).parent.glob("*.toml")) == stems


@pytest.mark.parametrize(
    ("name", "forward"),
    [
        ("tanh", np.tanh),
        ("felu", lambda x, alpha: np.where(x > 0, x, alpha * (2 ** (x / np.log(2)) - 1))),
        ("mish", lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    ],
)
def test_what_is_right_agrees_with_the_formula_and_small_steps(name, forward):
    """Not only with the solution. What is missing here has only ops that are checked elsewhere, or no gradient."""
    exercise = EXERCISES[name]
    op = Op(lambda *x: (forward(*x), x), lambda gy, x, needs: exercise.right(gy, *x)[1:])
    for gy, *inputs in exercise.inputs_of(exercise.checks[0]):
        np.testing.assert_allclose(exercise.right(gy, *inputs)[0], forward(*inputs), rtol=1e-9)
        check_gradients(op, inputs, np.random.default_rng(2))


def test_what_is_right_for_the_excitation_agrees_with_small_steps():
    exercise = EXERCISES["se-excite"]

    def forward(z, w1, b1, w2, b2):
        q = z @ w1.T + b1
        a = np.maximum(q, 0)
        s = 1 / (1 + np.exp(-(a @ w2.T + b2)))
        return s, (z, q, a, s, w1, w2)

    op = Op(forward, lambda gs, saved, needs: exercise.right(gs, *saved))
    for _, z, q, a, s, w1, w2 in exercise.inputs_of(exercise.checks[0]):
        b1, b2 = (q - z @ w1.T)[0], (np.log(s / (1 - s)) - a @ w2.T)[0]
        check_gradients(op, [z, w1, b1, w2, b2], np.random.default_rng(2))


def test_what_is_right_for_the_chain_agrees_with_small_steps():
    """C = (a_n - target)² / 2 where each act is linear, with the slope that is given."""
    exercise = EXERCISES["chain"]
    for weights, slopes, error in chain.from_iterable(map(exercise.inputs_of, exercise.checks)):

        def cost(biases, weights=weights, slopes=slopes, error=error):
            a = 0.0
            for w, slope, b in zip(weights, slopes, biases, strict=True):
                a = slope * (w * a + b)
            return (a + error) ** 2 / 2  # the target is -error: at biases of 0, so is the error

        steps = 1e-4 * np.eye(len(weights))
        numeric = [(cost(step) - cost(-step)) / 2e-4 for step in steps]
        np.testing.assert_allclose(exercise.right(weights, slopes, error), numeric, rtol=1e-9, atol=1e-12)


# ---- answers that are no answers ---------------------------------------------------------------------------


def stuck():
    raise ValueError("two\nlines " + "x" * 500)


def quits(gy, u, s):
    raise SystemExit(3)


def spoils(gy, u, s):
    gy *= u
    return gy.sum(axis=(2, 3)), gy


def scaled(gs=lambda gs: gs, direct=lambda g: g):
    return lambda gy, u, s: (gs((gy * u).sum(axis=(2, 3))), direct(gy * s[:, :, None, None]))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda gy, u, s: None, ["returned None", "2 results: gs, the direct part of gu"]),
        (lambda gy, u, s: gy, ["an array of shape (2, 4, 3, 5)", "2 results"]),
        (lambda gy, u, s: [gy, u], ["a list"]),
        (lambda gy, u, s: (1, 2, 3), ["a tuple of length 3"]),
        (scaled(gs=lambda gs: None), ["gs is None", "shape (2, 4)"]),
        (scaled(gs=lambda gs: gs.tolist()), ["gs is a list"]),
        (scaled(gs=lambda gs: str(gs)), ["gs is a str"]),
        (scaled(gs=lambda gs: gs[None]), ["gs has shape (1, 2, 4), expected (2, 4)"]),
        (scaled(gs=lambda gs: gs.astype(np.float32)), ["gs has dtype float32, expected float64"]),
        (scaled(gs=lambda gs: gs.astype(object)), ["dtype object"]),
        (scaled(gs=lambda gs: gs + np.nan), ["gs has 8 of 8 elements that are no finite numbers"]),
        (scaled(gs=lambda gs: gs / 0), ["no finite numbers"]),
        (scaled(gs=lambda gs: 0 * gs), ["gs is zero everywhere"]),
        (scaled(gs=lambda gs: -gs), ["gs is the right one times -1"]),
        (scaled(direct=lambda g: 0.5 * g), ["the direct part of gu is the right one times 0.5"]),
        (scaled(gs=lambda gs: gs + 1), ["gs at (", "expected"]),
        (lambda gy, u, s: stuck(), ["stuck, its line 2, raises ValueError: two lines xx"]),
        (lambda gy, u, s: gy @ w, ["NameError: name 'w' is not defined"]),  # noqa: F821
        (lambda gy, u: gy, ["calling it raises TypeError", "2 positional arguments but 3 were given"]),
        (quits, ["quits, its line 2, raises SystemExit: 3"]),
        (spoils, ["gy is changed in place", "left as it was given"]),
    ],
)
def test_what_is_no_answer_is_told_in_a_line(answer, words):
    result = check("se-scale", answer)
    assert result.state == WRONG
    for word in words:
        assert word in result.found
    assert len(result.found) < 400
    assert "\n" not in result.found


@pytest.mark.parametrize(
    ("forward", "backward", "words"),
    [
        (
            np.tanh,
            lambda gy, saved: (gy,),
            "the forward returned an array of shape (3, 4), expected two things",
        ),
        (
            lambda x: (np.tanh(x), x),
            lambda gy, saved: gy,
            "the backward returned an array of shape (3, 4), expected a tuple",
        ),
        (lambda x: (np.tanh(x), x), lambda gy, saved: (gy, gy), "the backward returned a tuple of length 2"),
        (lambda x: (np.tanh(x), x), lambda gy: (gy,), "TypeError"),
    ],
)
def test_a_pair_that_is_none(forward, backward, words):
    """What is wrong with a backward is no fault of the forward."""
    result = check("tanh", forward, backward)
    assert words in result.found
    assert len(result.passed) == (forward is not np.tanh)


def test_half_of_a_pair_is_not_written_yet():
    def tanh_backward(gy, saved):
        raise NotImplementedError

    result = check("tanh", lambda x: (np.tanh(x), x), tanh_backward)
    assert result.state == UNWRITTEN
    assert result.found == "tanh_backward is not written yet"
    assert len(result.passed) == 1


def test_what_a_step_leaves_open_may_be_none():
    """Results are checked one by one: who has gw2 only is told so."""
    (solution,) = functions_in(EXERCISES["se-backward"].solution, ("se_backward",))
    result = check("se-backward", lambda *inputs: (None, None, None, *solution(*inputs)[3:]))
    assert [title.split()[0] for title in result.passed] == ["gw2", "gb2"]
    assert result.found.startswith("gw1 is None, expected an array of shape (2, 4)")


def test_in_place_sums_are_refused():
    def accumulate(gradients, key, g):
        if key in gradients:
            gradients[key] += g
        else:
            gradients[key] = g

    result = check("accumulate", accumulate)
    assert result.found.startswith("g1 is changed in place")


def test_what_is_no_number_gets_no_hint_before_one_is_asked_for():
    answer = scaled(gs=lambda gs: gs.tolist())
    assert check("se-scale", answer).hints == ()
    assert check("se-scale", answer, hint=2).hints == EXERCISES["se-scale"].checks[0].hints[1:2]


@pytest.mark.parametrize("answer", [lambda gy, u, s: gy, lambda gy, u, s: stuck(), quits, spoils])
def test_what_comes_to_no_results_is_blamed_on_none_of_them_and_gets_no_hint(answer):
    result = check("se-scale", answer, hint=3)
    titles = tuple(each.title for each in EXERCISES["se-scale"].checks)
    assert (result.passed, result.failed, result.left, result.hints) == ((), None, titles, ())
    assert f"✗ {result.found}" in repr(result)
    assert "- ✗ **" in result._repr_markdown_()


def test_a_backward_that_raises_leaves_a_right_forward_right():
    def tanh_backward(gy, saved):
        return (gy @ (1 - saved**2),)

    result = check("tanh", lambda x: (np.tanh(x), np.tanh(x)), tanh_backward, hint=3)
    assert (len(result.passed), result.failed, len(result.left), result.hints) == (1, None, 1, ())
    assert "`return (gy @ (1 - saved**2),)`" in result.found


def one_axis_short(gy, u, s):
    return (gy * u).sum(axis=(2, 3)), gy * s[:, :, None]


def two_axes_short(gy, u, s):
    gs = (gy * u).sum(axis=(2, 3))
    direct = s * gy
    return gs, direct


def in_place(gy, u, s):
    direct = gy.copy()
    direct *= s
    return s, direct


def other_axes(gy, u, s):
    return gy + u.transpose(0, 1, 3, 2), gy


def other_sizes(gy, u, s):
    return gy > u[:, :, :, 1:], gy


def over_lines(gy, u, s):
    return (
        gy
        + s
    ), gy  # fmt: skip


def by_einsum(gy, u, s):
    return np.einsum("nc,nchw->nchw", gy, s), gy


def no_product(gy, u, s):
    return s @ s, gy


def no_product_of_parts(gy, u, s):
    return (2 * s) @ s[:, :3], gy


def no_axis(gy, u, s):
    return s.mean(axis=2), gy


def helped(gy, u, s):
    return two_axes_short(gy, u, s)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            two_axes_short,
            "two_axes_short, its line 3, raises ValueError, in `direct = s * gy`: s is (2, 4), gy is (2, 4, 3, 5):"
            " s lacks two axes at its end",
        ),
        (one_axis_short, "s[:, :, None] is (2, 4, 1): s[:, :, None] lacks one axis at its end"),
        (in_place, "in `direct *= s`: direct is (2, 4, 3, 5), s is (2, 4): s lacks two axes at its end"),
        (
            other_axes,
            "(2,4,3,5) (2,4,5,3), in `return gy + u.transpose(0, 1, 3, 2), gy`: gy is (2, 4, 3, 5), u is",
        ),
        (
            other_sizes,
            "from the last one on, and there gy has 5 where u[:, :, :, 1:] has 4, expected equal sizes",
        ),
        (over_lines, "gy is (2, 4, 3, 5), s is (2, 4): s lacks two axes at its end"),
        (by_einsum, "gy is (2, 4, 3, 5), s is (2, 4)"),
        (no_product, "s is (2, 4): @ needs the last axis of s, 4, to be as long as the second last of s, 2"),
        (no_product_of_parts, "2 * s is (2, 4), s[:, :3] is (2, 3): @ needs the last axis of 2 * s, 4"),
        (
            no_axis,
            "axis 2 is out of bounds for array of dimension 2, in `return s.mean(axis=2), gy`: s is (2, 4)",
        ),
        (helped, "two_axes_short, its line 3, raises ValueError"),
        (helped, "s lacks two axes at its end; helped calls it, in its line 2"),
    ],
)
def test_an_exception_shows_the_line_and_the_shapes_that_met_there(answer, words):
    found = check("se-scale", answer).found
    assert words in found
    assert len(found) < 400


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("se-scale", (1, 0)),
        ("se-excite", (0, 1, 4, 3, 2)),
        ("se-backward", (1, 2, 3, 4, 0)),
        ("dead-units", (1, 0)),
    ],
)
def test_right_values_in_the_wrong_order_are_told_so(name, order):
    exercise = EXERCISES[name]
    (solution,) = functions_in(exercise.solution, exercise.functions)

    def answer(*inputs):
        results = solution(*inputs)
        return tuple(results[k] for k in order)

    result = check(name, answer, hint=3)
    checked = result.found.partition(" has the values of ")[0]
    taken = exercise.results[order[exercise.results.index(checked)]]
    assert f"{checked} has the values of {taken}: right values in the wrong order" in result.found
    assert ", ".join(exercise.results) in result.found
    assert result.hints == ()


def test_gradients_of_a_pair_in_the_wrong_order():
    forward, backward = functions_in(EXERCISES["felu"].solution, EXERCISES["felu"].functions)
    result = check("felu", forward, lambda *given: backward(*given)[::-1])
    assert "gx has" in result.found
    swapped = check("felu", lambda *x: forward(*x)[::-1], backward)
    assert "expected" in swapped.found
    result = check("swish-channels", lambda x, b: (x, x), lambda *given: ())
    assert "order" not in result.found


SE_BY_STEPS = """
import numpy as np
def scale_backward(gy, u, s):
    return (gy * u).sum(axis=(2, 3)), gy * s[:, :, None, None]
EXCITE
def se_backward(gy, u, w1, b1, w2, b2):
    z = u.mean(axis=(2, 3))
    q = z @ w1.T + b1
    a = np.maximum(q, 0)
    s = 1 / (1 + np.exp(-(a @ w2.T + b2)))
    gs, direct = scale_backward(gy, u, s)
    gz, *rest = excite_backward(gs, z, q, a, s, w1, w2)
    return direct + gz[:, :, None, None] / u[0, 0].size, *rest
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gs * s * (1 - s)", "gs * s", ["it calls excite_backward", "(se-excite): gb2 at ("]),
        (
            "gv @ w2",
            "gv @ w2.T",
            ["it calls excite_backward", "its line 4, raises ValueError, in `ga = gv @ w2.T`"],
        ),
    ],
)
def test_a_wrong_helper_of_an_earlier_exercise_is_blamed_itself(old, new, words, tmp_path):
    path = tmp_path / "answers.py"
    path.write_text(SE_BY_STEPS.replace("EXCITE", EXERCISES["se-excite"].solution))
    assert check_file("se-backward", path)
    path.write_text(path.read_text().replace(old, new))
    result = check_file("se-backward", path, hint=3)
    assert (result.passed, result.failed, result.hints) == ((), None, ())
    assert all(word in result.found for word in words), result.found


# ---- limits ------------------------------------------------------------------------------------------------


def endless(gy, u, s):
    while True:
        pass


def stubborn(gy, u, s):
    while True:
        with contextlib.suppress(BaseException):
            endless(gy, u, s)


def hoards(gy, u, s):
    return np.ones((10**6, 10**6)), gy


def talks(gy, u, s):
    while True:
        print("x" * 1000)


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError


def raises_what_says_nothing(gy, u, s):
    raise UnspeakableError


def raises_what_nobody_catches(gy, u, s):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (endless, "endless, its line "),
        (endless, "is still running after 0.2 s, in `"),
        (hoards, "hoards, its line 2, raises MemoryError: Unable to allocate"),
        (talks, "it prints more than 100,000 characters"),
        (lambda *_: os._exit(0), "its process ended by itself, with exit code 0"),
        (lambda *_: os.kill(os.getpid(), signal.SIGSEGV), "its process ended by SIGSEGV"),
        (raises_what_nobody_catches, "its process ended by itself, with exit code 1"),
        (lambda *_: input(), "raises EOFError"),
        (raises_what_says_nothing, "raises UnspeakableError, in `raise UnspeakableError`"),
    ],
)
@pytest.mark.skipif(not FORKS, reason="functions of this process run here")
def test_a_hang_a_crash_and_a_flood_are_one_line(answer, words, capsys):
    result = check("se-scale", answer, seconds=0.2 if answer is endless else 10)
    assert words in result.found
    assert not result
    assert "\n" not in result.found
    assert len(capsys.readouterr().out) < 3000


@pytest.mark.skipif(not FORKS, reason="functions of this process run here")
def test_an_answer_that_catches_everything_is_killed(monkeypatch):
    monkeypatch.setattr(limits, "GRACE", 0.3)
    assert "is still running after 0.1 s" in check("se-scale", stubborn, seconds=0.1).found


def test_without_fork_a_file_is_checked_in_a_new_python_and_a_function_here(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FORKS", False)
    monkeypatch.setattr(exercises, "FORKS", False)
    assert check_file("se-scale", written("se-scale", tmp_path))
    assert check("se-scale", scaled())
    if hasattr(signal, "SIGALRM"):
        assert "still running" in check("se-scale", endless, seconds=0.1).found


def test_what_an_answer_prints_is_shown(capsys):
    def prints(gy, u, s):
        print("gy:", gy.shape)
        return scaled()(gy, u, s)

    assert check("se-scale", prints)
    assert "gy: (2, 4, 3, 5)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "answer",
    [
        lambda gy, *inputs: se_backward(gy, (*inputs, inputs, 1), (True,) * 5),
        lambda *inputs: EXERCISES["se-backward"].right(*inputs),
        partial(EXERCISES["se-backward"].right),
    ],
)
def test_minise_s_own_functions_are_no_answer(answer):
    result = check("se-backward", answer)
    assert not result
    assert "it calls minise." in result.found
    assert "expected NumPy only, and helpers of its own" in result.found


def test_hints_have_three_levels():
    answer = scaled(gs=lambda gs: gs + 1)
    results = [check("se-scale", answer, hint=level) for level in (1, 2, 3)]
    assert [len(result.hints) for result in results] == [1, 2, 3]
    assert results[2].hints == EXERCISES["se-scale"].checks[0].hints
    mean = check("se-scale", EXERCISES["se-scale"].mistakes[1].answer, hint=3)
    assert mean.hints == (EXERCISES["se-scale"].mistakes[1].hint, *EXERCISES["se-scale"].checks[0].hints[1:])


def test_a_result_shows_all_its_lines():
    result = check("se-scale", scaled(direct=lambda g: 0.5 * g), hint=2)
    for shown in (repr(result), result._repr_markdown_()):
        for words in (
            "not right yet",
            "✓ gs, the gradient of the gate",
            "the direct part",
            "0.5",
            "constant",
        ):
            assert words in shown
    assert "(2, 4, 3, 5)" in repr(result)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("nope", len), {}, "'nope' is unknown, expected one of tanh"),
        (("tanh", len), {}, "tanh: found 1 functions in 1 arguments, expected tanh_forward, tanh_backward"),
        (("chain", 3), {}, "chain: found 0 functions in 1 arguments, expected chain_gradients"),
        (("chain", len), {"hint": 4}, "hint: found 4, expected a level from 1 to 3"),
        (("chain", len), {"hint": "2"}, "hint: found '2'"),
    ],
)
def test_wrong_use_of_check(arguments, options, words):
    with pytest.raises(ConfigError, match="expected") as caught:
        check(*arguments, **options)
    assert words in str(caught.value)


# ---- files -------------------------------------------------------------------------------------------------


def notebook(path, *sources):
    cells = [{"cell_type": "markdown", "source": ["# def f(): no code"]}]
    cells += [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in sources]
    path.write_text(json.dumps({"cells": cells}))
    return path


def functions_of(path, *names):
    return define(read_definitions(path, names), names)


def test_only_imports_definitions_and_constants_are_run(tmp_path):
    source = """
import numpy as np
from math import pi as PI
HALF, more = 1 / 2, [-3, (4, "x")]
count: int = 2 + 1
slow = open("/nonexistent")
print(1 / 0)
raise SystemExit
for k in range(10**9): pass
def f(x):
    return HALF * x + PI + count
def g(): return "slow" in globals()
class C: pass
"""
    path = tmp_path / "a.py"
    path.write_text(source)
    f, g, made = functions_of(path, "f", "g", "C")
    assert f(1) == pytest.approx(0.5 + np.pi + 3)
    assert g() is False
    assert made.__name__ == "C"


def test_of_a_notebook_the_last_definition_counts(tmp_path):
    path = notebook(
        tmp_path / "a.ipynb",
        "%matplotlib inline\n!ls\ndef f(): return 1",
        "%%timeit\ndef f(): return 2 +",
        "f()\ndef f(): return 3",
    )
    (f,) = functions_of(path, "f")
    assert f() == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.py", b"def f(:\n", ["a.py: line 1", "expected Python"]),
        ("a.py", b"\xff\xfe", ["no UTF-8"]),
        ("a.py", b"x = '\0'", ["expected Python"]),
        ("a.py", b"\nimport nothing_of_this_name", ["found no function tanh_forward, tanh_backward"]),
        ("a.py", b"", ["found no function tanh_forward, tanh_backward"]),
        ("a.py", b"tanh_forward = 3\ndef tanh_backward(): 1", ["found no function tanh_forward, expected"]),
        ("a.txt", b"", ["'.txt'", "expected .py or .ipynb"]),
        ("a.ipynb", b"", ["no cells"]),
        ("a.ipynb", b"[1]", ["no cells"]),
        ("a.ipynb", b'{"cells": [{"cell_type": "code"}]}', ["no cells"]),
        ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": "def"}]}', ["cell 1, line 1"]),
        ("missing", None, ["No such file"]),
        ("folder", None, ["expected a .py or .ipynb file"]),
    ],
)
def test_files_that_cannot_be_read_are_one_line(name, content, words, tmp_path):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    elif name == "folder":
        path.mkdir()
    with pytest.raises(SourceError) as caught:
        check_file("tanh", path)
    for word in (name, *words):
        assert word in str(caught.value)
    failed(minise("check-exercise", "tanh", path), 1, name, *words)


RIGHT = "    return (gy * u).sum(axis=(2, 3)), gy * s[:, :, None, None]\n"


@pytest.mark.parametrize(
    "source",
    [
        "import os, numpy\nfrom minise import ops\nrun = os.system('touch ran')\ndef scale_backward(gy, u, s):\n",
        "def scale_backward(gy: RUN, u, s) -> RUN:\n",
        "a: RUN = 3\ndef scale_backward(gy, u, s):\n    a\n",
        "import os\n@RUN\ndef unused(): pass\ndef scale_backward(gy, u, s, *, k=(2, 3)):\n",
        "def scale_backward(gy, u, s):\n    return answer(gy, u, s)\nanswer = lambda gy, u, s: (\n"
        "    (gy * u).sum(axis=(2, 3)), gy * s[:, :, None, None])\ndef unused():\n",
    ],
)
def test_what_runs_nothing_is_passed_over(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "numpy.py"
    path.write_text(source.replace("RUN", "__import__('os').system('touch ran')") + RIGHT)
    assert check_file("se-scale", path), check_file("se-scale", path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "source",
    [
        "def scale_backward(gy, u, s, k=RUN):\n",
        "def scale_backward(gy, u, s, *, k=[RUN]):\n",
        "@RUN\ndef scale_backward(gy, u, s):\n",
        "f = lambda k=RUN: k\ndef scale_backward(gy, u, s):\n    f()\n",
        "class C:\n    RUN\n    def f(self): RUN\n    k = RUN\ndef scale_backward(gy, u, s):\n    C()\n",
        "class C:\n    @RUN\n    def f(self): pass\ndef scale_backward(gy, u, s):\n    C()\n",
        "class C(RUN): pass\ndef scale_backward(gy, u, s):\n    C()\n",
        "class C(metaclass=RUN): pass\ndef scale_backward(gy, u, s):\n    C()\n",
    ],
)
def test_what_would_run_to_define_a_function_is_refused(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.py"
    path.write_text(source.replace("RUN", "__import__('os').system('touch ran')") + RIGHT)
    with pytest.raises(
        SourceError, match=r"a\.py: line \d: found `.*would run before any function is called"
    ):
        check_file("se-scale", path)
    failed(minise("check-exercise", "se-scale", path), 1, "a.py", "would run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os\ndef scale_backward(gy, u, s):\n    os.system('touch ran')\n", "it imports os,"),
        ("def scale_backward(gy, u, s):\n    import os\n", "it imports os,"),
        ("def scale_backward(gy, u, s):\n    exec('import os')\n", "it imports os,"),
        (
            "from minise import ops\ndef scale_backward(gy, u, s):\n    return ops.se(gy)\n",
            "it imports minise,",
        ),
        ("from minise.ops.se import *\ndef scale_backward(gy, u, s):\n", "SOLVED"),
        ("from minise.ops.se import se_backward as scale_backward\ndef f():\n", "it imports minise.ops.se,"),
        ("BIG = 'x' * 10**12\ndef scale_backward(gy, u, s):\n    BIG\n", "to define it raises MemoryError"),
        ("BIG = 1 / 0\ndef scale_backward(gy, u, s):\n    BIG\n", "to define it raises ZeroDivisionError"),
    ],
)
def test_an_answer_may_import_numpy_only(source, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.py"
    path.write_text(source + RIGHT)
    result = check_file("se-scale", path)
    assert bool(result) == (words == "SOLVED")
    assert result or words in result.found
    assert not (tmp_path / "ran").exists()


def test_an_exception_in_a_notebook_shows_its_line(tmp_path):
    path = notebook(
        tmp_path / "a.ipynb", "import numpy as np", "def scale_backward(gy, u, s):\n    return gy * s, 1"
    )
    assert "in `return gy * s, 1`: gy is (2, 4, 3, 5), s is (2, 4)" in check_file("se-scale", path).found


# ---- the command -------------------------------------------------------------------------------------------


def test_the_command_lists_the_exercises():
    out = succeeded(minise("check-exercise"))
    for exercise in EXERCISES.values():
        assert exercise.name in out
        assert all(signature in out for signature in exercise.signatures)
    objects = lines(minise("check-exercise", "--json"))
    assert [each["name"] for each in objects] == list(EXERCISES)
    assert objects[0]["checks"]


def test_the_command_says_solved(tmp_path):
    path = written("se-backward", tmp_path)
    assert "se-backward: solved" in succeeded(minise("check-exercise", "se-backward", path))
    (result,) = lines(minise("check-exercise", "se-backward", path, "--json"))
    assert result["state"] == "solved"


def test_the_command_gives_hints_and_exits_with_1(tmp_path):
    path = tmp_path / "answers.py"
    path.write_text(
        "def scale_backward(gy, u, s):\n    print('[red] hello')\n    return gy * u, gy * s[:, :, None, None]\n"
    )
    shown = []
    for flags in ([], ["--hint"], ["--hint", "--hint"], ["--hint"] * 3):
        result = minise("check-exercise", "se-scale", path, *flags)
        assert result.exit_code == 1
        assert "hello" not in result.stdout
        assert "✗ gs, the gradient of the gate" in result.stdout
        assert ("--hint says more" in result.stdout) == (len(flags) < 2)
        shown.append(result.stdout)
    assert [len(out.splitlines()) for out in shown] == [6, 7, 7, 7]
    found = minise("check-exercise", "se-scale", path, "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["hints"] == [EXERCISES["se-scale"].mistakes[0].hint]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nope", "x.py"], ["nope", "se-backward"]),
        (["tanh"], ["both NAME and FILE"]),
        (["tanh", "x.py", "more"], ["more"]),
    ],
)
def test_wrong_usage_of_the_command(args, words):
    failed(minise("check-exercise", *args), 2, *words)
