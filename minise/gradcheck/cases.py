"""One table of random cases over all ops: `minise gradcheck` and the tests walk it.

A case is drawn by hypothesis (shapes, options) and filled by a seeded generator (values): signed, float64, of
odd and size-1 shapes, and at least 0.05 away from every kink; kinks have tests of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minise.backend import Array
from minise.gradcheck.values import Rng, SameEveryTime, distinct, is_float, positive, signed
from minise.ops import ACTIVATIONS

Draw = Callable[[st.SearchStrategy[Any]], Any]
Make = Callable[..., Array]


@dataclass
class Case:
    """Positional inputs and keyword options."""

    inputs: list[Any]
    options: dict[str, Any] = field(default_factory=dict)


SIZES = st.integers(1, 5)
SHAPES = st.lists(SIZES, min_size=0, max_size=4).map(tuple)


def unary(make: Make, draw: Draw, rng: Rng) -> Case:
    """One input of any shape, filled by `make`."""
    return Case([make(rng, draw(SHAPES))])


def binary(make_b: Make, draw: Draw, rng: Rng) -> Case:
    """Two shapes that broadcast: each has some axes of the full one dropped or shrunk to 1."""
    full = draw(SHAPES)
    shapes = []
    for _ in range(2):
        kept = full[draw(st.integers(0, len(full))) :]
        shapes.append(tuple(1 if draw(st.booleans()) else size for size in kept))
    return Case([signed(rng, shapes[0]), make_b(rng, shapes[1])])


def power_case(draw: Draw, rng: Rng) -> Case:
    """Positive numbers to a power."""
    exponent = draw(st.sampled_from([0, 1, 2, 3, -1, 0.5, -1.5]))
    return Case([positive(rng, draw(SHAPES))], {"exponent": exponent})


def reduction(make: Make, draw: Draw, rng: Rng) -> Case:
    """Any axes, kept or not, by number from either end."""
    shape = draw(SHAPES.filter(len))
    axes = draw(st.none() | st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True).map(tuple))
    if axes is not None and draw(st.booleans()):
        axes = axes[0] - len(shape) if draw(st.booleans()) else axes[0]
    return Case([make(rng, shape)], {"axis": axes, "keepdims": draw(st.booleans())})


def reshape_case(draw: Draw, rng: Rng) -> Case:
    """Any shape into its reverse, with axes of size 1, one of them perhaps -1."""
    shape = draw(SHAPES)
    target = (*(1 for _ in range(draw(st.integers(0, 2)))), *reversed(shape))
    if target and draw(st.booleans()):
        target = (-1, *target[1:])
    return Case([signed(rng, shape)], {"shape": target})


def transpose_case(draw: Draw, rng: Rng) -> Case:
    """Any order of axes."""
    shape = draw(SHAPES)
    return Case([signed(rng, shape)], {"axes": tuple(draw(st.permutations(range(len(shape)))))})


def slice_case(draw: Draw, rng: Rng) -> Case:
    """Slices with steps, of some of the axes."""
    shape = draw(SHAPES.filter(len))
    starts = [draw(st.integers(0, size - 1)) for size in shape]
    index = tuple(
        slice(start, draw(st.integers(start + 1, size)), draw(st.integers(1, 3)))
        for start, size in zip(starts, shape, strict=True)
    )
    return Case([signed(rng, shape)], {"index": index[: draw(st.integers(1, len(shape)))]})


def pad_case(draw: Draw, rng: Rng) -> Case:
    """Up to two zeros on either side of each axis."""
    shape = draw(SHAPES)
    widths = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
    return Case([signed(rng, shape)], {"widths": widths})


def matmul_case(draw: Draw, rng: Rng) -> Case:
    """Matrices, and stacks of them that broadcast."""
    m, k, n = draw(st.tuples(SIZES, SIZES, SIZES))
    batch = draw(st.sampled_from([((), ()), ((2,), (2,)), ((3,), ()), ((1, 2), (3, 1))]))
    return Case([signed(rng, (*batch[0], m, k)), signed(rng, (*batch[1], k, n))])


def linear_case(draw: Draw, rng: Rng) -> Case:
    """With a bias, without, or with None for it."""
    n, i, o = draw(st.tuples(SIZES, SIZES, SIZES))
    bias = [signed(rng, (o,))] if draw(st.booleans()) else draw(st.sampled_from([[], [None]]))
    return Case([signed(rng, (n, i)), signed(rng, (o, i)), *bias])


def maps(draw: Draw) -> tuple[int, ...]:
    """(n, c) or (n, c, h, w)."""
    return tuple(draw(SIZES) for _ in range(draw(st.sampled_from([2, 4]))))


def activation_case(name: str, draw: Draw, rng: Rng) -> Case:
    """Inputs away from 0; alpha one a layer or one a channel."""
    shape = maps(draw)
    inputs = [signed(rng, shape, gap=0.05)]
    if ACTIVATIONS[name].start is not None:
        inputs.append(signed(rng, draw(st.sampled_from([(), shape[1:2]]))))
    options = {"elu": {"alpha": 0.7}, "leaky_relu": {"slope": 0.2}}.get(name, {})
    return Case(inputs, options if draw(st.booleans()) else {})


def conv2d_case(draw: Draw, rng: Rng) -> Case:
    """Any kernel, stride and padding that leave a pixel."""
    n, c, k, kh, kw, stride = (draw(st.integers(1, 3)) for _ in range(6))
    padding = draw(st.integers(0, 3))
    h = draw(st.integers(max(1, kh - 2 * padding), 6))
    w = draw(st.integers(max(1, kw - 2 * padding), 6))
    bias = [signed(rng, (k,))] if draw(st.booleans()) else []
    return Case(
        [signed(rng, (n, c, h, w)), signed(rng, (k, c, kh, kw)), *bias],
        {"stride": stride, "padding": padding},
    )


def pool_case(make: Make, draw: Draw, rng: Rng) -> Case:
    """Windows that overlap, touch or leave gaps."""
    kernel = draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel // 2))
    sizes = st.integers(max(1, kernel - 2 * padding), 6)
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(sizes), draw(sizes))
    stride = draw(st.none() | st.integers(1, 3))
    return Case([make(rng, shape)], {"kernel": kernel, "stride": stride, "padding": padding})


def global_avg_pool_case(draw: Draw, rng: Rng) -> Case:
    """Any map."""
    return Case([signed(rng, tuple(draw(SIZES) for _ in range(4)))])


def batch_norm_case(draw: Draw, rng: Rng) -> Case:
    """In training at least 4 values a channel: with 2 the output is ±1 whatever the input, up to eps."""
    train = draw(st.booleans())
    shape = maps(draw)
    if train:
        shape = (max(4, shape[0]), *shape[1:])
    c = shape[1]
    options: dict[str, Any] = {"train": train, "eps": draw(st.sampled_from([1e-5, 1e-2]))}
    if not train:
        options["running"] = (signed(rng, (c,)), positive(rng, (c,)))
    return Case([3 * signed(rng, shape) + 1, signed(rng, (c,)), signed(rng, (c,))], options)


def dropout_case(draw: Draw, rng: Rng) -> Case:
    """The same mask at every call."""
    p = draw(st.sampled_from([0.0, 0.3, 0.9]))
    return Case([signed(rng, draw(SHAPES))], {"p": p, "rng": SameEveryTime(draw(st.integers(0, 99)))})


def cross_entropy_case(draw: Draw, rng: Rng) -> Case:
    """Random labels, smoothed or not."""
    n, k = draw(SIZES), draw(SIZES)
    options = {"smoothing": draw(st.sampled_from([0.0, 0.1, 0.5]))}
    return Case([signed(rng, (n, k)), rng.integers(0, k, n)], options)


def se_case(draw: Draw, rng: Rng) -> Case:
    """Units whose input is within 0.05 of a kink are pushed away by their bias."""
    act = draw(st.sampled_from(sorted(ACTIVATIONS)))
    n, c, d, h, w = (draw(st.integers(1, 4)) for _ in range(5))
    while True:
        u, w1 = signed(rng, (n, c, h, w)), signed(rng, (d, c))
        b1 = signed(rng, (d,)) if draw(st.booleans()) else None
        q = u.mean(axis=(2, 3)) @ w1.T + (0 if b1 is None else b1)
        if np.abs(q).min() > 0.02:
            break
    alpha = [signed(rng, draw(st.sampled_from([(), (d,)])))] if ACTIVATIONS[act].start is not None else []
    b2 = signed(rng, (c,)) if draw(st.booleans()) else None
    return Case([u, w1, b1, signed(rng, (c, d)), b2, *alpha], {"act": act})


CASES: dict[str, Callable[[Draw, Rng], Case]] = {
    "add": partial(binary, signed),
    "subtract": partial(binary, signed),
    "multiply": partial(binary, signed),
    "divide": partial(binary, partial(signed, gap=0.5)),
    "negate": partial(unary, signed),
    "power": power_case,
    "exp": partial(unary, signed),
    "log": partial(unary, positive),
    "sqrt": partial(unary, positive),
    "sum": partial(reduction, signed),
    "mean": partial(reduction, signed),
    "max": partial(reduction, distinct),
    "reshape": reshape_case,
    "transpose": transpose_case,
    "slice": slice_case,
    "pad": pad_case,
    "matmul": matmul_case,
    "linear": linear_case,
    **{name: partial(activation_case, name) for name in ACTIVATIONS},
    "conv2d": conv2d_case,
    "max_pool2d": partial(pool_case, distinct),
    "avg_pool2d": partial(pool_case, signed),
    "global_avg_pool": global_avg_pool_case,
    "batch_norm": batch_norm_case,
    "dropout": dropout_case,
    "softmax_cross_entropy": cross_entropy_case,
    "se": se_case,
}


def batch_norm_act_case(draw: Draw, rng: Rng) -> Case:
    """Batch norm, and after it what the backend may fuse with it; nothing near a kink of relu."""
    shape = (draw(st.integers(4, 6)), draw(SIZES), draw(SIZES), draw(SIZES))
    c = shape[1]
    options: dict[str, Any] = {}
    residual = 4 * np.sign(signed(rng, shape)) if draw(st.booleans()) else None
    inputs: list[Any] = [3 * signed(rng, shape) + 1, signed(rng, (c,)), signed(rng, (c,)), residual, None]
    if draw(st.booleans()):
        d = draw(st.integers(1, 3))
        inputs += [signed(rng, (d, c)), signed(rng, (d,)), signed(rng, (c, d)), signed(rng, (c,))]
        options["se_act"] = "tanh"
    if draw(st.booleans()):
        options["act"] = "gelu" if residual is None else "relu"
    return Case(inputs, options)


FUSED_CASES: dict[str, Callable[[Draw, Rng], Case]] = {"batch_norm_act": batch_norm_act_case}


def large_add_case(draw: Draw, rng: Rng) -> Case:
    """Arrays so large that they are shared out among threads."""
    shape = (16, 16, 16, draw(st.integers(16, 18)))
    return Case([signed(rng, shape), signed(rng, shape)])


def wide_conv2d_case(draw: Draw, rng: Rng) -> Case:
    """3 x 3 with so many channels that Winograd's algorithm is taken where the map has whole tiles of 4."""
    n, c, k = draw(st.integers(1, 3)), draw(st.integers(16, 33)), draw(st.integers(16, 33))
    h, w = draw(st.sampled_from((4, 6, 7, 8))), draw(st.sampled_from((4, 6, 7, 8)))
    return Case([signed(rng, (n, c, h, w)), signed(rng, (k, c, 3, 3))], {"stride": 1, "padding": 1})


