"""A network for training in minutes: few layers, wide where the map is small, and a first layer that is not learnt.

    whitening      3 -> 24 channels, batch norm without scale and shift, ReLU: nothing that learns
    three groups   convolution, 2 x 2 max pooling, batch norm, ReLU; convolution, batch norm, SE, ReLU
    classifier     the maximum over the 4 x 4 map, a linear layer, logits / 9

The first layer's filters are the principal directions of 3 x 3 (or 2 x 2) patches of the training images, each scaled
to variance 1, and their negatives, since a ReLU follows. The other convolutions start as the identity on as many
channels as come in. Both let the first steps be large.
Source: Jordan, 2024, "94 % on CIFAR-10 in 3.29 seconds", arXiv:2404.00498 (there with GELU, 2 x 2 patches, norms
that shift but do not scale, and no SE);
whitening and the scaled classifier: Page, 2019, "How to train your ResNet".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minise import ops
from minise.backend import Array, array_module, to_numpy
from minise.models.options import Options
from minise.nn import BatchNorm, Buffer, Linear, Module, dirac, norm_act
from minise.tape import Tensor

DIRECTIONS = 12
"""Those along which the images vary most: of the 27 in a patch of 3 x 3 pixels, or all of one of 2 x 2."""
LOGIT_SCALE = 1 / 9


@dataclass(frozen=True)
class FastShape:
    """What differs between the networks: channels of the groups; side of the patches that are whitened, 2 or 3;
    whether batch norm's scale learns.
    """

    widths: tuple[int, int, int]
    patch: int = 3
    scale: bool = True


def patch_covariance(images: Array, side: int) -> Array:
    """The covariance (3·side², 3·side²) of the patches of side x side pixels of images (n, 3, h, w), in float64."""
    size = 3 * side * side
    count, total, products = 0, np.zeros(size), np.zeros((size, size))
    for start in range(0, len(images), 100):
        block = images[start : start + 100].astype(np.float64)
        patches = (
            sliding_window_view(block, (side, side), axis=(2, 3))
            .transpose(0, 2, 3, 1, 4, 5)
            .reshape(-1, size)
        )
        count += len(patches)
        total += patches.sum(axis=0)
        products += patches.T @ patches
    return (products - np.outer(total, total) / count) / (count - 1)


class Whitening(Module):
    """A 3 x 3 convolution with fixed filters, weight (24, 3, 3, 3), which `calibrate` takes from images.

    patch: the side of the patches that are whitened, 2 or 3; filters of 2 x 2 leave the last row and column 0.
    """

    def __init__(self, patch: int, options: Options) -> None:
        self.patch = patch
        conv = options.conv(3, 2 * DIRECTIONS)
        self.weight = Buffer(conv.weight.data)

    def calibrate(self, images: Array) -> None:
        """Filters v / √(λ + eps) for the largest eigenvalues λ and their vectors v of the patches' covariance."""
        weight, side = self.weight.data, self.patch
        variances, directions = np.linalg.eigh(patch_covariance(to_numpy(images), side))
        filters = (directions / np.sqrt(np.maximum(variances, 0) + 5e-4)).T[::-1][:DIRECTIONS]
        both = np.zeros(weight.shape, weight.dtype)
        both[..., :side, :side] = np.concatenate([filters, -filters]).reshape(-1, 3, side, side)
        self.weight.data = array_module(weight).asarray(both)

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(x, self.weight.data, padding=1)


class FastGroup(Module):
    """y = act(se(bn(conv(act(bn(max_pool(conv(x))))))))."""

    def __init__(self, inputs: int, outputs: int, scale: bool, options: Options) -> None:
        self.conv1, self.bn1 = options.conv(inputs, outputs), BatchNorm(outputs, scale=scale)
        self.act1 = options.activation(outputs)
        self.conv2, self.bn2 = options.conv(outputs, outputs), BatchNorm(outputs, scale=scale)
        self.se = options.se(outputs)
        self.act2 = options.activation(outputs)
        for conv in (self.conv1, self.conv2):
            dirac(conv.weight.data)

    def forward(self, x: Tensor) -> Tensor:
        x = norm_act(ops.max_pool2d(self.conv1(x), kernel=2), self.bn1, act=self.act1)
        return norm_act(self.conv2(x), self.bn2, se=self.se, act=self.act2)


class FastNet(Module):
    """The network of a shape, for images of 32 x 32."""

    def __init__(self, shape: FastShape, classes: int, options: Options) -> None:
        self.whitening = Whitening(shape.patch, options)
        self.bn = BatchNorm(2 * DIRECTIONS, scale=False, shift=False)
        self.act = options.activation(2 * DIRECTIONS)
        self.groups: list[Module] = []
        inputs = 2 * DIRECTIONS
        for outputs in shape.widths:
            self.groups.append(FastGroup(inputs, outputs, shape.scale, options))
            inputs = outputs
        self.classifier = Linear(inputs, classes, bias=False, rng=options.trunk_rng)

    def calibrate(self, images: Array) -> None:
        """Set the whitening from images (n, 3, h, w), normalised as in training."""
        self.whitening.calibrate(images)

    def forward(self, x: Tensor) -> Tensor:
        x = norm_act(self.whitening(x), self.bn, act=self.act)
        for group in self.groups:
            x = group(x)
        top = ops.max_pool2d(x, kernel=x.shape[-1])
        return self.classifier(ops.reshape(top, shape=top.shape[:2])) * LOGIT_SCALE
