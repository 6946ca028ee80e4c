"""Layers and models as functions of their input and all their parameters, for the gradient checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from hypothesis import strategies as st

from minise.backend import Array
from minise.gradcheck.cases import SIZES, Case, Draw
from minise.gradcheck.compare import GradientComparison
from minise.gradcheck.values import Rng, signed
from minise.nn import SE, Activation, BatchNorm, Conv2d, Linear, Module, Parameter
from minise.ops import ACTIVATIONS
from minise.tape import Tensor

Function = Callable[..., Tensor]
REACH = 0.02
"""How far 1 moves an input of a model: small steps are to cross few of its thousands of kinks."""


def module_function(module: Module, x: Array) -> tuple[Function, list[Array]]:
    """f(x, *parameters) that computes the module with these in the place of its own, and (x, its own)."""
    places = [
        (m, name, value)
        for _, m in module.named_modules()
        for name, value in vars(m).items()
        if isinstance(value, Parameter)
    ]

    def f(x: Tensor, *parameters: Tensor) -> Tensor:
        for (owner, name, _), p in zip(places, parameters, strict=True):
            setattr(owner, name, p)
        try:
            y: Tensor = module(x)
            return y
        finally:
            for owner, name, own in places:
                setattr(owner, name, own)

    return f, [x, *(p.data for _, _, p in places)]


def named(module: Module, comparison: GradientComparison) -> GradientComparison:
    """The comparison of a module, with the worst derivative's parameter by its name."""
    labels = ["the input", *(f"parameter {name}" for name, _ in module.named_parameters())]
    worst = comparison.worst
    return replace(comparison, worst=replace(worst, label=labels[worst.input] if worst.input >= 0 else None))


def together(
    f: Function, inputs: list[Array], *, groups: int, rng: np.random.Generator
) -> tuple[Function, list[Array]]:
    """`f` as a function of a few numbers, 0 at first: each moves some of its inputs, the first x alone, at random.

    So a model with hundreds of parameters is checked by a few derivatives.
    """
    drawn = [np.asarray(rng.standard_normal(x.shape)) for x in inputs]
    directions = [REACH * d / np.linalg.norm(d) for d in drawn]
    group = [0, *(1 + i % groups for i in range(len(inputs) - 1))]

    def g(*t: Tensor) -> Tensor:
        return f(
            *(
                Tensor(x) + t[k] * Tensor(np.asarray(d))
                for x, d, k in zip(inputs, directions, group, strict=True)
            )
        )

    return g, [np.zeros(()) for _ in range(max(group) + 1)]


def linear_layer(draw: Draw, rng: Rng) -> tuple[Module, tuple[int, ...]]:
    """With or without bias."""
    n, i, o = draw(SIZES), draw(SIZES), draw(SIZES)
    return Linear(i, o, bias=draw(st.booleans()), rng=rng), (n, i)


def conv_layer(draw: Draw, rng: Rng) -> tuple[Module, tuple[int, ...]]:
    """3 x 3, any stride and padding up to 3."""
    n, c, k, stride, padding = (draw(st.integers(1, 3)) for _ in range(5))
    layer = Conv2d(c, k, 3, stride=stride, padding=padding, bias=draw(st.booleans()), rng=rng)
    return layer, (n, c, draw(st.integers(3, 6)), draw(st.integers(3, 6)))


def norm_layer(draw: Draw, rng: Rng) -> tuple[Module, tuple[int, ...]]:
    """In training and after it, with scale and shift or without."""
    c = draw(SIZES)
    layer = BatchNorm(c, scale=draw(st.booleans()), shift=draw(st.booleans()))
    return layer.train(draw(st.booleans())), (draw(st.integers(4, 6)), c, draw(SIZES), draw(SIZES))


def activation_layer(act: str, draw: Draw, rng: Rng) -> tuple[Module, tuple[int, ...]]:
    """One alpha, or one a channel."""
    c = draw(SIZES)
    return Activation(act, draw(st.sampled_from([None, c]))), (draw(SIZES), c)


def se_layer(draw: Draw, rng: Rng) -> tuple[Module, tuple[int, ...]]:
    """Any activation, reduction and alpha."""
    c = draw(st.integers(1, 6))
    layer = SE(
        c,
        reduction=draw(st.integers(1, 4)),
        act=draw(st.sampled_from(sorted(ACTIVATIONS))),
        alpha=draw(st.sampled_from(["layer", "channel"])),
        bias=draw(st.booleans()),
        rng=rng,
    )
    return layer, (draw(SIZES), c, draw(SIZES), draw(SIZES))


LAYERS: dict[str, Callable[[Draw, Rng], tuple[Module, tuple[int, ...]]]] = {
    "Linear": linear_layer,
    "Conv2d": conv_layer,
    "BatchNorm": norm_layer,
    **{f"Activation({act})": partial(activation_layer, act) for act in ACTIVATIONS},
    "SE": se_layer,
}


@st.composite
def layer_cases(draw: Draw, name: str) -> Case:
    """A layer with random weights, biases and scales, in float64, and its input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layer, shape = LAYERS[name](draw, rng)
    layer.to(dtype=np.float64)
    for p in layer.parameters():
        p.data = p.data + 0.3 * rng.standard_normal(p.shape)
    return Case([layer, signed(rng, shape, gap=0.05)])
