"""Batch norm, SE gate, shortcut and ReLU or GELU on a GPU: the launches around `src/norm_forward.cu` and
`src/norm_backward.cu`.

The formulas stand in those files. Maps may be float16 or float32; parameters, statistics and gates are float32.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.errors import ShapeError
from minise.kernels.cuda.launch import THREADS, cover, dense, empty_maps, half, is_map_type, launch, nhwc
from minise.ops.activation import ACTIVATIONS, Formula
from minise.ops.basic import Gradients, Needs
from minise.ops.batch_norm import check_batch_norm
from minise.ops.se import check_se

FORWARD, BACKWARD = "norm_forward.cu", "norm_backward.cu"
LANES, STATISTICS_ROWS = 8, 64
SHARED_FLOATS = 11 * 1024
"""How many float32 the kernels' tables may take together, of 12 * 1024 in the 48 KiB that a block has."""


def in_c(formula: str) -> str:
    """A formula of `ACTIVATIONS` in C++, in float."""
    formula = re.sub(r"\b(exp|expm1|tanh|sqrt)\(", r"\1f(", formula).replace("pi", "3.14159265")
    numbers = r"(?<![\w.])\d+(\.\d+)?(e-?\d+)?(?![\w.])"
    return "(" + re.sub(numbers, lambda found: f"{float(found[0])}f", formula) + ")"


def constants_of(act: str | None) -> dict[str, str]:
    """What `src/activation.cuh` needs defined for the activation of hidden units."""
    formula = ACTIVATIONS[act].formula if act is not None else Formula("0", "0")
    assert formula is not None
    return {name.upper(): in_c(text) for name, text in vars(formula).items()}


