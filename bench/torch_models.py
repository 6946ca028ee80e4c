"""Every minise model in PyTorch, with the same parameter names: weights are copied across by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from minise import ops
from minise.models import FASTNETS
from minise.models.fastnet import FastShape
from minise.ops import ACTIVATIONS


def function(act: str) -> Callable[..., Tensor]:
    """PyTorch's function of that name, or one by the formula of minise's row where PyTorch has none."""
    row, found = ACTIVATIONS[act], getattr(F, act, None)
    return by_formula(row) if found is None else partial(found, **row.torch)


def by_formula(row: ops.Activation) -> Callable[..., Tensor]:
    """The activation as the formula of its row, for what PyTorch does not have."""

    formula = row.formula

    def activate(x: Tensor, a: Tensor | None = None) -> Tensor:
        known = {"exp": torch.exp, "expm1": torch.expm1, "tanh": torch.tanh}
        known["a"] = row.fixed if a is None else a.reshape(-1, *(1,) * (x.ndim - 2))
        below = x if formula.below == formula.above else torch.clamp(x, max=0)  # where exp cannot overflow
        return torch.where(
            x > 0, eval(formula.above, known, {"x": x}), eval(formula.below, known, {"x": below})
        )

    return activate


class Activation(nn.Module):
    """An activation, with its learnable parameter `alpha` if it has one: one a layer, or one a channel."""

    def __init__(self, act: str, channels: int | None = None) -> None:
        super().__init__()
        self.function, start = function(act), ACTIVATIONS[act].start
        shape = () if channels is None else (channels,)
        self.alpha = None if start is None else nn.Parameter(torch.full(shape, start))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) if self.alpha is None else self.function(x, self.alpha)


class SE(nn.Module):
    """Squeeze-and-Excitation by two linear layers."""

    def __init__(self, channels: int, hidden: int, bias: bool, act: Activation) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, hidden, bias), nn.Linear(hidden, channels, bias)
        self.act = act

    def forward(self, u: Tensor) -> Tensor:
        s = torch.sigmoid(self.fc2(self.act(self.fc1(u.mean((2, 3))))))
        return u * s[:, :, None, None]


@dataclass(frozen=True)
class Options:
    """What `minise.models.build` takes, and the layers made from it. act None: no SE blocks."""

    act: str | None
    classes: int = 10
    reduction: int = 16
    alpha: str = "layer"
    trunk_act: str = "relu"
    se_bias: bool = True

    def conv(self, inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)

    def activation(self, channels: int) -> Activation:
        return Activation(self.trunk_act, channels if self.alpha == "channel" else None)

    def se(self, channels: int) -> nn.Module:
        if self.act is None:
            return nn.Identity()
        hidden = max(1, channels // self.reduction)
        act = Activation(self.act, hidden if self.alpha == "channel" else None)
        return SE(channels, hidden, self.se_bias, act)


class BasicBlock(nn.Module):
    """Two convolutions, SE, and an option-A shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, options: Options) -> None:
        super().__init__()
        self.conv1, self.bn1 = options.conv(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.act1 = options.activation(outputs)
        self.conv2, self.bn2 = options.conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.se = options.se(outputs)
        self.act2 = options.activation(outputs)
        self.stride, self.grown = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        r = self.act1(self.bn1(self.conv1(x)))
        r = self.se(self.bn2(self.conv2(r)))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.grown:
            before = self.grown // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.grown - before))
        return self.act2(r + x)


class ResNet(nn.Module):
    """The CIFAR ResNet of depth 6k + 2."""

    def __init__(self, depth: int, options: Options) -> None:
        super().__init__()
        self.conv, self.bn, self.act = options.conv(3, 16), nn.BatchNorm2d(16), options.activation(16)
        blocks = []
        inputs = 16
        for outputs in (16, 32, 64):
            for i in range((depth - 2) // 6):
                stride = 2 if i == 0 and outputs > 16 else 1
                blocks.append(BasicBlock(inputs, outputs, stride, options))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(64, options.classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.act(self.bn(self.conv(x))))
        return self.classifier(x.mean((2, 3)))


class ConvGroup(nn.Module):
    """Convolution, batch norm, SE, activation."""

    def __init__(self, inputs: int, outputs: int, options: Options) -> None:
        super().__init__()
        self.conv, self.bn = options.conv(inputs, outputs), nn.BatchNorm2d(outputs)
        self.se = options.se(outputs)
        self.act = options.activation(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.se(self.bn(self.conv(x))))


class ConvNet(nn.Module):
    """Three groups with 2 x 2 max pooling between; the mean over the map, a linear layer."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        widths = ((3, 16), (16, 32), (32, 64))
        self.groups = nn.Sequential(*(ConvGroup(i, o, options) for i, o in widths))
        self.classifier = nn.Linear(64, options.classes)

    def forward(self, x: Tensor) -> Tensor:
        for i, group in enumerate(self.groups):
            x = group(F.max_pool2d(x, 2) if i else x)
        return self.classifier(x.mean((2, 3)))


class FastGroup(nn.Module):
    """Convolution, pooling, batch norm, activation; convolution, batch norm, SE, activation.

    scale: whether that of the norms learns.
    """

    def __init__(self, inputs: int, outputs: int, scale: bool, options: Options) -> None:
        super().__init__()
        self.conv1, self.bn1 = options.conv(inputs, outputs), nn.BatchNorm2d(outputs)
        self.act1 = options.activation(outputs)
        self.conv2, self.bn2 = options.conv(outputs, outputs), nn.BatchNorm2d(outputs)
        self.se = options.se(outputs)
        self.act2 = options.activation(outputs)
        for norm in (self.bn1, self.bn2):
            norm.weight.requires_grad_(scale)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return self.act2(self.se(self.bn2(self.conv2(x))))


class FastNet(nn.Module):
    """A fixed first convolution, three groups, the maximum over the map, a linear layer."""

    def __init__(self, shape: FastShape, options: Options) -> None:
        super().__init__()
        widths = shape.widths
        self.whitening = options.conv(3, 24).requires_grad_(False)
        self.bn = nn.BatchNorm2d(24).requires_grad_(False)
        self.act = options.activation(24)
        inputs = (24, *widths[:-1])
        self.groups = nn.Sequential(
            *(FastGroup(i, o, shape.scale, options) for i, o in zip(inputs, widths, strict=True))
        )
        self.classifier = nn.Linear(widths[-1], options.classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.groups(self.act(self.bn(self.whitening(x))))
        return self.classifier(F.max_pool2d(x, x.shape[-1]).flatten(1)) / 9


def like(name: str, act: str | None = None, **options: Any) -> nn.Module:
    """The PyTorch twin of `minise.models.build(name, act=act, **options)`, with weights of its own."""
    chosen = Options((act or "felu") if name.startswith("se-") else None, **options)
    plain = name.removeprefix("se-")
    if plain in FASTNETS:
        return FastNet(FASTNETS[plain], chosen)
    if plain == "convnet":
        return ConvNet(chosen)
    return ResNet(int(plain.removeprefix("resnet")), chosen)


RENAMED = {"se.weight1": "se.fc1.weight", "se.bias1": "se.fc1.bias"}
RENAMED |= {"se.weight2": "se.fc2.weight", "se.bias2": "se.fc2.bias", "se.alpha": "se.act.alpha"}


def renamed(name: str) -> str:
    """What the twin calls a parameter or buffer of minise."""
    for ours, theirs in RENAMED.items():
        name = name.replace(ours, theirs)
    return name


def copy_weights(state: dict[str, Any], model: nn.Module) -> None:
    """Load a minise state_dict (NumPy arrays) into the PyTorch model of the same shape."""
    target = model.state_dict()
    for name, array in state.items():
        target[renamed(name)].copy_(torch.from_numpy(array))
