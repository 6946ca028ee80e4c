"""ResNets for CIFAR.

ResNet-d for 32 x 32 images has d = 6k + 2 layers: a convolution to 16 channels, three stages of k basic blocks
with 16, 32 and 64 channels, the mean over the map and a linear classifier. Where a stage halves the map, the
shortcut takes every other pixel and pads the new channels with zeros (option A: no parameters).
An SE block gates the residual branch before it is added. Source: He, Zhang, Ren and Sun, 2015,
arXiv:1512.03385, section 4.2; SE placement: Hu et al., 2017, arXiv:1709.01507.
"""

from __future__ import annotations

from minise import ops
from minise.errors import ConfigError
from minise.models.options import Options
from minise.nn import BatchNorm, Linear, Module, norm_act
from minise.tape import Tensor


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
