"""Squeeze-and-Excitation, twice: by hand (`se`) and composed from other ops (`se_composed`).

    squeeze      z = mean over h, w of u             (n, c)
    excite       q = W1 z + b1                       (n, d)    d = c / reduction
                 a = act(q)                          (n, d)
                 v = W2 a + b2                       (n, c)
                 s = sigmoid(v)                      (n, c)    the gate
    scale        y = s · u, channel by channel       (n, c, h, w)

Source: Hu, Shen, Albanie, Sun and Wu, 2017, arXiv:1709.01507, where act is ReLU.
"""

from __future__ import annotations

from typing import Any

from minise.backend import Array
from minise.errors import ShapeError
from minise.ops.activation import ACTIVATIONS, activation_of, sigmoid, sigmoid_forward
from minise.ops.basic import Gradients, Needs
from minise.ops.linear import linear
from minise.ops.pool import global_avg_pool
from minise.ops.shape import reshape
from minise.tape import Op, Tensor


def se_forward(
    u: Array,
    w1: Array,
    b1: Array | None,
    w2: Array,
    b2: Array | None,
    alpha: Array | None = None,
    *,
    act: str = "relu",
) -> tuple[Array, Any]:
    """Gate every channel of u by a number in (0, 1) that is computed from all of its channels' means.

    u: (n, c, h, w); w1: (d, c), b1: (d,) or None; w2: (c, d), b2: (c,) or None; y: like u.
    alpha: the parameter of `act`, () or (d,), where it has one (felu, prelu); else None.
    The derivation of the backward stands above `se_backward`'s lines. Raises ShapeError.
    """
    check_se(u, w1, b1, w2, b2, alpha, act=act)
    act_inputs = () if alpha is None else (alpha,)
    z = u.mean(axis=(2, 3))
    q = z @ w1.T if b1 is None else z @ w1.T + b1
    op = ACTIVATIONS[act].op
    a, act_saved = op.forward(q, *act_inputs)
    v = a @ w2.T if b2 is None else a @ w2.T + b2
    s, (_, rest) = sigmoid_forward(v)
    wants = op.needs_for(True, *(True for _ in act_inputs))
    return s[:, :, None, None] * u, (u, z, w1, a, w2, s, rest, act_saved, op, wants)


def se_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """u reaches y on two paths, directly and through the gate, and gets a gradient from both."""
    u, z, w1, a, w2, s, rest, act_saved, op, wants = saved
    h, w = u.shape[2:]

    gs = (gy * u).sum(axis=(2, 3))  # y = s·u: the gate is shared by the h·w pixels of its channel
    gv = gs * s * rest  # s = sigmoid(v), rest = 1 - s
    gw2, gb2 = gv.T @ a, gv.sum(axis=0)  # v = W2 a + b2
    ga = gv @ w2
    gq, *galpha = op.backward(ga, act_saved, wants)  # a = act(q)
    assert gq is not None
    gw1, gb1 = gq.T @ z, gq.sum(axis=0)  # q = W1 z + b1
    gz = gq @ w1

    direct = gy * s[:, :, None, None]
    through_gate = (gz / (h * w))[:, :, None, None]  # z is a mean: each pixel has a share of 1 / (h·w)
    gu = direct + through_gate
    return gu, gw1, gb1, gw2, gb2, *galpha


def se_composed(
    u: Tensor, w1: Tensor, b1: Any, w2: Tensor, b2: Any, alpha: Any = None, *, act: str = "relu"
) -> Tensor:
    """The same function as `se`, as a chain of ops: the tape finds both paths by itself."""
    act_inputs = () if alpha is None else (alpha,)
    z = global_avg_pool(u)
    a = activation_of("se", act).op(linear(z, w1, b1), *act_inputs)
    s = sigmoid(linear(a, w2, b2))
    return u * reshape(s, shape=(*s.shape, 1, 1))


def check_se(
    u: Array, w1: Array, b1: Array | None, w2: Array, b2: Array | None, alpha: Array | None, *, act: str
) -> None:
    """Raise ShapeError unless the arrays fit together and the activation exists."""
    start = activation_of("se", act).start
    if u.ndim != 4 or w1.ndim != 2 or w1.shape[1] != u.shape[1] or w2.shape != w1.shape[::-1]:
        raise ShapeError(
            f"se: u {u.shape}, w1 {w1.shape} and w2 {w2.shape} do not fit, expected (n, c, h, w), (d, c), (c, d)"
        )
    for name, b, size in (("b1", b1, w1.shape[0]), ("b2", b2, w2.shape[0])):
        if b is not None and b.shape != (size,):
            raise ShapeError(f"se: {name} has shape {b.shape}, expected ({size},)")
    if (alpha is None) != (start is None):
        found = "None" if alpha is None else f"shape {alpha.shape}"
        expected = "None" if start is None else "() or (d,)"
        raise ShapeError(f"se: alpha is {found}, expected {expected} for activation {act!r}")


se = Op(se_forward, se_backward)
