"""The models, by name, and what each costs: ResNets, a small convnet, networks made for speed; all also with SE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from minise.backend import array_module, use_backend
from minise.errors import ConfigError
from minise.models.convnet import ConvNet
from minise.models.fastnet import FastNet, FastShape
from minise.models.options import DEFAULT_ACT, DEFAULT_REDUCTION, Options
from minise.models.resnet import ResNet
from minise.nn import SE, Module
from minise.nn.module import evaluating
from minise.tape import Call, Tensor, no_grad, watch


@dataclass(frozen=True)
class ModelSpec:
    """A row of the table: what builds the model from (classes, options), and whether it has SE blocks."""

    make: Callable[[int, Options], Module]
    has_se: bool
    summary: str


FASTNETS = {
    "fastnet-slim": FastShape((48, 96, 192)),
    "fastnet": FastShape((64, 128, 256)),
    "fastnet-wide": FastShape((64, 256, 256), patch=2, scale=False),
}


def _rows() -> dict[str, ModelSpec]:
    rows = {"convnet": ModelSpec(ConvNet, False, "three convolutions, 16 to 64 channels")}
    for depth in (20, 32, 44, 56, 110):
        rows[f"resnet{depth}"] = ModelSpec(partial(ResNet, depth), False, f"CIFAR ResNet-{depth}")
    for name, shape in FASTNETS.items():
        channels = "/".join(map(str, shape.widths))
        words = f"six convolutions, {channels} channels, made for speed"
        rows[name] = ModelSpec(partial(FastNet, shape), False, words)
    with_se = {
        name: replace(row, has_se=True, summary=f"{row.summary} with SE blocks") for name, row in rows.items()
    }
    return rows | {f"se-{name}": row for name, row in with_se.items()}


MODELS = _rows()


def build(
    name: str,
    *,
    classes: int = 10,
    act: str | None = None,
    reduction: int | None = None,
    alpha: str = "layer",
    trunk_act: str = "relu",
    se_bias: bool = True,
    gate_bias: float = 0.0,
    seed: int = 0,
) -> Module:
    """The model `name` from `MODELS`, in float32, for x (n, 3, h, w) -> logits (n, classes).

    act: the excitation's activation (default felu), reduction: the SE bottleneck's (default 16); both only for
    models with SE blocks. gate_bias: where the gates start (see `SE`). alpha: learnable activation parameters
    per "layer" or per "channel".
    Two models of one seed have the same trunk weights, whatever their SE blocks.
    Raises ConfigError for a name or an option that cannot be used.
    """
    if name not in MODELS:
        raise ConfigError(f"model: {name!r} is unknown, expected one of {', '.join(MODELS)}")
    spec = MODELS[name]
    for option, value in (("act", act), ("reduction", reduction)):
        if value is not None and not spec.has_se:
            raise ConfigError(
                f"{option}: {name} has no SE blocks, so {value!r} has no place in it; expected none, or"
                f" a model that has them{f', such as se-{name}' if f'se-{name}' in MODELS else ''}"
            )
    if classes < 2:
        raise ConfigError(f"classes: found {classes}, expected at least 2")
    options = Options(
        act=(act or DEFAULT_ACT) if spec.has_se else None,
        reduction=DEFAULT_REDUCTION if reduction is None else reduction,
        alpha=alpha,
        trunk_act=trunk_act,
        se_bias=se_bias,
        gate_bias=gate_bias,
        trunk_rng=np.random.default_rng([seed, 0]),
        se_rng=np.random.default_rng([seed, 1]),
    )
    return spec.make(classes, options)


@dataclass(frozen=True)
class ModelInfo:
    """parameters: numbers that learn. flops: of one image's forward, two for each multiply-add of convolutions
    and linear layers; elementwise work is left out, as is usual. se_widths: the hidden width of each SE block.
    """

    parameters: int
    flops: int
    se_widths: tuple[int, ...]


def describe(model: Module, *, size: int = 32) -> ModelInfo:
    """Count a model's parameters, FLOPs (by running it on one black image) and SE widths."""
    flops = 0

    def count(call: Call) -> None:
        nonlocal flops
        (y,) = call.results
        if call.op in ("conv2d", "linear") and y is not None:
            flops += 2 * y.size * call.inputs[1][0].size
        elif call.op == "se":
            flops += 2 * (call.inputs[1].size + call.inputs[3].size)

    like = model.parameters()[0].data
    with evaluating(model), no_grad(), use_backend("reference"), watch(count):
        model(Tensor(array_module(like).zeros((1, 3, size, size), like.dtype)))
    widths = tuple(m.hidden for _, m in model.named_modules() if isinstance(m, SE))
    return ModelInfo(model.parameter_count(), flops, widths)