def pieces_of(hw: int) -> int:
    """Into how many equal pieces of 32 to 128 pixels a plane of hw is cut, a block each; 1 if that cannot be."""
    return next((p for p in range(cover(hw, 128), hw // 32 + 1) if hw % p == 0), 1)


def supports(
    x: Array,
    w: Array | None,
    b: Array | None,
    residual: Array | None = None,
    alpha: Array | None = None,
    *se: Any,
    **options: Any,
) -> bool:
    """Maps of one type with ReLU or nothing after them, GELU too where no shortcut comes in, and float32 parameters;
    what is wrong with shapes is for the reference to say.
    """
    if not (x.ndim == 4 and x.size > 0 and is_map_type(x, residual)):
        return False
    c, act = x.shape[1], options.get("se_act")
    vector = 16 // x.itemsize if c % (16 // x.itemsize) == 0 else 1
    hidden = len(se[0]) if act is not None and se else 0
    return (
        all(a.dtype == np.float32 for a in (w, b, *se, *(options.get("running") or ())) if a is not None)
        and (residual is None or residual.shape == x.shape)
        and (act is None or (act in ACTIVATIONS and ACTIVATIONS[act].formula is not None))
        and options.get("act") in ((None, "relu", "gelu") if residual is None else (None, "relu"))
        and c // vector <= THREADS
        and 2 * THREADS * vector + 4 * c + hidden <= SHARED_FLOATS
    )


def batch_norm_act_forward(
    x: Array,
    w: Array,
    b: Array,
    residual: Array | None = None,
    alpha: Array | None = None,
    w1: Array | None = None,
    b1: Array | None = None,
    w2: Array | None = None,
    b2: Array | None = None,
    se_alpha: Array | None = None,
    *,
    act: str | None = None,
    se_act: str | None = None,
    running: tuple[Array, Array] | None = None,
    train: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Any]:
    """`minise.ops.batch_norm_act.batch_norm_act_composed`."""
    check_batch_norm(x, w, b, train)
    if running is None and not train:
        raise ShapeError("batch_norm: running is None, expected (mean, var) outside training")
    gate_of: list[Any] = [w1, b1, w2, b2, se_alpha] if se_act is not None else [None] * 5
    if se_act is not None:
        check_se(x, *gate_of, act=se_act)
    w, b, *gate_of = dense(w, b, *gate_of)
    n, c, hw, maps = len(x), len(w), x.shape[2] * x.shape[3], nhwc(x)
    d = 0 if se_act is None else len(gate_of[0])
    constants = dict(
        HALF=half(x), C=c, HW=hw, PIECES=pieces_of(hw), D=d,
        ALPHAS=1 if gate_of[4] is None else gate_of[4].size, TRAIN=train, RELU=act == "relu", GELU=act == "gelu",
        RESIDUAL=residual is not None, **constants_of(se_act),
    )  # fmt: skip
    z, mean, inv = statistics(maps, running, float(momentum), float(eps), constants)
    hidden, gate = (floats(x, n, d), floats(x, n, c)) if d else (None, None)
    fixed = (ACTIVATIONS[se_act].fixed or 0.0) if se_act else 0.0
    y = empty_maps(x, x.shape)
    launch(
        FORWARD, "normalise", maps, None if residual is None else nhwc(residual), z, mean, inv, w, b, *gate_of, fixed,
        hidden, gate, nhwc(y), grid=n * constants["PIECES"], **constants,
    )  # fmt: skip
    cut = act == "relu" and residual is not None  # else x tells what was cut off, or nothing was
    return y, (x, y if cut else None, z, mean, inv, w, b, gate_of, fixed, hidden, gate, constants)


def statistics(
    maps: Array, running: tuple[Array, Array] | None, momentum: float, eps: float, constants: dict[str, Any]
) -> tuple[Array | None, Array, Array]:
    """(the planes' means (n, c) if there is a gate, μ (c,), 1 / √(σ² + eps) (c,)); running statistics are updated."""
    n, c, pieces = len(maps), constants["C"], constants["PIECES"]
    z = floats(maps, n, c) if constants["D"] else None
    parts = None
    if constants["TRAIN"] or constants["D"]:
        parts = floats(maps, n, pieces, 2, c)
        launch(FORWARD, "moments", maps, parts, grid=n * pieces, **constants)
    mean, inv = floats(maps, 2, c)
    launch(
        FORWARD, "statistics", parts, z, mean, inv, *(running or (None, None)), n, momentum, eps,
        grid=cover(c, LANES), block=LANES * STATISTICS_ROWS, **constants,
    )  # fmt: skip
    return z, mean, inv


def floats(like: Array, *shape: int) -> Array:
    """An uninitialized array in float32."""
    return array_module(like).empty(shape, np.float32)


def batch_norm_act_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """The gradients as the formulas in `src/norm_backward.cu` have them."""
    x, y, z, mean, inv, w, b, gate_of, fixed, hidden, gate, constants = saved
    w1, _, w2, _, alpha = gate_of
    n, c, d = len(x), len(w), constants["D"]
    pieces = constants["PIECES"]
    gy = gy.astype(x.dtype, copy=False)
    maps = nhwc(gy), None if y is None else nhwc(y), nhwc(x)
    planes = parts = floats(x, n, pieces, 2, c)
    launch(BACKWARD, "sums", *maps, mean, inv, w, b, gate, parts, grid=n * pieces, **constants)
    gz = by_gate = by_hidden = by_alpha = None
    if d:
        planes, gz, by_gate = floats(x, n, 2, c), floats(x, n, c), floats(x, n, c)
        by_hidden, by_alpha = floats(x, n, d), floats(x, n, d)
        launch(
            BACKWARD, "gates", parts, z, mean, inv, w, b, w1, w2, alpha, fixed, hidden, gate,
            planes, gz, by_gate, by_hidden, by_alpha, grid=n, **constants,
        )  # fmt: skip
    gw, gb = floats(x, c), floats(x, c)
    gse = [None if p is None else floats(x, *p.shape) for p in gate_of]
    launch(
        BACKWARD, "parameters", planes, n if d else n * pieces, z, mean, inv, w, b, hidden, alpha, fixed,
        by_gate, by_hidden, by_alpha, gw, gb, *gse,
        grid=(cover(max(c, d), 32), 2 * d + 5 if d else 2), block=1024, **constants,
    )  # fmt: skip
    gx = empty_maps(x, x.shape)
    gr = empty_maps(x, x.shape) if y is not None and needs[3] else None
    launch(
        BACKWARD, "combine", *maps, mean, inv, w, b, gw, gb, gate, gz, nhwc(gx), None if gr is None else nhwc(gr), n,
        grid=n * pieces, **constants,
    )  # fmt: skip
    return gx, gw, gb, gy if y is None else gr, None, *gse


def batch_norm_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """The gradients of a batch norm alone."""
    return batch_norm_act_backward(gy, saved, needs)[:3]


def se_supports(u: Array, w1: Array, *others: Any, **options: Any) -> bool:
    """What `supports` says of the same with a batch norm."""
    return supports(u, None, None, None, None, w1, *others, se_act=options.get("act"))


def se_forward(u: Array, *se: Any, act: str = "relu") -> tuple[Array, Any]:
    """`minise.ops.se.se_forward`: the gate behind a batch norm that changes nothing."""
    xp = array_module(u)
    ones, zeros = xp.ones(u.shape[1], np.float32), xp.zeros(u.shape[1], np.float32)
    nothing: dict[str, Any] = {"running": (zeros, ones), "train": False, "eps": 0.0}
    return batch_norm_act_forward(u, ones, zeros, None, None, *se, se_act=act, **nothing)


def se_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """The gradients of u and of the SE block's own."""
    gu, _, _, _, _, *gse = batch_norm_act_backward(gy, saved, (needs[0], *(False,) * 4, *needs[1:]))
    return gu, *gse


SE = Kernel(se_forward, se_backward, se_supports)
BATCH_NORM = Kernel(batch_norm_act_forward, batch_norm_backward, supports)
BATCH_NORM_ACT = Kernel(batch_norm_act_forward, batch_norm_act_backward, supports)
