"""Gradient bugs, seeded: each is a piece of an op's code and what stands in its place. Tests must catch every one.

Most have been made by somebody: a forgotten 1 / n, a wrong axis, a path that is left out, a transposed weight, 2^x
for e^x, statistics taken for constants. `mutated` makes the op anew with the bug in it.
"""

from __future__ import annotations

import inspect
import sys
import types
from dataclasses import dataclass

from minise.ops import OPS
from minise.tape import Op


@dataclass(frozen=True)
class Mutant:
    """In the function `function` of the op's file, `old` (which stands there once) is `new`; bug: in words."""

    op: str
    function: str
    old: str
    new: str
    bug: str

    def __str__(self) -> str:
        return f"{self.op}: {self.bug}"


def mutated(mutant: Mutant) -> Op:
    """The op with the bug. Raises ValueError where `old` does not stand in the function just once."""
    module = sys.modules[OPS[mutant.op].forward.__module__]
    scope = dict(vars(module))
    functions = {
        name: inspect.getsource(f)
        for name, f in vars(module).items()
        if isinstance(f, types.FunctionType) and f.__module__ == module.__name__
    }
    if mutant.function not in functions:  # an import of the file, such as a helper of another one
        home = sys.modules[vars(module)[mutant.function].__module__]
        scope |= vars(home)
        functions[mutant.function] = inspect.getsource(vars(module)[mutant.function])
    source = functions[mutant.function]
    if source.count(mutant.old) != 1:
        raise ValueError(
            f"{mutant}: {mutant.old!r} stands {source.count(mutant.old)} times in {mutant.function}"
        )
    functions[mutant.function] = source.replace(mutant.old, mutant.new)
    for name, code in functions.items():
        exec(compile(code, f"<{mutant.op}, {name}>", "exec"), scope)
    return Op(scope[f"{mutant.op}_forward"], scope[f"{mutant.op}_backward"])


def _of(op: str, *rows: tuple[str, str, str], function: str | None = None) -> list[Mutant]:
    return [Mutant(op, function or f"{op}_backward", old, new, bug) for old, new, bug in rows]


