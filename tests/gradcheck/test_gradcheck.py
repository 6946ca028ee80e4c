"""The gradient checker itself: steps, kinks, causes; and `minise gradcheck`, on minise's own and on a user's file."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from minise_cli.main import cli
from mutants import MUTANTS, mutated

from minise import ops
from minise.errors import ConfigError
from minise.gradcheck import GradientError, check_gradients, compare_gradients
from minise.gradcheck.cases import FUSED_CASES, cases
from minise.gradcheck.diagnosis import CAUSES, Evidence, likeliest_cause
from minise.gradcheck.finite_difference import central, complex_step, examine
from minise.gradcheck.layers import LAYERS
from minise.gradcheck.search import search
from minise.gradcheck.suite import by_small_steps, jobs
from minise.gradcheck.user import parse_shape
from minise.models import MODELS
from minise.tape import Op

RNG = np.random.default_rng


# ---- small steps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("g", "expected"), [(np.exp, 1.0), (np.sin, 1.0), (lambda t: (2 + t) ** 3, 12.0)])
def test_each_difference_gives_the_derivative(g, expected):
    assert central(g) == pytest.approx(expected, rel=1e-9)
    assert complex_step(g) == pytest.approx(expected, rel=1e-15)
    slope = examine(g)
    assert slope.value == pytest.approx(expected, rel=1e-9)
    assert not slope.is_kink


def test_a_kink_is_recognised_and_any_value_between_its_sides_is_right():
    slope = examine(abs)
    assert slope.is_kink
    assert (slope.left, slope.right) == (pytest.approx(-1), pytest.approx(1))
    assert [slope.nearest(d) for d in (-2, 0.3, 2)] == [pytest.approx(-1), 0.3, pytest.approx(1)]


def test_a_kink_within_the_step_is_avoided_by_a_smaller_one():
    assert examine(lambda t: max(t - 1e-4, 0.0) + 3 * t).value == pytest.approx(3, rel=1e-6)


def test_a_steep_function_gets_the_step_that_it_needs():
    assert examine(lambda t: np.sin(1e3 * t)).value == pytest.approx(1e3, rel=1e-5)


def test_a_function_that_takes_no_complex_numbers_is_left_to_differences():
    assert complex_step(lambda t: float(t)) is None
    comparison = compare_gradients(lambda x: ops.sigmoid(x), [RNG(0).standard_normal((2, 3))], RNG(1))
    assert comparison.worst.error < 1e-8  # |x| of a complex x is no x: seen, and not used


def test_at_a_kink_the_choice_of_the_op_is_accepted_and_counted():
    at_zero = np.array([[0.0, 1.0, -1.0]])
    comparison = compare_gradients(ops.relu, [at_zero], RNG(1), by_complex_step=False)
    assert (comparison.compared, comparison.kinks) == (3, 1)


def test_at_a_kink_a_value_beyond_both_sides_is_wrong():
    at_zero = np.array([[0.0, 1.0, -1.0]])
    slopes = np.where(at_zero == 0, 3.0, at_zero > 0)
    beyond = Op(ops.relu.forward, lambda gy, saved, needs: (gy * slopes,))
    with pytest.raises(GradientError, match=r"element \(0, 0\)"):
        check_gradients(beyond, [at_zero], RNG(1))


def test_a_small_gradient_is_held_to_its_own_size():
    def forward(x, w):
        return 1e-9 * x + w, None

    for scale in (1.0, 1e-12):  # of all, and of one input beside another
        wrong = Op(
            lambda x, w, k=scale: (k * forward(x, w)[0], None),
            lambda gy, saved, needs, k=scale: (-1e-9 * k * gy, k * gy),
        )
        with pytest.raises(GradientError, match="input 0"):
            check_gradients(wrong, [np.ones(2), np.zeros(2)], RNG(0))


def test_inputs_without_digits_enough_are_refused():
    with pytest.raises(GradientError, match="inputs are float32, expected float64"):
        check_gradients(ops.relu, [np.ones(2, np.float32)], RNG(0))


# ---- causes ------------------------------------------------------------------------------------------------


def evidence(change, shape=(2, 3, 4), y_shape=None):
    """A right gradient that `change` makes wrong, for one input of the shape."""
    found = []
    for seed in range(3):
        rng = RNG(seed)
        x, n = rng.standard_normal((2, *shape))
        y = rng.standard_normal(shape if y_shape is None else y_shape)
        found.append(Evidence(0, y, {0: change(n, x, y)}, {0: n}, [x]))
    return found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n, x, y: 0 * n, "no gradient arrives"),
        (lambda n, x, y: -n, "the sign"),
        (lambda n, x, y: 3 * n, "a missing 1 / m, where m is the size of axis 1 "),
        (lambda n, x, y: n / 2, "a wrong 1 / m, where m is the size of axis 0 "),
        (lambda n, x, y: n * np.log(2), "it is ln 2 times"),
        (lambda n, x, y: n / x, "a missing factor: input 0"),
        (lambda n, x, y: n * y * y, "a factor too much: the square of the result"),
        (lambda n, x, y: n / x * y, "a wrong factor: the result in the place of input 0"),
        (lambda n, x, y: np.where(x > 0, n, 0.3 * n), "it is wrong only where input 0 is negative"),
        (
            lambda n, x, y: n - n.mean(axis=(1, 2), keepdims=True),
            "a term is missing or wrong that is the same along axes 1, 2",
        ),
        (lambda n, x, y: n[:, ::-1], "reverse order along axis 1"),
        (
            lambda n, x, y: np.broadcast_to(n.mean(axis=0), n.shape),
            "it is the mean of the right one over axis 0",
        ),
    ],
)
def test_a_cause_is_named(change, words):
    assert words in likeliest_cause(evidence(change))


def test_no_cause_is_made_up():
    assert (
        likeliest_cause(evidence(lambda n, x, y: RNG(int(1e6 * abs(n.flat[0]))).standard_normal(n.shape)))
        is None
    )
    assert likeliest_cause([]) is None
    assert all(cause.__doc__ for cause in CAUSES)


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        ("the second path left out", "a term is missing or wrong that is the same along axes 2, 3"),
        ("exp(x / ln 2)", "it is wrong only where input 0 is negative"),
        ("statistics taken for constants", "taken for constants"),
        ("scale", "it is 1/2 times"),
    ],
)
def test_the_search_makes_a_seeded_bug_small_and_names_its_cause(bug, words):
    mutant = next(m for m in MUTANTS if m.bug == bug)
    op = mutated(mutant)
    outcome = search(
        cases(mutant.op),
        lambda case: by_small_steps(op, case),
        kind="op",
        name=mutant.op,
        backend="reference",
        examples=10,
        seed=0,
    )
    assert outcome.failure is not None
    assert outcome.worst > 1e-6
    assert words in outcome.failure.cause
    assert sum(x.size for x in outcome.failure.inputs if isinstance(x, np.ndarray)) <= 40


# ---- minise's own ------------------------------------------------------------------------------------------


def test_everything_has_a_row():
    assert set(FUSED_CASES) == set(ops.FUSED)
    assert len(list(jobs(backends=["reference"]))) == len(ops.OPS) + len(ops.FUSED) + len(LAYERS) + len(
        MODELS
    )


@pytest.mark.parametrize("name", ["batch_norm_act", *LAYERS, "se-convnet"])
def test_the_rows_that_no_other_test_covers_are_right(name):
    for job in jobs([name]):
        outcome = job(4, 0)
        assert outcome.failure is None
        assert outcome.worst < 1e-4
        assert outcome.derivatives > 0


@given(case=cases("batch_norm_act"))
def test_a_case_is_a_case(case):
    assert case.inputs[0].shape[1:2] == case.inputs[1].shape


# ---- the command -------------------------------------------------------------------------------------------

MY_OPS = """
import numpy as np
from minise import ops
from minise.nn import Linear, Module, Parameter
from minise.tape import FusedOp, Op

