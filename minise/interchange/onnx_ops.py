"""What each op of a forward is in ONNX, as a table: op -> a function that adds its nodes to a graph.

A function takes the graph and the traced call, and returns the name of its result. Outside training only: a batch
norm has its running statistics. No size of a batch gets into the graph; the other sizes do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise.backend import Array
from minise.errors import ConfigError
from minise.interchange.onnx_graph import Graph
from minise.ops.activation import GELU_CUBIC, GELU_SCALE
from minise.tape import Call

END = np.iinfo(np.int64).max


def relu(graph: Graph, x: str) -> str:
    """max(x, 0)."""
    return graph.node("Relu", x)


def felu(graph: Graph, x: str, alpha: str) -> str:
    """x where x > 0, else alpha · elu(x)."""
    positive = graph.node("Greater", x, graph.constant(0))
    return graph.node("Where", positive, x, graph.node("Mul", alpha, graph.node("Elu", x)))


def elu(graph: Graph, x: str, *, alpha: float = 1.0) -> str:
    """x where x > 0, else alpha (e^x - 1)."""
    return graph.node("Elu", x, alpha=alpha)


def leaky_relu(graph: Graph, x: str, *, slope: float = 0.01) -> str:
    """x where x > 0, else slope · x, slope fixed."""
    return graph.node("LeakyRelu", x, alpha=slope)


def prelu(graph: Graph, x: str, slope: str) -> str:
    """x where x > 0, else slope · x, slope learnt."""
    return graph.node("PRelu", x, slope)


def sigmoid(graph: Graph, x: str) -> str:
    """1 / (1 + e^-x)."""
    return graph.node("Sigmoid", x)


def tanh(graph: Graph, x: str) -> str:
    """tanh x."""
    return graph.node("Tanh", x)


def gelu(graph: Graph, x: str) -> str:
    """x σ(t), t = 2 √(2/π) (x + 0.044715 x³)."""
    square = graph.node("Mul", graph.constant(GELU_SCALE * GELU_CUBIC), graph.node("Mul", x, x))
    t = graph.node("Mul", x, graph.node("Add", square, graph.constant(GELU_SCALE)))
    return graph.node("Mul", x, graph.node("Sigmoid", t))


ACTIVATIONS: dict[str, Callable[..., str]] = {
    f.__name__: f for f in (relu, felu, elu, leaky_relu, prelu, sigmoid, tanh, gelu)
}


def activate(graph: Graph, act: str, x: str, parameters: tuple[Array, ...], ndim: int, **options: Any) -> str:
    """The activation `act` of x, which has ndim axes; its parameters, () or (c,), stand along axis 1."""
    columns = [
        graph.constant(a.reshape(-1, *(1,) * (ndim - 2)), name=graph.titles.get(id(a))) for a in parameters
    ]
    if act not in ACTIVATIONS:
        raise ConfigError(f"export: found the activation {act!r}, expected one of {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[act](graph, x, *columns, **options)


def activation(graph: Graph, call: Call) -> str:
    """An activation as an op of its own."""
    x, *parameters = call.inputs
    return activate(graph, call.op, graph.value(x), tuple(parameters), x.ndim, **call.options)


def conv2d(graph: Graph, call: Call) -> str:
    """With zero padding, the same on all sides."""
    x, w, *b = (a for a in call.inputs if a is not None)
    stride, padding = call.options.get("stride", 1), call.options.get("padding", 0)
    return graph.node(
        "Conv",
        *map(graph.value, (x, w, *b)),
        kernel_shape=w.shape[2:],
        strides=[stride] * 2,
        pads=[padding] * 4,
    )


def batch_norm(graph: Graph, call: Call) -> str:
    """With the running statistics."""
    x, w, b = call.inputs
    mean, var = call.options["running"]
    return graph.node(
        "BatchNormalization", *map(graph.value, (x, w, b, mean, var)), epsilon=call.options["eps"]
    )


def dense(graph: Graph, x: str, w: Array, b: Array | None) -> str:
    """x wᵀ + b."""
    return graph.node("Gemm", x, *(graph.value(a) for a in (w, b) if a is not None), transB=1)


def linear(graph: Graph, call: Call) -> str:
    """x wᵀ + b, b may be left out."""
    x, w, *b = call.inputs
    return dense(graph, graph.value(x), w, b[0] if b else None)


def global_avg_pool(graph: Graph, call: Call) -> str:
    """(n, c, h, w) -> (n, c)."""
    return graph.node("Flatten", graph.node("GlobalAveragePool", graph.value(call.inputs[0])))


def max_pool2d(graph: Graph, call: Call) -> str:
    """Padding never wins."""
    kernel, padding = call.options["kernel"], call.options.get("padding", 0)
    stride = call.options.get("stride") or kernel
    shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    return graph.node("MaxPool", graph.value(call.inputs[0]), **shape)


def se(graph: Graph, call: Call) -> str:
    """Squeeze, excite, scale, as in `minise.ops.se`."""
    u, w1, b1, w2, b2, *alpha = call.inputs
    parameters = tuple(a for a in alpha if a is not None)
    x = graph.value(u)
    z = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    a = activate(graph, call.options["act"], dense(graph, z, w1, b1), parameters, 2)
    s = graph.node("Sigmoid", dense(graph, a, w2, b2))
    gate = graph.node("Reshape", s, graph.constant((0, u.shape[1], 1, 1), np.int64))
    return graph.node("Mul", gate, x)


def add(graph: Graph, call: Call) -> str:
    """With broadcasting."""
    return graph.node("Add", *map(graph.value, call.inputs))


def multiply(graph: Graph, call: Call) -> str:
    """With broadcasting."""
    return graph.node("Mul", *map(graph.value, call.inputs))


def reshape(graph: Graph, call: Call) -> str:
    """The batch stays the first axis; 0 says so, whatever its size."""
    (x,), (n, *rest) = call.inputs, call.options["shape"]
    if n != len(x):
        raise ConfigError(
            f"export: reshape of {x.shape} to {(n, *rest)} moves the batch, which ONNX cannot be told"
        )
    return graph.node("Reshape", graph.value(x), graph.constant((0, *rest), np.int64))


def slice_(graph: Graph, call: Call) -> str:
    """Slices that go forward."""
    index = call.options["index"]
    bounds = (
        [i.start or 0 for i in index],
        [END if i.stop is None else i.stop for i in index],
        range(len(index)),
        [i.step or 1 for i in index],
    )
    return graph.node(
        "Slice", graph.value(call.inputs[0]), *(graph.constant(list(b), np.int64) for b in bounds)
    )


def pad(graph: Graph, call: Call) -> str:
    """Zeros around it."""
    before, after = zip(*call.options["widths"], strict=True)
    return graph.node("Pad", graph.value(call.inputs[0]), graph.constant(before + after, np.int64))


TRANSLATORS: dict[str, Callable[[Graph, Call], str]] = {
    **dict.fromkeys(ACTIVATIONS, activation),
    "add": add,
    "batch_norm": batch_norm,
    "conv2d": conv2d,
    "global_avg_pool": global_avg_pool,
    "linear": linear,
    "max_pool2d": max_pool2d,
    "multiply": multiply,
    "pad": pad,
    "reshape": reshape,
    "se": se,
    "slice": slice_,
}