MUTANTS = [
    *_of("add", ("unbroadcast(gy, b_shape)", "gy", "what was broadcast is not summed")),
    *_of(
        "add",
        ("keepdims=True", "keepdims=False", "a stretched axis is dropped"),
        ("if size == 1 and", "if size == 2 and", "stretched axes are missed"),
        function="unbroadcast",
    ),
    *_of("subtract", ("unbroadcast(-gy, b_shape)", "unbroadcast(gy, b_shape)", "sign of b")),
    *_of(
        "multiply",
        ("gy * b", "gy * a", "a for b"),
        ("unbroadcast(gy * a, shape_of(b))", "unbroadcast(gy, shape_of(b)) * b", "the factor after the sum"),
    ),
    *_of(
        "divide",
        ("-(gy / b)", "(gy / b)", "sign of b"),
        ("(a / b)", "a", "1 / b for 1 / b²"),
    ),
    *_of("negate", ("-gy", "gy", "sign")),
    *_of("power", ("p - 1 if p else 0", "p", "exponent p for p - 1"), ("(p * x ** (", "(x ** (", "factor p")),
    *_of("exp", ("gy * saved", "gy", "factor y")),
    *_of("log", ("gy / saved", "gy * saved", "x for 1 / x")),
    *_of("sqrt", ("(2 * saved)", "saved", "factor 1/2")),
    *_of("sum", ("spread(gy, *saved)", "spread(gy / 2, *saved)", "scale")),
    *_of(
        "mean",
        ("gx / (gx.size // (gy.size or 1))", "gx", "missing 1 / m"),
        ("// (gy.size or 1)", "", "1 / all for 1 / m"),
    ),
    *_of("max", ("where(winners, shares, 0)", "where(True, shares, 0)", "everyone gets a share")),
    *_of(
        "transpose",
        ("[saved.index(i) for i in range(len(saved))]", "saved", "the permutation, not its inverse"),
    ),
    *_of("slice", ("gx[index] = gy", "gx[index] = 2 * gy", "scale")),
    *_of("pad", ("gy[saved]", "2 * gy[saved]", "scale")),
    *_of(
        "matmul",
        ("gy @ b.swapaxes(-1, -2)", "gy @ b.swapaxes(-1, -2) * 2", "scale of a"),
        (
            "a.swapaxes(-1, -2) @ gy",
            "a.swapaxes(-1, -2) @ gy[..., ::-1]",
            "columns of b reversed",
        ),
    ),
    *_of(
        "linear",
        ("gy.T @ x", "gy.T @ x / len(x)", "a mean over the batch that is none"),
        ("gy.sum(axis=0)", "gy.mean(axis=0)", "mean for sum in gb"),
        ("gy @ w if", "gy @ w * (w.sum() > 0) if", "dropped now and then"),
    ),
    *_of("relu", ("saved > 0", "saved >= 0", "everything passes"), ("gy * (saved > 0)", "gy", "no mask")),
    *_of(
        "felu",
        ("gy * alpha * xp.exp(xp.minimum(x, 0))", "gy * alpha * e", "e^x - 1 for e^x"),
        ("gy * alpha * xp", "gy * xp", "alpha left out"),
        ("gy * alpha * xp", "gy * alpha / 0.6931471805599453 * xp", "slope of exp(x / ln 2)"),
        ("x > 0, gy", "x > -1, gy", "mask in the wrong place"),
        (
            "x > 0, gy",
            "xp.where(x > 0, x, alpha * e) > 0, gy",
            "mask by the sign of y, though alpha may be negative",
        ),
        ("_sum_to(gy * e, alpha)", "_sum_to(gy * (e + 1), alpha)", "galpha with e^x"),
        ("_sum_to(gy * e, alpha)", "_sum_to(e, alpha)", "galpha without gy"),
    ),
    *_of(
        "felu",
        ("xp.expm1(xp.minimum(x, 0))", "xp.expm1(xp.minimum(x, 0) / 0.6931471805599453)", "exp(x / ln 2)"),
        function="felu_forward",
    ),
    *_of(
        "felu",
        ("(0, *range(2, g.ndim))", "0", "alpha's gradient not summed over the map"),
        function="_sum_to",
    ),
    *_of("elu", ("gy * alpha * xp.exp", "gy * (alpha - 1) + gy * xp.exp", "e^x - 1 + alpha")),
    *_of("leaky_relu", ("slope * gy", "gy * x", "x for the slope")),
    *_of(
        "prelu",
        ("gy * xp.minimum(x, 0)", "gy * x", "gslope over positive x too"),
        ("slope * gy", "gy", "slope left out"),
    ),
    *_of(
        "sigmoid",
        ("gy * y * rest", "gy * y", "factor 1 - y"),
        ("y * rest", "y * rest**2", "1 - y twice"),
    ),
    *_of("tanh", ("slope * slope", "slope", "1 / cosh x for its square")),
    *_of(
        "gelu",
        ("s + x * s", "s + s", "the sigmoid's slope without x"),
        ("1 + 3 * GELU_CUBIC", "1 + GELU_CUBIC", "x³ differentiated to x²"),
    ),
    *_of(
        "conv2d",
        (
            ".sum(axis=0).reshape(w.shape)",
            ".mean(axis=0).reshape(w.shape)",
            "mean for sum over the batch in gw",
        ),
        ("gy.sum(axis=(0, 2, 3))", "gy.sum(axis=(0, 2, 3)) / n", "1 / n in gb"),
        (
            "gcols = w.reshape(k, -1).T @ gy2",
            "gcols = w[:, :, ::-1, ::-1].reshape(k, -1).T @ gy2",
            "kernel turned around",
        ),
        (
            "cols = _columns(x, w, stride, padding)",
            "cols = _columns(x[..., ::-1, :], w, stride, padding)",
            "rows of x upside down",
        ),
    ),
    *_of(
        "conv2d",
        ("+= g[:, :, i, j]", "= g[:, :, i, j]", "overlapping windows overwrite each other"),
        ("i : i + stride * ho : stride, j", "i : i + ho, j", "the stride of rows forgotten"),
        ("padding : padding + h, padding", ": h, padding", "the border cut off on one side"),
        function="scatter_windows",
    ),
    *_of(
        "max_pool2d",
        ("winner[:, :, None, None] == tap", "winner[:, :, None, None] >= tap", "gy to more than the winner"),
    ),
    *_of(
        "max_pool2d",
        ("~(values <= y)", "~(values >= y)", "the loser wins"),
        function="max_pool2d_forward",
    ),
    *_of("avg_pool2d", ("gy / kernel**2", "gy / kernel", "1 / k for 1 / k²")),
    *_of(
        "global_avg_pool",
        ("(gy / (h * w))", "gy", "missing 1 / (h·w)"),
        ("(h * w)", "h", "1 / h for 1 / (h·w)"),
    ),
    *_of(
        "batch_norm",
        (
            "gy - column(gb / m, gy.ndim) - x_hat * column(gw / m, gy.ndim)",
            "gy",
            "statistics taken for constants",
        ),
        (" - x_hat * column(gw / m, gy.ndim)", "", "the variance taken for a constant"),
        ("gy - column(gb / m, gy.ndim) -", "gy -", "the mean taken for a constant"),
        ("column(gw / m, gy.ndim)", "column(gw, gy.ndim)", "missing 1 / m"),
        ("m = gy.size // len(w)", "m = len(gy)", "1 / n for 1 / (n·h·w)"),
        ("column(w * inv, gy.ndim)", "column(inv, gy.ndim)", "w left out"),
        ("column(w * inv, gy.ndim)", "column(w, gy.ndim)", "the deviation left out"),
        ("gw = (gy * x_hat)", "gw = gy", "gw without x̂"),
        ("if train:", "if not train:", "batch and running statistics mixed up"),
    ),
    *_of(
        "batch_norm",
        ("y = column(w, x.ndim) * x_hat", "y = column(w, x.ndim) * centred", "the deviation left out"),
        function="batch_norm_forward",
    ),
    *_of(
        "dropout", ("gy * saved", "gy * (saved > 0)", "missing 1 / (1 - p)"), ("gy * saved", "gy", "no mask")
    ),
    *_of(
        "softmax_cross_entropy",
        ("gy / n", "gy", "missing 1 / n"),
        ("smoothing / k", "smoothing", "missing 1 / k in the smoothing"),
        ("-= 1 - smoothing", "-= 1", "the label not smoothed"),
        ("xp.exp(log_p)", "log_p", "log p for p"),
    ),
    *_of(
        "se",
        ("direct + through_gate", "direct", "the second path left out"),
        ("direct + through_gate", "through_gate + 0 * direct", "the first path left out"),
        ("(gz / (h * w))", "gz", "missing 1 / (h·w)"),
        ("(gz / (h * w))", "(gz / h)", "1 / h for 1 / (h·w)"),
        ("gs * s * rest", "gs", "the sigmoid left out"),
        ("(gy * u).sum(axis=(2, 3))", "(gy * u).mean(axis=(2, 3))", "mean for sum in gs"),
        ("(gy * u).sum(axis=(2, 3))", "gy.sum(axis=(2, 3))", "gs without u"),
        ("gv.T @ a", "gv.T @ a / len(u)", "1 / n in gw2"),
        ("gv.sum(axis=0)", "gv.mean(axis=0)", "mean for sum in gb2"),
        ("gq.T @ z", "gq.T @ u.sum(axis=(2, 3))", "sum for mean in z"),
        ("gq.sum(axis=0)", "ga.sum(axis=0)", "gb1 before the activation"),
        ("gz = gq @ w1", "gz = ga @ w1", "the activation left out"),
        ("(ga, act_saved", "(ga * 2, act_saved", "scale of the activation"),
    ),
]
