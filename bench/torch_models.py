"""minise's ResNets and fast networks in PyTorch, with the same parameter names: weights are copied across by name."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from minise.models import FASTNETS


class FeLU(nn.Module):
    """ELU with a learnable alpha, one a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, self.alpha * torch.expm1(torch.clamp(x, max=0)))


ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "felu": FeLU}


class SE(nn.Module):
    """Squeeze-and-Excitation by two linear layers."""

    def __init__(self, channels: int, reduction: int, act: str) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.fc1, self.fc2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.act = ACTIVATIONS[act]()

    def forward(self, u: Tensor) -> Tensor:
        s = torch.sigmoid(self.fc2(self.act(self.fc1(u.mean((2, 3))))))
        return u * s[:, :, None, None]


class BasicBlock(nn.Module):
    """Two convolutions, SE if act is given, and an option-A shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, act: str | None, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.se = SE(outputs, reduction, act) if act else nn.Identity()
        self.stride, self.grown = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        r = F.relu(self.bn1(self.conv1(x)))
        r = self.se(self.bn2(self.conv2(r)))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.grown:
            before = self.grown // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.grown - before))
        return F.relu(r + x)


class ResNet(nn.Module):
    """The CIFAR ResNet of depth 6k + 2; act None for a plain one."""

    def __init__(self, depth: int, *, act: str | None, reduction: int = 16, classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        blocks = []
        inputs = 16
        for outputs in (16, 32, 64):
            for i in range((depth - 2) // 6):
                stride = 2 if i == 0 and outputs > 16 else 1
                blocks.append(BasicBlock(inputs, outputs, stride, act, reduction))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.bn(self.conv(x))))
        return self.classifier(x.mean((2, 3)))


class FastGroup(nn.Module):
    """Convolution, pooling, batch norm, ReLU; convolution, batch norm, SE if act is given, ReLU."""

    def __init__(self, inputs: int, outputs: int, act: str | None, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.se = SE(outputs, reduction, act) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(F.max_pool2d(self.conv1(x), 2)))
        return F.relu(self.se(self.bn2(self.conv2(x))))


class FastNet(nn.Module):
    """A fixed first convolution, three groups, the maximum over the map, a linear layer."""

    def __init__(
        self, widths: tuple[int, ...], *, act: str | None, reduction: int = 16, classes: int = 10
    ) -> None:
        super().__init__()
        self.whitening = nn.Conv2d(3, 24, 3, 1, 1, bias=False).requires_grad_(False)
        self.bn = nn.BatchNorm2d(24).requires_grad_(False)
        inputs = (24, *widths[:-1])
        self.groups = nn.Sequential(
            *(FastGroup(i, o, act, reduction) for i, o in zip(inputs, widths, strict=True))
        )
        self.classifier = nn.Linear(widths[-1], classes, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.groups(F.relu(self.bn(self.whitening(x))))
        return self.classifier(F.max_pool2d(x, x.shape[-1]).flatten(1)) / 9


def like(name: str, act: str | None) -> nn.Module:
    """The PyTorch twin of the minise model `name`."""
    plain = name.removeprefix("se-")
    if plain in FASTNETS:
        return FastNet(FASTNETS[plain], act=act)
    return ResNet(int(plain.removeprefix("resnet")), act=act)


RENAMED = {"se.weight1": "se.fc1.weight", "se.bias1": "se.fc1.bias"}
RENAMED |= {"se.weight2": "se.fc2.weight", "se.bias2": "se.fc2.bias", "se.alpha": "se.act.alpha"}


def copy_weights(state: dict, model: nn.Module) -> None:
    """Load a minise state_dict (NumPy arrays) into the PyTorch model of the same shape."""
    target = model.state_dict()
    for name, array in state.items():
        for ours, theirs in RENAMED.items():
            name = name.replace(ours, theirs)
        target[name].copy_(torch.from_numpy(array))
