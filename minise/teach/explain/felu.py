"""`explain felu`: the function and its derivative, why 2^(x / ln 2) is e^x, and what alpha learns."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.gradcheck.finite_difference import examine
from minise.ops.activation import ACTIVATIONS, derivative, felu, felu_backward, felu_forward
from minise.tape import Tensor
from minise.teach.explain.arithmetic import Factor, number, written
from minise.teach.explain.evidence import gradients, small_steps
from minise.teach.explain.felu_identity import LN2, X, identity_step, precision_step
from minise.teach.explain.lesson import (
    Cell,
    Graph,
    Lesson,
    Mistake,
    Question,
    Step,
    Table,
    Value,
    Written,
    difference,
)
from minise.teach.explain.source import RETURNED, Lines, body

CURVE = np.linspace(-4.0, 3.0, 141)
COMPARED = ("relu", "leaky_relu", "elu", "felu")
PART, BACK = "the function", "its gradients"


def explain_felu() -> Lesson:
    """FeLU with alpha = 1, as at the start of a training, but where another alpha shows more."""
    steps = (_function(), identity_step(), precision_step(), _slope(), _at_zero(), _others(), _alpha())
    return Lesson(
        "felu",
        "FeLU: the activation, its derivative and its parameter",
        "FeLU is x above zero, and below it bends to -alpha. Its formula did not survive in the copy of the 2020"
        " paper that we have; this is the published FELU (Qiumei, Dan and Fenghua, IEEE Access 7, 2019), which"
        " fits the paper's words. It is ELU with an alpha that learns, and written with a power of 2.",
        steps,
        (
            "FeLU passes a gradient on both sides of zero; ReLU on one.",
            "2^(x / ln 2) is e^x: with alpha = 1, FeLU is ELU. Any claim for FeLU needs ELU beside it.",
            "The sign of x decides, never that of y: alpha may turn negative.",
            "`minise explain dead` shows what the slope below zero is good for.",
        ),
    )


def run_forward(x: Array, alpha: float) -> Lines:
    """The lines of `felu_forward`, run on x."""
    lines = Lines(felu_forward, x=x, alpha=np.asarray(alpha))
    lines.run("xp = ", "alpha = ", "e = ", "return ")
    return lines


def run_backward(gy: Array, saved: tuple[Array, ...]) -> Lines:
    """The lines of `felu_backward`, run."""
    lines = Lines(felu_backward, gy=gy, saved=saved, needs=(True, True))
    lines.run("x, alpha, e", "xp = ", "return (")
    return lines


def on_tape(x: Array, alpha: float, gy: Array) -> tuple[Array, Array, Array]:
    """y, gx and galpha by the tape."""
    tensors = Tensor(x, requires_grad=True), Tensor(np.asarray(alpha), requires_grad=True)
    y = felu(*tensors)
    y.backward(gy)
    gx, galpha = gradients(tensors)
    return y.data, gx, galpha


def _function() -> Step:
    lines = run_forward(X, 1.0)
    y = lines[RETURNED][0]
    curves = {"felu": felu_forward(CURVE, np.asarray(1.0))[0]}
    curves["relu"] = ACTIVATIONS["relu"].op.forward(CURVE)[0]
    return Step(
        PART,
        "Above zero a line, below it a bend",
        ("felu(x) = x for x > 0", "felu(x) = alpha·(2^(x / ln 2) - 1) for x <= 0"),
        "Deep below zero it is -alpha, and never quite flat. Outputs of both signs keep their mean near zero, so the"
        " next layer's bias has less to make up for.",
        (body(felu_forward),),
        (Value("x", X), Value("felu(x), alpha = 1", y, (), on_tape(X, 1.0, np.ones_like(X))[0])),
        (
            Written(
                "felu(-1)", (), "alpha·(2^(-1 / ln 2) - 1)", f"1·(2^({number(-1 / LN2)}) - 1)", float(y[2])
            ),
        ),
        plots=(
            Graph(
                "felu and relu",
                CURVE,
                curves,
                "Both are the line x above zero; below it relu is 0, felu bends to -1.",
            ),
        ),
        questions=(
            Question("felu(0.5)?", 0.5, "above zero it is x"),
            Question("Far below zero and with alpha = 1, what does felu come near?", -1.0, "-alpha"),
        ),
    )


def _slope() -> Step:
    ones = np.ones_like(X)
    lines = run_backward(ones, run_forward(X, 1.0)[RETURNED][1])
    slope = lines[RETURNED][0]
    steps = small_steps(lambda x: felu_forward(x, np.asarray(1.0))[0], [X], ones)[0]
    curves = {f"{name}'": derivative(name, CURVE, *_parameters(name)) for name in ("felu", "relu")}
    return Step(
        BACK,
        "The derivative by x",
        ("felu'(x) = 1 for x > 0", "felu'(x) = alpha·e^x for x <= 0"),
        "With gy = 1, gx is the slope. Below zero it is alpha·e^x, which is y + alpha: small far out, and never 0, so"
        " something always gets through.",
        (body(felu_backward),),
        (Value("felu'(x)", slope, (), on_tape(X, 1.0, ones)[1], steps),),
        (Written("felu'(-1)", (), "alpha·e^(-1)", "1·e^(-1)", float(slope[2])),),
        plots=(
            Graph(
                "felu' and relu'", CURVE, curves, "Above zero both are 1. Below, relu' is 0; felu' is e^x."
            ),
        ),
        questions=(
            Question("felu'(2)?", 1.0, "above zero it is the line x"),
            Question("felu'(-1) for alpha = 1?", float(np.exp(-1)), "e^-1"),
        ),
    )


def _at_zero() -> Step:
    rows: list[tuple[Cell, ...]] = []
    zero = np.zeros(1)
    for alpha in (1.0, 0.5):

        def value(x: float, alpha: float = alpha) -> float:
            return float(felu_forward(np.array([x]), np.asarray(alpha))[0][0])

        for h in (1e-1, 1e-3, 1e-5):
            rows.append((alpha, f"{h:g}", (value(0) - value(-h)) / h, (value(h) - value(0)) / h))
        found = examine(value)
        rows.append((alpha, "→ 0", found.left, found.right))
    half = run_backward(np.ones(1), run_forward(zero, 0.5)[RETURNED][1])
    slope = Value("felu'(0), alpha = 0.5", half[RETURNED][0], (), on_tape(zero, 0.5, np.ones(1))[1])
    return Step(
        BACK,
        "At zero, from both sides",
        ("from the left:  (felu(0) - felu(-h)) / h → alpha", "from the right: (felu(h) - felu(0)) / h → 1"),
        "With alpha = 1 both sides agree and FeLU is smooth at 0. As soon as alpha learns, there is a kink, and a"
        " derivative at 0 is a choice: minise takes alpha, that of x <= 0.",
        values=(slope,),
        tables=(
            Table("difference quotients", ("alpha", "h", "from the left", "from the right"), tuple(rows)),
        ),
        questions=(Question("The slope just left of 0, for alpha = 0.5?", 0.5, "alpha·e^0"),),
    )


def _others() -> Step:
    normal = np.random.default_rng(0).standard_normal(100_000)
    rows: list[tuple[Cell, ...]] = []
    for name in COMPARED:
        op, given = ACTIVATIONS[name].op, _parameters(name)
        y, slope = (
            op.forward(np.array([-2.0, -0.5]), *given)[0],
            derivative(name, np.array([-2.0, -0.5]), *given),
        )
        mean = float(op.forward(normal, *given)[0].mean())
        rows.append((name, *map(float, y), *map(float, slope), mean))
    curves = {name: ACTIVATIONS[name].op.forward(CURVE, *_parameters(name))[0] for name in COMPARED}
    columns = ("", "act(-2)", "act(-0.5)", "act'(-2)", "act'(-0.5)", "mean output")
    return Step(
        BACK,
        "Beside ReLU, leaky ReLU and ELU",
        ("elu(x) = e^x - 1 for x <= 0", "leaky_relu(x) = 0.01·x for x <= 0"),
        "At alpha = 1, felu and elu are the same to the last bit: what felu may gain over elu, alpha has to earn.",
        tables=(
            Table(
                "alpha = 1",
                columns,
                tuple(rows),
                "mean output: of normal inputs with mean 0 and deviation 1; felu and elu differ by"
                f" {number(difference(curves['felu'], curves['elu']))} anywhere on the curve",
            ),
        ),
        plots=(
            Graph(
                "four activations",
                CURVE,
                {name: curves[name] for name in ("relu", "leaky_relu", "felu")},
                "Above zero all are the line x; below it relu is 0, leaky_relu falls slightly, felu and elu bend"
                " to -1.",
            ),
        ),
    )


def _alpha() -> Step:
    gy, alpha = np.array([0.4, -0.7, 1.2, 0.5, -0.9, 0.3, 1.1]), -0.5
    y, saved = felu_forward(X, np.asarray(alpha))
    lines = run_backward(gy, saved)
    lines.scope["y"] = y
    wrong = float(lines.instead("galpha = (gy * e)[y <= 0].sum()", "galpha"))
    right = lines[RETURNED][1]
    _, gx, galpha = on_tape(X, alpha, gy)
    steps = small_steps(lambda x, a: felu_forward(x, a)[0], [X, np.asarray(alpha)], gy)
    terms: list[list[Factor]] = [
        [
            (f"gy[{i}]", float(gy[i])),
            (f"(e^(x[{i}]) - 1)", float(np.expm1(X[i])), f"(e^({number(X[i])}) - 1)"),
        ]
        for i in range(len(X))
        if X[i] <= 0
    ]
    return Step(
        BACK,
        "The derivative by alpha",
        ("galpha = Σ gy·(e^x - 1) over x <= 0", "gx = gy·alpha·e^x for x <= 0, else gy"),
        "One alpha serves a whole layer, so everything below zero adds to its gradient. Here alpha is -0.5: it"
        " can become negative while it learns, and then y is positive for x < 0. That is why the line asks for"
        " the sign of x.",
        (Lines(felu_backward).show("return ("),),
        (
            Value("x", X),
            Value("gy", gy),
            Value("gx", lines[RETURNED][0], (), gx, steps[0]),
            Value("galpha", right, (), galpha, steps[1]),
        ),
        (written("galpha", (), terms),),
        mistakes=(
            Mistake(
                "the sign of y is asked for, not that of x",
                "galpha = (gy * e)[y <= 0].sum()",
                "galpha",
                (),
                wrong,
                float(right),
            ),
        ),
        questions=(
            Question("What does an x of 2 add to galpha?", 0.0, "above zero, alpha has no part in y"),
        ),
    )


def _parameters(name: str) -> tuple[Array, ...]:
    """What an activation starts with."""
    start = ACTIVATIONS[name].start
    return () if start is None else (np.asarray(start),)