def swish_forward(x, beta):
    s = 1 / (1 + np.exp(-beta * x))
    return x * s, (x, beta, s)

def swish_backward(gy, saved, needs):
    x, beta, s = saved
    return gy * (s + beta * x * s * (1 - s)), (gy * x * x * s * (1 - s)).sum(axis=0)

swish = Op(swish_forward, swish_backward)

def centre_forward(x):
    return x - x.mean(axis=0), None

def centre_backward(gy, saved, needs):
    return (gy,)

def gate(x, y):
    return ops.sigmoid(x) * y

class Small(Module):
    def __init__(self):
        self.fc = Linear(3, 2, rng=np.random.default_rng(0))
    def forward(self, x):
        return ops.tanh(self.fc(x))

class InPlace(Module):
    def __init__(self):
        self.fc = Linear(3, 2, rng=np.random.default_rng(0))
    def forward(self, x):
        x.data[:] = np.maximum(x.data, 0)
        return self.fc(x)

class WrongScale(Module):
    def __init__(self):
        self.scale = Parameter(np.ones(3, np.float32))
    def forward(self, x):
        return wrong(x, self.scale)

def wrong_forward(x, w):
    return x * w, (x, w)

def wrong_backward(gy, saved, needs):
    x, w = saved
    return gy * w, -(gy * x).sum(axis=0)

