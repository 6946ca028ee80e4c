"""What each op of a forward is in ONNX: a table of nodes by op; activations by their rows of `ACTIVATIONS`.

A function of a table adds nodes to a graph and returns the name of its result. Outside training only: a batch norm
has its running statistics. No size of a batch gets into the graph; the other sizes do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array
from minise.errors import ConfigError
from minise.interchange.onnx_graph import OnnxGraph
from minise.ops import ACTIVATIONS
from minise.tape import Call

END = np.iinfo(np.int64).max


class Term:
    """A value of a graph, on which Python's operators make nodes: so the text of a formula makes them."""

    def __init__(self, graph: OnnxGraph, name: str) -> None:
        self.graph, self.name = graph, name

    def node(self, kind: str, *terms: Term | float) -> Term:
        """A node of these terms and numbers."""
        names = (t.name if isinstance(t, Term) else self.graph.constant(t) for t in terms)
        return Term(self.graph, self.graph.node(kind, *names))

    def __neg__(self) -> Term:
        return self.node("Neg", self)

    def __add__(self, other: Term | float) -> Term:
        return self.node("Add", self, other)

    def __sub__(self, other: Term | float) -> Term:
        return self.node("Sub", self, other)

    def __mul__(self, other: Term | float) -> Term:
        return self.node("Mul", self, other)

    def __truediv__(self, other: Term | float) -> Term:
        return self.node("Div", self, other)

    def __rsub__(self, other: Term | float) -> Term:
        return self.node("Sub", other, self)

    def __rtruediv__(self, other: Term | float) -> Term:
        return self.node("Div", other, self)

    __radd__ = __add__
    __rmul__ = __mul__


FUNCTIONS = {
    "exp": lambda x: x.node("Exp", x),
    "expm1": lambda x: x.node("Elu", x),  # which is e^x - 1 where formulas use it: for x <= 0
    "tanh": lambda x: x.node("Tanh", x),
    "sqrt": lambda x: x.node("Sqrt", x) if isinstance(x, Term) else math.sqrt(x),
    "pi": math.pi,
}
EXPORTED = {act: row for act, row in ACTIVATIONS.items() if row.onnx is not None or row.formula is not None}


def activate(
    graph: OnnxGraph, act: str, x: str, parameters: tuple[Array, ...], ndim: int, **options: Any
) -> str:
    """The activation `act` of x, which has ndim axes; its parameters, () or (c,), stand along axis 1."""
    columns = [graph.constant(a.reshape(-1, *(1,) * (ndim - 2)), name=graph.title(a)) for a in parameters]
    if act not in EXPORTED:
        raise ConfigError(f"export: found the activation {act!r}, expected one of {', '.join(EXPORTED)}")
    row = EXPORTED[act]
    fixed = next(iter(options.values()), row.fixed)
    if row.onnx is not None:
        return graph.node(row.onnx, x, *columns, **({} if fixed is None else {"alpha": fixed}))
    assert row.formula is not None
    values = {"x": Term(graph, x), "a": Term(graph, columns[0]) if columns else fixed}
    below, above = (eval(text, FUNCTIONS, values) for text in (row.formula.below, row.formula.above))
    if row.formula.below == row.formula.above:
        return str(above.name)
    return graph.node("Where", graph.node("Greater", x, graph.constant(0)), above.name, below.name)


def activation(graph: OnnxGraph, call: Call) -> str:
    """An activation as an op of its own."""
    x, *parameters = call.inputs
    return activate(graph, call.op, graph.value(x), tuple(parameters), x.ndim, **call.options)


def conv2d(graph: OnnxGraph, call: Call) -> str:
    """With zero padding, the same on all sides."""
    stride, padding = call.options.get("stride", 1), call.options.get("padding", 0)
    shape = {"kernel_shape": call.inputs[1].shape[2:], "strides": [stride] * 2, "pads": [padding] * 4}
    return graph.node("Conv", *graph.values(*call.inputs), **shape)


def batch_norm(graph: OnnxGraph, call: Call) -> str:
    """With the running statistics."""
    names = graph.values(*call.inputs, *call.options["running"])
    return graph.node("BatchNormalization", *names, epsilon=call.options["eps"])


def dense(graph: OnnxGraph, x: str, *w_b: Array | None) -> str:
    """x wᵀ + b; b may be left out."""
    return graph.node("Gemm", x, *graph.values(*w_b), transB=1)


def global_avg_pool(graph: OnnxGraph, x: str) -> str:
    """(n, c, h, w) -> (n, c)."""
    return graph.node("Flatten", graph.node("GlobalAveragePool", x))


def max_pool2d(graph: OnnxGraph, call: Call) -> str:
    """Padding never wins."""
    kernel, padding = call.options["kernel"], call.options.get("padding", 0)
    stride = call.options.get("stride") or kernel
    shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    return graph.node("MaxPool", *graph.values(*call.inputs), **shape)


def se(graph: OnnxGraph, call: Call) -> str:
    """Squeeze, excite, scale, as in `minise.ops.se`."""
    u, w1, b1, w2, b2, *alpha = call.inputs
    parameters = tuple(a for a in alpha if a is not None)
    x = graph.value(u)
    z = dense(graph, global_avg_pool(graph, x), w1, b1)
    a = activate(graph, call.options["act"], z, parameters, 2)
    s = graph.node("Sigmoid", dense(graph, a, w2, b2))
    gate = graph.node("Reshape", s, graph.constant((0, u.shape[1], 1, 1), np.int64))
    return graph.node("Mul", gate, x)


def reshape(graph: OnnxGraph, call: Call) -> str:
    """The batch stays the first axis; 0 says so, whatever its size."""
    (x,), (n, *rest) = call.inputs, call.options["shape"]
    if n != len(x):
        moved = f"reshape of {x.shape} to {(n, *rest)} moves the batch"
        raise ConfigError(f"export: {moved}, which ONNX cannot be told")
    return graph.node("Reshape", graph.value(x), graph.constant((0, *rest), np.int64))


def slice_(graph: OnnxGraph, call: Call) -> str:
    """Slices that go forward."""
    index = call.options["index"]
    bounds = (
        [i.start or 0 for i in index],
        [END if i.stop is None else i.stop for i in index],
        list(range(len(index))),
        [i.step or 1 for i in index],
    )
    return graph.node("Slice", *graph.values(*call.inputs), *(graph.constant(b, np.int64) for b in bounds))


def pad(graph: OnnxGraph, call: Call) -> str:
    """Zeros around it."""
    before, after = zip(*call.options["widths"], strict=True)
    return graph.node("Pad", *graph.values(*call.inputs), graph.constant(before + after, np.int64))


TRANSLATORS: dict[str, Callable[[OnnxGraph, Call], str]] = {
    **dict.fromkeys(EXPORTED, activation),
    "add": lambda graph, call: graph.node("Add", *graph.values(*call.inputs)),
    "batch_norm": batch_norm,
    "conv2d": conv2d,
    "global_avg_pool": lambda graph, call: global_avg_pool(graph, graph.value(call.inputs[0])),
    "linear": lambda graph, call: dense(graph, graph.value(call.inputs[0]), *call.inputs[1:]),
    "max_pool2d": max_pool2d,
    "multiply": lambda graph, call: graph.node("Mul", *graph.values(*call.inputs)),
    "pad": pad,
    "reshape": reshape,
    "se": se,
    "slice": slice_,
}
"""Op -> a function of the graph and the traced call."""
