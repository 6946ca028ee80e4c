"""Activations. `ACTIVATIONS` is the table that layers, models and the command line choose from.

The excitation of an SE block is where the choice matters here: a ReLU unit whose input is negative for
every image has gradient 0, so that nothing it learns brings it back; the others let a gradient through on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def relu_forward(x: Array) -> tuple[Array, Any]:
    """y = max(x, 0); gx = gy where x > 0, else 0 (at x = 0 too)."""
    y = array_module(x).maximum(x, 0)
    return y, y


def relu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy * (saved > 0),)


def felu_forward(x: Array, alpha: Array) -> tuple[Array, Any]:
    """FeLU: y = x for x > 0, alpha (2^(x / ln 2) - 1) for x <= 0, with a learnable alpha.

    x: (n, c) or (n, c, h, w). alpha: () for one a layer, or (c,) for one a channel.
    2^(x / ln 2) is e^x, so this is ELU whose alpha learns; it is computed by expm1, exact near 0.
    gx = gy where x > 0, else gy alpha e^x (so alpha at x = 0); galpha = Σ gy (e^x - 1) over x <= 0.
    alpha may turn negative while it learns, hence the sign of x decides, never that of y.
    Source: Qiumei, Dan and Fenghua, IEEE Access 7, 2019; our reading of He and Sun, 2020.
    """
    xp = array_module(x)
    alpha = _per_channel("felu", alpha, x)
    e = xp.expm1(xp.minimum(x, 0))
    return xp.where(x > 0, x, alpha * e), (x, alpha, e)


def felu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, alpha, e = saved
    xp = array_module(x)
    return (
        xp.where(x > 0, gy, gy * alpha * xp.exp(xp.minimum(x, 0))) if needs[0] else None,
        _sum_to(gy * e, alpha) if needs[1] else None,  # e is 0 where x > 0
    )


def elu_forward(x: Array, *, alpha: float = 1.0) -> tuple[Array, Any]:
    """ELU: y = x for x > 0, alpha (e^x - 1) for x <= 0, alpha fixed; gx = gy or gy alpha e^x (at 0 too).

    Source: Clevert, Unterthiner and Hochreiter, 2015, arXiv:1511.07289.
    """
    xp = array_module(x)
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0))), (x, alpha)


def elu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, alpha = saved
    xp = array_module(x)
    return (xp.where(x > 0, gy, gy * alpha * xp.exp(xp.minimum(x, 0))),)


def leaky_relu_forward(x: Array, *, slope: float = 0.01) -> tuple[Array, Any]:
    """y = x for x > 0, slope x for x <= 0; gx = gy or gy slope (at 0 too)."""
    xp = array_module(x)
    return xp.where(x > 0, x, slope * x), (x, slope)


def leaky_relu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, slope = saved
    return (array_module(x).where(x > 0, gy, slope * gy),)


def prelu_forward(x: Array, slope: Array) -> tuple[Array, Any]:
    """PReLU: leaky ReLU whose slope learns; gslope = Σ gy x over x <= 0.

    x: (n, c) or (n, c, h, w). slope: () for one a layer, or (c,) for one a channel.
    Source: He, Zhang, Ren and Sun, 2015, arXiv:1502.01852.
    """
    slope = _per_channel("prelu", slope, x)
    return array_module(x).where(x > 0, x, slope * x), (x, slope)


def prelu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, slope = saved
    xp = array_module(x)
    return (
        xp.where(x > 0, gy, slope * gy) if needs[0] else None,
        _sum_to(gy * xp.minimum(x, 0), slope) if needs[1] else None,
    )


def sigmoid_forward(x: Array) -> tuple[Array, Any]:
    """y = 1 / (1 + e^-x), from e^-|x|, which cannot overflow; gx = gy y (1 - y), where 1 - y is e^-x y next to 1."""
    xp = array_module(x)
    e = xp.exp(-xp.abs(x))
    y = xp.where(x >= 0, 1, e) / (1 + e)
    return y, (y, xp.where(x > 4, e * y, 1 - y))


def sigmoid_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    y, rest = saved
    return (gy * y * rest,)


def tanh_forward(x: Array) -> tuple[Array, Any]:
    """y = tanh x; gx = gy (1 - y²), computed as gy / cosh² x: next to 1 and -1 y has few digits left for 1 - y²."""
    return array_module(x).tanh(x), x


def tanh_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    e = array_module(saved).exp(-abs(saved))
    slope = 2 * e / (1 + e * e)  # 1 / cosh x
    return (gy * slope * slope,)


GELU_SCALE, GELU_CUBIC = 2 * (2 / np.pi) ** 0.5, 0.044715


def gelu_forward(x: Array) -> tuple[Array, Any]:
    """GELU: y = x σ(t), t = 2 √(2/π) (x + 0.044715 x³), where σ(t) is close to Φ(x), the normal distribution.

    gx = gy (σ(t) + x σ(t) (1 - σ(t)) t'), t' = 2 √(2/π) (1 + 3 · 0.044715 x²).
    Source: Hendrycks and Gimpel, 2016, arXiv:1606.08415, the form with tanh (PyTorch's `approximate="tanh"`), written
    with σ(t) = (1 + tanh(t / 2)) / 2.
    """
    near = x.clip(-40, 40)  # beyond, σ is 0 or 1 to the last digit, and powers of x may overflow
    s, (_, rest) = sigmoid_forward(GELU_SCALE * (near + GELU_CUBIC * near * near * near))
    return x.clip(-40) * s, (near, s, rest)


def gelu_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    x, s, rest = saved
    return (gy * (s + x * s * rest * (GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x))),)


def _per_channel(op: str, a: Array, x: Array) -> Array:
    """A learnable () or (c,) parameter, shaped so that it broadcasts along x's axis 1."""
    if a.ndim == 0:
        return a
    if x.ndim < 2 or a.shape != (x.shape[1],):
        raise ShapeError(f"{op}: the parameter has shape {a.shape}, expected () or (c,) for x {x.shape}")
    return a.reshape(-1, *(1,) * (x.ndim - 2))


def _sum_to(g: Array, a: Array) -> Array:
    """Σ g over everything that shares one element of the parameter `a` (shaped by `_per_channel`)."""
    if a.ndim == 0:
        return array_module(g).asarray(g.sum())
    return g.sum(axis=(0, *range(2, g.ndim)))


relu = Op(relu_forward, relu_backward)
felu = Op(felu_forward, felu_backward)
elu = Op(elu_forward, elu_backward)
leaky_relu = Op(leaky_relu_forward, leaky_relu_backward)
prelu = Op(prelu_forward, prelu_backward)
sigmoid = Op(sigmoid_forward, sigmoid_backward)
tanh = Op(tanh_forward, tanh_backward)
gelu = Op(gelu_forward, gelu_backward)


@dataclass(frozen=True)
class Formula:
    """act(x) and act'(x) for x <= 0 (below, slope) and x > 0 (above, slope_above), as text.

    In x, y = act(x), the parameter a, `exp`, `expm1`, `tanh`, `sqrt` and `pi`: the notation of both Python and C++.
    learns: the derivative of act(x) by a for x <= 0; for x > 0 it is 0.
    """

    below: str
    slope: str
    above: str = "x"
    slope_above: str = "1"
    learns: str = "0"


@dataclass(frozen=True)
class Activation:
    """An activation to choose by name, with all that its users need: a new one is its pair and its row.

    start: where its learnable parameter starts, if it has one; fixed: its parameter, if that does not learn.
    formula: for walks with numbers, CUDA kernels and exports, which leave out an activation that has none.
    onnx: ONNX's operator, where there is one; torch: options for PyTorch's function of the same name.
    """

    op: Op
    start: float | None = None
    fixed: float | None = None
    formula: Formula | None = None
    onnx: str | None = None
    torch: Mapping[str, Any] = field(default_factory=dict)


def _smooth(value: str, slope: str) -> Formula:
    """One formula for all x."""
    return Formula(value, slope, value, slope)


EXPONENTIAL = Formula("a * expm1(x)", "a * exp(x)", learns="expm1(x)")
COSH = "(exp(x) + exp(-x))"
LINE = Formula("a * x", "a", learns="x")
BELOW = "(1 + exp(-sqrt(8 / pi) * (x + 0.044715 * x * x * x)))"
REST = "y / (1 + exp(sqrt(8 / pi) * (x + 0.044715 * x * x * x)))"
GELU = _smooth(f"x / {BELOW}", f"1 / {BELOW} + sqrt(8 / pi) * ({REST} + 0.134145 * (x * (x * ({REST}))))")
ACTIVATIONS = {
    "relu": Activation(relu, formula=Formula("0", "0"), onnx="Relu"),
    "felu": Activation(felu, start=1.0, formula=EXPONENTIAL),
    "elu": Activation(elu, fixed=1.0, formula=EXPONENTIAL, onnx="Elu"),
    "leaky_relu": Activation(leaky_relu, fixed=0.01, formula=LINE, onnx="LeakyRelu"),
    "prelu": Activation(prelu, start=0.25, formula=LINE, onnx="PRelu"),
    "sigmoid": Activation(sigmoid, formula=_smooth("1 / (1 + exp(-x))", "y / (1 + exp(x))"), onnx="Sigmoid"),
    "tanh": Activation(tanh, formula=_smooth("tanh(x)", f"4 / {COSH} / {COSH}"), onnx="Tanh"),
    "gelu": Activation(gelu, formula=GELU, torch={"approximate": "tanh"}),
}


def activation_of(op: str, act: str) -> Activation:
    """The row `act` of ACTIVATIONS; ShapeError in the name of `op` where there is none."""
    if act not in ACTIVATIONS:
        raise ShapeError(f"{op}: activation {act!r} is unknown, expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[act]


def derivative(act: str, x: Array, *parameters: Array) -> Array:
    """act'(x), elementwise and shaped like x, from the activation's own backward with gy = 1."""
    op = ACTIVATIONS[act].op
    _, saved = op.forward(x, *parameters)
    gx = op.backward(array_module(x).ones_like(x), saved, op.needs_for(True, *(False for _ in parameters)))[0]
    assert gx is not None
    return gx