wrong = Op(wrong_forward, wrong_backward)

def both_composed(x, w):
    return ops.tanh(x) * w

both = FusedOp(both_composed)

def biased_forward(x, b=None):
    return (x * 2 if b is None else x * 2 + b), b is not None

def biased_backward(gy, saved, needs):
    return (2 * gy, -gy) if saved else (2 * gy,)

def relu6_forward(x):
    return np.clip(x, 0, 6), x

def relu6_backward(gy, x, needs):
    return (gy * (x > 0),)

def at_zero_forward(x):
    return x + 0, x

def at_zero_backward(gy, x, needs):
    return (gy * (1 + 4 * (x == 0)).astype(gy.dtype),)

noise = np.random.default_rng(0)
def noisy(x):
    return x * noise.random()

def scaled_forward(x, *, factor):
    return factor * x, factor

def scaled_backward(gy, saved, needs):
    return (saved * gy,)

number = 3
largest = max
def notensor(x):
    return 1

def layer_norm_forward(x, w):
    mean, sd = x.mean(1, keepdims=True), x.std(1, keepdims=True) + 1e-5
    z = (x - mean) / sd
    return z * w, (z, sd, w)

def layer_norm_backward(gy, saved, needs):
    z, sd, w = saved
    g = gy * w
    return (g - g.mean(1, keepdims=True)) / sd, (gy * z).sum(0)

def gated(slope, mean):
    def gated_forward(u, w1, w2):
        z = u.mean((2, 3))
        q = z @ w1.T
        a = np.maximum(q, 0)
        s = 1 / (1 + np.exp(-a @ w2.T))
        return u * s[:, :, None, None], (u, w1, w2, z, q, a, s)

    def gated_backward(gy, saved, needs):
        u, w1, w2, z, q, a, s = saved
        gs = (gy * u).mean((2, 3)) if mean else (gy * u).sum((2, 3))
        gv = gs if slope else gs * s * (1 - s)
        gq = (gv @ w2) * (q > 0)
        gz = (gq @ w1)[:, :, None, None] / (u.shape[2] * u.shape[3])
        return gy * s[:, :, None, None] + gz, gq.T @ z, gv.T @ a

    return Op(gated_forward, gated_backward)

no_slope, mean_for_sum = gated(True, False), gated(False, True)
def angry(x):
    raise RuntimeError("no\\nway")
