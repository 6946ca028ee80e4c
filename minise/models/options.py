"""What varies between models of one shape, and the layers made from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.nn import SE, Activation, Conv2d

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
    gate_bias: float
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
            gate_bias=self.gate_bias,
            rng=self.se_rng,
        )
