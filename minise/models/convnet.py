"""A small convolutional network, for demonstrations and tests."""

from __future__ import annotations

from minise import ops
from minise.models.options import Options
from minise.nn import BatchNorm, Linear, Module, norm_act
from minise.tape import Tensor


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
