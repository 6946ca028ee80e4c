"""Layers: an op and the state that it needs. Weights are float32; `Module.to` changes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minise import ops
from minise.errors import ConfigError
from minise.nn.init import kaiming_normal, lecun_normal
from minise.nn.module import Buffer, Module, Parameter
from minise.tape import Tensor


class Linear(Module):
    """y = x wᵀ + b; weight (out, in) by LeCun's rule, bias (out,) zeros."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, rng: np.random.Generator) -> None:
        self.weight = Parameter(lecun_normal((outputs, inputs), rng))
        self.bias = Parameter(np.zeros(outputs, np.float32), "bias") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class Conv2d(Module):
    """Convolution; weight (out, in, kernel, kernel) by Kaiming's rule (fan out), bias (out,) zeros."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
        rng: np.random.Generator,
    ) -> None:
        self.stride, self.padding = stride, padding
        self.weight = Parameter(kaiming_normal((outputs, inputs, kernel, kernel), rng))
        self.bias = Parameter(np.zeros(outputs, np.float32), "bias") if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, stride=self.stride, padding=self.padding)


class BatchNorm(Module):
    """Batch normalisation of (n, c) or (n, c, h, w); weight 1, bias 0, running mean 0, running var 1.

    scale, shift: whether weight and bias learn; one that does not is a buffer.
    """

    def __init__(
        self,
        channels: int,
        *,
        scale: bool = True,
        shift: bool = True,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> None:
        self.momentum, self.eps = momentum, eps
        ones, zeros = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        self.weight = Parameter(ones, "norm") if scale else Buffer(ones)
        self.bias = Parameter(zeros, "norm") if shift else Buffer(zeros)
        self.running_mean = Buffer(np.zeros(channels, np.float32))
        self.running_var = Buffer(np.ones(channels, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        return ops.batch_norm(
            x,
            *self.scale_and_shift(),
            running=(self.running_mean.data, self.running_var.data),
            train=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    def scale_and_shift(self) -> tuple[Any, Any]:
        """Weight and bias, as what an op takes: a buffer's array."""
        weight, bias = (p.data if isinstance(p, Buffer) else p for p in (self.weight, self.bias))
        return weight, bias


def activation_parameter(act: str, channels: int | None) -> Parameter | None:
    """The learnable parameter of an activation, one a layer (channels None) or one a channel, if it has one."""
    if act not in ops.ACTIVATIONS:
        raise ConfigError(f"act: {act!r} is unknown, expected one of {', '.join(ops.ACTIVATIONS)}")
    start = ops.ACTIVATIONS[act].start
    shape = () if channels is None else (channels,)
    return None if start is None else Parameter(np.full(shape, start, np.float32), "alpha")


class Activation(Module):
    """An activation from `ACTIVATIONS`, with its learnable parameter `alpha` if it has one."""

    def __init__(self, act: str, channels: int | None = None) -> None:
        self.act = act
        self.alpha = activation_parameter(act, channels)

    def forward(self, x: Tensor) -> Tensor:
        op = ops.ACTIVATIONS[self.act].op
        return op(x) if self.alpha is None else op(x, self.alpha)


MOST_GATE_BIAS = 20
"""Beyond it a gate is 0 or 1 to all digits, and would never learn."""


class SE(Module):
    """A Squeeze-and-Excitation block around `act`.

    hidden: the effective width of the bottleneck, channels // reduction but at least 1: with few channels and
    a large reduction it is a single unit, and while that one is dead every gate is the same for all images.
    alpha: "layer" for one learnable parameter of `act`, "channel" for one a hidden unit.
    weight1 by Kaiming's rule (fan in), weight2 by LeCun's, bias1 0, bias2 `gate_bias`: every gate starts near its
    sigmoid, a half at 0. Gates near 1 change little at first of what the network would be without them.
    Raises ConfigError, among others for a gate_bias where there are no biases.
    """

    def __init__(
        self,
        channels: int,
        *,
        reduction: int = 16,
        act: str = "felu",
        alpha: str = "layer",
        bias: bool = True,
        gate_bias: float = 0.0,
        rng: np.random.Generator,
    ) -> None:
        if reduction < 1:
            raise ConfigError(f"reduction: found {reduction}, expected at least 1")
        if not abs(gate_bias) <= MOST_GATE_BIAS:
            raise ConfigError(f"gate_bias: found {gate_bias}, expected -{MOST_GATE_BIAS} to {MOST_GATE_BIAS}")
        if gate_bias and not bias:
            raise ConfigError(f"gate_bias: found {gate_bias}, but the block has no biases; expected 0")
        if alpha not in ("layer", "channel"):
            raise ConfigError(f"alpha: {alpha!r} is unknown, expected layer or channel")
        self.hidden = hidden = max(1, channels // reduction)
        self.act = act
        self.weight1 = Parameter(kaiming_normal((hidden, channels), rng, fan="in"))
        self.bias1 = Parameter(np.zeros(hidden, np.float32), "bias") if bias else None
        self.weight2 = Parameter(lecun_normal((channels, hidden), rng))
        self.bias2 = Parameter(np.full(channels, gate_bias, np.float32), "bias") if bias else None
        self.alpha = activation_parameter(act, hidden if alpha == "channel" else None)

    def forward(self, u: Tensor) -> Tensor:
        return ops.se(u, self.weight1, self.bias1, self.weight2, self.bias2, self.alpha, act=self.act)


def norm_act(
    x: Tensor,
    norm: BatchNorm,
    *,
    se: Module | None = None,
    residual: Tensor | None = None,
    act: Activation | None = None,
) -> Tensor:
    """act(se(norm(x)) + residual), in one kernel where the backend has it. x, residual: (n, c, h, w).

    se: an SE block, or any other module on maps, for which no kernel is made for the whole.
    """
    if not (se is None or isinstance(se, SE)):
        y = se(norm(x))
        y = y if residual is None else y + residual
        return y if act is None else act(y)
    gate = () if se is None else (se.weight1, se.bias1, se.weight2, se.bias2, se.alpha)
    return ops.batch_norm_act(
        x,
        *norm.scale_and_shift(),
        residual,
        None if act is None else act.alpha,
        *gate,
        act=None if act is None else act.act,
        se_act=None if se is None else se.act,
        running=(norm.running_mean.data, norm.running_var.data),
        train=norm.training,
        momentum=norm.momentum,
        eps=norm.eps,
    )


class Dropout(Module):
    """Dropout in training, nothing after it. The Generator is the caller's."""

    def __init__(self, p: float, *, rng: Any) -> None:
        self.p, self.rng = p, rng

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, p=self.p, rng=self.rng) if self.training else x


class Sequential(Module):
    """Modules, or plain functions on tensors, one after the other."""

    def __init__(self, *steps: Module | Callable[[Tensor], Tensor]) -> None:
        self.steps = list(steps)

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x
