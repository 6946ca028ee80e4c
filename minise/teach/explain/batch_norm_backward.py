"""Batch norm backward: two sums, three terms, and a test that sees nothing."""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.ops.batch_norm import batch_norm, batch_norm_backward
from minise.tape import Tensor
from minise.teach.explain.arithmetic import bracketed, number, written
from minise.teach.explain.batch_norm_input import AT, Case, M, by_steps, factor
from minise.teach.explain.evidence import gradients
from minise.teach.explain.lesson import Cell, Mistake, Question, Step, Table, Value, Written, difference
from minise.teach.explain.source import RETURNED, Lines, body

GX, SCALED = "gx = gy - ", "gx = gx * "
VARIANTS = {
    "gx = gy - column(gb / m, gy.ndim) - x_hat * column(gw / m, gy.ndim)": "as it is",
    "gx = gy - column(gb / m, gy.ndim)": "no third term: σ² as a constant",
    "gx = gy - column(gb / m, gy.ndim) + x_hat * column(gw / m, gy.ndim)": "the third term's sign",
    "gx = gy - column(gb / m, gy.ndim) - x_hat * column(gw / (m - 1), gy.ndim)": "m - 1 for m in the third term",
    "gx = gy - x_hat * column(gw / m, gy.ndim)": "no second term: μ as a constant",
    "gx = gy": "neither",
}
"""What could stand in place of the line of gx, and what is wrong with it."""


def backward_steps(case: Case, forward: Lines, tape: list[Array]) -> list[Step]:
    """From gy to the gradients of x, w and b. tape: those three by the tape."""
    lines = Lines(batch_norm_backward, gy=case.gy, saved=forward[RETURNED][1], needs=(True,) * 3)
    lines.run("x_hat, inv", "axes = ")
    others = dict(zip("xwb", zip(tape, by_steps(case, case.gy), strict=True), strict=True))
    steps = [_upstream(case), _parameters(lines, others), _terms(lines), _gx(lines, others["x"])]
    return [*steps, _blind(case, forward)]


def _upstream(case: Case) -> Step:
    return Step(
        "backward",
        "What comes from above",
        ("gy = dL/dy",),
        "Random numbers: L = Σ gy·y. The last step shows what ones would do.",
        values=(Value("gy", case.gy, ("n", "c")),),
    )


def _parameters(lines: Lines, others: dict[str, tuple[Array, Array]]) -> Step:
    code = lines.run("gw = ", "gb = ")
    rows = range(M)
    gys, x_hats = ([factor(name, lines[name], n, 1) for n in rows] for name in ("gy", "x_hat"))
    return Step(
        "backward",
        "The gradients of w and b",
        ("gw[c] = Σ_n gy[n,c]·x̂[n,c]", "gb[c] = Σ_n gy[n,c]"),
        "The whole batch shares w and b: sums. The same two sums are needed for gx.",
        code,
        (Value("gw", lines["gw"], ("c",), *others["w"]), Value("gb", lines["gb"], ("c",), *others["b"])),
        (
            written("gw", (1,), [list(pair) for pair in zip(gys, x_hats, strict=True)]),
            written("gb", (1,), [[x] for x in gys]),
        ),
        questions=(Question("The shape of gw?", lines["gw"].shape, "that of w"),),
    )


def _terms(lines: Lines) -> Step:
    code = lines.run("m = ", GX)
    second = lines.instead("term = column(gb / m, gy.ndim) + 0 * gy", "term")
    third = lines.instead("term = x_hat * column(gw / m, gy.ndim)", "term")
    gy, x_hat = (float(lines[name][AT]) for name in ("gy", "x_hat"))
    gb, gw = (float(lines[name][1]) for name in ("gb", "gw"))
    symbols = "gy[0,1] - gb[1] / m - x_hat[0,1]·gw[1] / m"
    numbers = f"{number(gy)} - {bracketed(gb)} / {M} - {bracketed(x_hat)}·{bracketed(gw)} / {M}"
    return Step(
        "backward",
        "Three terms, as x is in three places",
        ("gy - gb / m - x̂·gw / m", "first: x itself", "second: x moves μ", "third: x moves σ²"),
        "Second term: x raises the mean and so lowers all outputs of its channel, which takes the mean of gy"
        " away. Third term: an x far from the mean raises the variance and so shrinks all outputs towards the"
        " mean, which takes away the part of gy that lies along x̂.",
        code,
        (
            Value("gy", lines["gy"], ("n", "c")),
            Value("gb / m", second, ("n", "c")),
            Value("x̂·gw / m", third, ("n", "c")),
            Value("the three", lines["gx"], ("n", "c")),
        ),
        (Written("the three", AT, symbols, numbers, float(lines["gx"][AT])),),
    )


