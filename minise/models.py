"""The models, by name: ResNets for CIFAR, a small convnet, and both with SE blocks.

ResNet-d for 32 x 32 images has d = 6k + 2 layers: a convolution to 16 channels, three stages of k basic blocks
with 16, 32 and 64 channels, the mean over the map and a linear classifier. Where a stage halves the map, the
shortcut takes every other pixel and pads the new channels with zeros (option A: no parameters).
An SE block gates the residual branch before it is added. Source: He, Zhang, Ren and Sun, 2015,
arXiv:1512.03385, section 4.2; SE placement: Hu et al., 2017, arXiv:1709.01507.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from minise import ops
from minise.backend import array_module, use_backend
from minise.errors import ConfigError
from minise.nn import SE, Activation, BatchNorm, Conv2d, Linear, Module, norm_act
from minise.tape import Call, Tensor, no_grad, watch

DEFAULT_ACT = "felu"
DEFAULT_REDUCTION = 16


@dataclass(frozen=True)
class Options:
    """What varies between models of one shape. act None: no SE blocks.

    Trunk and SE weights come from generators of their own, so that arms of a study share their trunk.
    """

    act: str | None
    reduction: int
    alpha: str
    trunk_act: str
    se_bias: bool
    trunk_rng: np.random.Generator
    se_rng: np.random.Generator

    def conv(self, inputs: int, outputs: int, stride: int = 1) -> Conv2d:
        return Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False, rng=self.trunk_rng)

    def activation(self, channels: int) -> Activation:
        return Activation(self.trunk_act, channels if self.alpha == "channel" else None)

    def se(self, channels: int) -> SE | None:
        if self.act is None:
            return None
        return SE(
            channels,
            reduction=self.reduction,
            act=self.act,
            alpha=self.alpha,
            bias=self.se_bias,
            rng=self.se_rng,
        )


class BasicBlock(Module):
    """y = act(x' + se(bn(conv(act(bn(conv(x))))))), where x' is x or its option-A shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, options: Options) -> None:
        self.conv1, self.bn1 = options.conv(inputs, outputs, stride), BatchNorm(outputs)
        self.act1 = options.activation(outputs)
        self.conv2, self.bn2 = options.conv(outputs, outputs), BatchNorm(outputs)
        self.se = options.se(outputs)
        self.act2 = options.activation(outputs)
        self.stride, self.grown = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        r = norm_act(self.conv1(x), self.bn1, act=self.act1)
        return norm_act(self.conv2(r), self.bn2, se=self.se, residual=self.shortcut(x), act=self.act2)

    def shortcut(self, x: Tensor) -> Tensor:
        if self.stride > 1:
            every = slice(None, None, self.stride)
            x = ops.slice_(x, index=(slice(None), slice(None), every, every))
        if self.grown:
            before = self.grown // 2
            x = ops.pad(x, widths=((0, 0), (before, self.grown - before), (0, 0), (0, 0)))
        return x


class ResNet(Module):
    """The CIFAR ResNet of a depth of 6k + 2."""

    def __init__(self, depth: int, classes: int, options: Options) -> None:
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ConfigError(f"resnet: depth is {depth}, expected 6k + 2 with k >= 1 (8, 14, 20, …)")
        self.conv, self.bn, self.act = options.conv(3, 16), BatchNorm(16), options.activation(16)
        self.blocks: list[Module] = []
        inputs = 16
        for outputs in (16, 32, 64):
            for i in range(blocks):
                stride = 2 if i == 0 and outputs > 16 else 1
                self.blocks.append(BasicBlock(inputs, outputs, stride, options))
                inputs = outputs
        self.classifier = Linear(64, classes, rng=options.trunk_rng)

    def forward(self, x: Tensor) -> Tensor:
        x = norm_act(self.conv(x), self.bn, act=self.act)
        for block in self.blocks:
            x = block(x)
        return self.classifier(ops.global_avg_pool(x))


class ConvGroup(Module):
    """y = act(se(bn(conv(x))))."""

    def __init__(self, inputs: int, outputs: int, options: Options) -> None:
        self.conv, self.bn = options.conv(inputs, outputs), BatchNorm(outputs)
        self.se = options.se(outputs)
        self.act = options.activation(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return norm_act(self.conv(x), self.bn, se=self.se, act=self.act)


class ConvNet(Module):
    """Three times convolution, batch norm, (SE,) activation, with 2 x 2 max pooling between; then a classifier."""

    def __init__(self, classes: int, options: Options) -> None:
        self.groups: list[Module] = []
        for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
            self.groups.append(ConvGroup(inputs, outputs, options))
        self.classifier = Linear(64, classes, rng=options.trunk_rng)

    def forward(self, x: Tensor) -> Tensor:
        for i, group in enumerate(self.groups):
            x = group(ops.max_pool2d(x, kernel=2) if i else x)
        return self.classifier(ops.global_avg_pool(x))


@dataclass(frozen=True)
class ModelSpec:
    """A row of the table: what builds the model from (classes, options), and whether it has SE blocks."""

    make: Callable[[int, Options], Module]
    has_se: bool
    summary: str


def _rows() -> dict[str, ModelSpec]:
    rows: dict[str, ModelSpec] = {}
    for prefix, has_se, words in (("", False, ""), ("se-", True, " with SE blocks")):
        rows[f"{prefix}convnet"] = ModelSpec(ConvNet, has_se, f"three convolutions, 16 to 64 channels{words}")
        for depth in (20, 32, 44, 56, 110):
            make = partial(ResNet, depth)
            rows[f"{prefix}resnet{depth}"] = ModelSpec(make, has_se, f"CIFAR ResNet-{depth}{words}")
    return rows


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
    seed: int = 0,
) -> Module:
    """The model `name` from `MODELS`, in float32, for x (n, 3, h, w) -> logits (n, classes).

    act: the excitation's activation (default felu), reduction: the SE bottleneck's (default 16); both only for
    models with SE blocks. alpha: learnable activation parameters per "layer" or per "channel".
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
                f" a model that has them, such as se-{name}"
            )
    if classes < 2:
        raise ConfigError(f"classes: found {classes}, expected at least 2")
    options = Options(
        act=(act or DEFAULT_ACT) if spec.has_se else None,
        reduction=DEFAULT_REDUCTION if reduction is None else reduction,
        alpha=alpha,
        trunk_act=trunk_act,
        se_bias=se_bias,
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

    was_training = model.training
    like = model.parameters()[0].data
    with no_grad(), use_backend("reference"), watch(count):
        model.eval()(Tensor(array_module(like).zeros((1, 3, size, size), like.dtype)))
    model.train(was_training)
    widths = tuple(m.hidden for _, m in model.named_modules() if isinstance(m, SE))
    return ModelInfo(model.parameter_count(), flops, widths)