"""


def gradcheck(*args):
    return CliRunner().invoke(cli, ["gradcheck", *map(str, args)])


@pytest.fixture
def my_ops(tmp_path):
    path = tmp_path / "my_ops.py"
    path.write_text(MY_OPS)
    return path


def test_a_table_of_named_ops_and_layers():
    done = gradcheck("relu", "SE", "--examples", 3, "--backend", "reference")
    assert done.exit_code == 0
    assert "relu" in done.output
    assert "all agree" in done.output


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("swish", ["--shape", "n,c", "--shape", "c"]),
        ("gate", []),
        ("Small", ["--shape", "n,3"]),
        ("scaled", ["--option", "factor=2.5", "--shape", "3,n"]),
        ("scaled", ["--option", "factor=2.5", "--shape", ""]),
        ("both", []),
        ("biased", []),
        ("relu6", ["--values", "positive"]),
    ],
)
def test_a_users_op_function_and_module(my_ops, name, more):
    done = gradcheck(f"{my_ops}:{name}", "--examples", 10, *more)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("name", "shapes", "words"),
    [
        ("layer_norm", ("n,c", "c"), "the variance over axis 1 was taken for a constant"),
        (
            "mean_for_sum",
            ("n,c,h,w", "d,c", "c,d"),
            "a wrong 1 / m, where m is the size of axes 2, 3 of input 0",
        ),
        ("no_slope", ("n,c,h,w", "d,c", "c,d"), None),
    ],
)
def test_the_cause_is_that_of_the_input_that_is_named(my_ops, name, shapes, words):
    for seed in range(2):
        more = [part for shape in shapes for part in ("--shape", shape)]
        row = json.loads(
            gradcheck(f"{my_ops}:{name}", *more, "--seed", seed, "--json").output.splitlines()[0]
        )
        assert row["cause"] == words, row


def test_it_is_said_that_the_shapes_were_a_guess(my_ops):
    told = "inputs were taken as n,c each; --shape says otherwise"
    assert told in gradcheck(f"{my_ops}:no_slope").output
    assert told not in gradcheck(f"{my_ops}:no_slope", *["--shape", "n,c"] * 3).output


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_hypothesis_it_says_what_brings_it(options, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [
        name for name in sys.modules if name.startswith(("minise_cli.render.gradients", "minise.gradcheck"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    done = gradcheck("add", *options)
    assert done.exit_code == 2
    assert done.output.startswith("error: gradcheck: needs hypothesis")
    assert done.output.endswith("pip install 'minise[check]'\n")


def test_a_wrong_op_is_shown_small_with_its_cause(my_ops):
    done = gradcheck(f"{my_ops}:centre", "--examples", 20)
    assert done.exit_code == 1
    assert "input 0 (1, 1)" in done.output
    assert "a path through their sum or mean" in done.output
    row = json.loads(gradcheck(f"{my_ops}:centre", "--json").output.splitlines()[0])
    assert (row["ok"], row["shapes"], row["mismatch"]["index"]) == (False, [[1, 1]], [0, 0])


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("InPlace", ["--shape", "n,3"], "InPlace: it changed input 0 in place"),
        ("WrongScale", ["--shape", "n,3"], "parameter scale, element"),
        ("biased", ["--shape", "n,c", "--shape", "n,c"], "the gradient of input 1"),
        ("relu6", [], "the gradient of input 0"),
        ("at_zero", ["--values", "ties"], "the gradient of input 0"),
        ("noisy", [], "noisy: it gave another result for the same inputs"),
    ],
)
def test_what_is_wrong_only_now_and_then_is_found(my_ops, name, more, words):
    row = json.loads(gradcheck(f"{my_ops}:{name}", "--json", *more).output.splitlines()[0])
    assert not row["ok"]
    assert words in row["message"]


def test_a_relu_at_its_kink_is_right():
    ties = [np.array([[0.0, 0.0, 1.0, -1.0]])]
    assert compare_gradients(ops.relu, ties, RNG(0), by_complex_step=False).kinks == 2


@pytest.mark.parametrize("worst", [100.0, np.nan])
def test_a_kernel_that_gives_another_y_or_no_number_is_found(worst, monkeypatch):
    from minise.backend import BACKENDS, Kernel

    def backward(gy, saved, needs):
        gx = gy * (saved > 0)
        gx.reshape(-1)[1:] *= 1 if worst == 100 else worst
        return (gx,)

    def forward(x):
        y, saved = ops.relu.forward(x)
        return (y + worst if worst == 100 else y), saved

    monkeypatch.setitem(BACKENDS["numpy"].kernels, "relu", Kernel(forward, backward))
    (job,) = jobs(["relu"], ["numpy"])
    assert job(10, 0).failure is not None


def test_every_op_finds_cases_on_every_backend():
    for job in jobs(list(ops.OPS) + list(ops.FUSED), ["numpy", "numba"]):
        assert job(2, 0).failure is None


def test_it_leaves_nothing_behind(my_ops, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert gradcheck(f"{my_ops}:gate", "--examples", 2).exit_code == 0
    assert not list(tmp_path.glob("here/*"))


BROKEN = [
    (
        "return 2 * x",
        "return (2 * gy,)",
        "the forward gave an array of shape (1, 1), expected two values: y, saved",
    ),
    ("return None, x", "return (2 * gy,)", "the forward gave y: None, expected an array"),
    ("return 2 * x, None", "return (None,)", "the backward gave for input 0: None, expected an array"),
    (
        "return 2 * x, None",
        "return 2 * gy",
        "the backward gave an array of shape (1, 1), expected a tuple of 1",
    ),
    ("return 2 * x, None", "return (2 * gy, gy)", "the backward gave a tuple of 2, expected a tuple of 1"),
    ("return 2 * x, None", "return (2 * gy[..., None],)", "shape (1, 1, 1), expected (1, 1)"),
    ("return 2.0 * x.astype(float), None", "return (2 * gy,)", "dtype float64, expected float32"),
    ("return 2 * x, None", "return (gy * np.nan,)", "nan at element (0, 0), expected finite numbers"),
    ("x *= 2; return x.copy(), None", "return (2 * gy,)", "the forward changed input 0 in place"),
    ("return 2 * x, None", "gy *= 2; return (gy.copy(),)", "the backward changed gy in place"),
    ("y = 2 * x; return y, y", "saved *= 2; return (2 * gy,)", "the backward changed y in place"),
    ("return x * x, x", "return (2 * gy * noise.random() * saved,)", "another gradient for input 0"),
    ("raise SystemExit(2)", "return (gy,)", "the forward raised SystemExit (2)"),
    ("out[...] = x[0, 0]; return out, x", "return (gy,)", "gave the same array twice"),
    ("return 2 * x, x", "saved *= 2; return (2 * gy,)", "the backward changed input 0 in place"),
    ("return np.random.rand(*x.shape).astype(x.dtype), x", "return (gy,)", "expected the same each time"),
    ("return x[3], x", "return (gy,)", "the forward raised IndexError (index 3 is out of bounds"),
    ("return 2 * x, None", "raise KeyError('w')", "the backward raised KeyError ('w')"),
]


@pytest.mark.parametrize(("forward", "backward", "words"), BROKEN)
def test_a_broken_op_is_told_so_by_name(tmp_path, forward, backward, words):
    path = tmp_path / "broken.py"
    path.write_text(
        "import numpy as np\n"
        "noise, out = np.random.default_rng(0), np.zeros((1, 1))\n"
        f"def mine_forward(x): {forward}\n"
        f"def mine_backward(gy, saved, needs): {backward}\n"
    )
    done = gradcheck(path, "--json")
    assert done.exit_code == 1, done.output
    row = json.loads(done.output.splitlines()[0])
    assert row["message"].startswith("mine: ")
    assert words in row["message"]
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nothing"], "'nothing' is no op, layer or model"),
        (["felu", "--backend", "numpy"], "felu: found no kernel on numpy, expected --backend reference"),
        (["none.py"], "none.py is no Python file"),
        (["{}:absent"], "has no absent, nor absent_forward and absent_backward"),
        (["{}:number"], "is a int, expected an op, a module or a function"),
        (["{}:largest"], "largest does not say its inputs, expected a function in Python"),
        (["{}:swish", "--shape", "n"], "swish has inputs: 2, found shapes: 1 (n)"),
        (["{}:swish", "--shape", "n,0", "--shape", "n"], "has the size '0', expected names or numbers"),
        (["{}:scaled", "--option", "factor"], "found 'factor', expected KEY=VALUE"),
        (["relu", "--shape", "n"], "--shape is for FILE.py:NAME, found only names"),
        (["{}:notensor"], "gradcheck: 1 failed (notensor)"),
        (["{}:angry"], "gradcheck: 1 failed (angry)"),
    ],
)
def test_bad_input_gets_one_line(my_ops, args, words):
    done = gradcheck(*[a.replace("{}", str(my_ops)) for a in args])
    assert done.exit_code in (1, 2)
    assert words in done.output
    assert "Traceback" not in done.output


def test_a_file_that_cannot_be_imported_gets_one_line(tmp_path):
    path = tmp_path / "sick.py"
    path.write_text("import nothing_of_that_name")
    done = gradcheck(path)
    assert done.exit_code == 2
    assert "cannot be imported (ModuleNotFoundError" in done.output


def test_shapes_are_letters_and_numbers():
    assert parse_shape("n, c,4") == ("n", "c", 4)
    assert parse_shape("") == parse_shape("()") == ()
    with pytest.raises(ConfigError, match="expected names or numbers"):
        parse_shape("n,,c")


def test_a_function_that_changes_with_every_call_fails():
    """It has no derivative."""
    rng = RNG(0)
    with pytest.raises(GradientError):
        check_gradients(lambda x: ops.multiply(x, rng.random()), [np.ones(2)], RNG(1))