def _gx(lines: Lines, others: tuple[Array, Array]) -> Step:
    before = float(lines["gx"][AT])
    code = lines.run(SCALED)
    gx, x_hat = lines["gx"], lines["x_hat"]
    factors = [("(the three)", before), factor("w", lines["w"], 1), factor("inv", lines["inv"], 1)]
    sums: list[tuple[Cell, ...]] = [
        ("Σ gx", *gx.sum(axis=0).tolist()),
        ("Σ gx·x̂", *(gx * x_hat).sum(axis=0).tolist()),
    ]
    return Step(
        "backward",
        "Scaled as the forward was",
        ("gx = (gy - gb / m - x̂·gw / m)·w / √(σ² + eps)",),
        "What is left has the sum 0 and no part along x̂ (but for eps): to shift or stretch a whole channel changes"
        " nothing in y, so no gradient points that way.",
        code,
        (Value("gx", gx, ("n", "c"), *others),),
        (written("gx", AT, [factors]),),
        (Table("nothing along 1 and along x̂", ("", "channel 0", "channel 1"), tuple(sums)),),
        mistakes=(_constant_variance(lines, gx),),
        questions=(
            Question("The sum of gx over a channel?", 0.0, "shifting the channel changes nothing"),
            Question("The shape of gx?", gx.shape, "that of x"),
        ),
    )


def _constant_variance(lines: Lines, gx: Array) -> Mistake:
    line = "gx = (gy - column(gb / m, gy.ndim)) * column(w * inv, gy.ndim)"
    wrong = lines.instead(line, "gx")
    return Mistake("the variance is taken for a constant", line, "gx", AT, float(wrong[AT]), float(gx[AT]))


def _blind(case: Case, forward: Lines) -> Step:
    """Every variant of the line of gx against small steps, once with ones for gy and once with random numbers."""
    errors: dict[str, list[float]] = {line: [] for line in VARIANTS}
    for gy in (np.ones_like(case.gy), case.gy):
        lines = Lines(batch_norm_backward, gy=gy, saved=forward[RETURNED][1], needs=(True,) * 3)
        lines.run("x_hat, inv", "axes = ", "gw = ", "gb = ", "m = ")
        right = by_steps(case, gy)[0]
        for line in VARIANTS:
            lines.scope["gx"] = lines.instead(line, "gx")
            lines.run(SCALED)
            errors[line].append(difference(lines["gx"], right))
    rows = tuple((VARIANTS[line], *map(_error, errors[line])) for line in VARIANTS)
    ones = np.ones_like(case.gy)
    gx = batch_norm_backward(ones, forward[RETURNED][1], (True,) * 3)[0]
    unseen = sum(one < 1e-9 < random for one, random in errors.values())
    assert gx is not None
    return Step(
        "backward",
        "Why y.sum() is blind",
        ("L = Σ y, so gy = 1", "gb / m = 1 and gw = Σ x̂ = 0", "gx = 1 - 1 - x̂·0 = 0"),
        "The sum of a normalised channel is m·b whatever x is, so gx is 0. Every mistake that keeps it 0 goes"
        f" unseen: {unseen} of the {len(VARIANTS) - 1} wrong lines below pass the test with ones, none the one"
        " with random numbers.",
        (body(batch_norm_backward),),
        (Value("gx for gy = 1", gx, ("n", "c"), _tape_gx(case, ones), by_steps(case, ones)[0]),),
        tables=(Table("largest error of gx", ("the line of gx has", "gy = 1, a sum", "gy random"), rows),),
        questions=(Question("With ones for gy, what is every element of gx?", 0.0, "1 - 1 - x̂·0"),),
    )


def _error(x: float) -> str:
    return "none" if x < 1e-9 else number(x)


def _tape_gx(case: Case, gy: Array) -> Array:
    tensors = [Tensor(x, requires_grad=True) for x in case.inputs]
    batch_norm(*tensors).backward(gy)
    return gradients(tensors)[0]