WIDE_CASES: dict[str, Callable[[Draw, Rng], Case]] = {"add": large_add_case, "conv2d": wide_conv2d_case}
"""Cases beside the small ones for which kernels have ways of their own."""


def as_function(op: Callable[..., Any], case: Case) -> tuple[Callable[..., Any], list[Any]]:
    """The op as a function of the case's arrays, all else fixed, and these arrays: what `check_gradients` takes."""
    arrays = [i for i, x in enumerate(case.inputs) if isinstance(x, np.ndarray)]

    def f(*tensors: Any) -> Any:
        inputs = list(case.inputs)
        for i, tensor in zip(arrays, tensors, strict=True):
            inputs[i] = tensor if is_float(case.inputs[i]) else case.inputs[i]
        return op(*inputs, **case.options)

    return f, [case.inputs[i] for i in arrays]


def wide_cases(op: str) -> st.SearchStrategy[Case]:
    """A random case of an op that some kernel computes in another way than small ones; of most ops there is none."""
    if op not in WIDE_CASES:
        return st.nothing()
    return st.integers(0, 2**32 - 1).flatmap(lambda seed: _drawn(WIDE_CASES[op], np.random.default_rng(seed)))


@st.composite
def _drawn(draw: Draw, make: Callable[[Draw, Rng], Case], rng: Rng) -> Case:
    return make(draw, rng)


@st.composite
def cases(draw: Draw, op: str) -> Case:
    """A random case of an op, by its name in `OPS` or `FUSED`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return (CASES | FUSED_CASES)[op](draw, rng)
