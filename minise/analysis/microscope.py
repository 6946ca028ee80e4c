"""What the SE blocks of a model do on a set of images: which excitation units are dead, and what the gates are.

The model runs as it always does, on the active backend's kernels; `watch` shows what goes into each block, and the
few numbers behind a gate are computed again from the block's squeeze, by the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from minise._util.decode import Whole
from minise.backend import Array, array_module, to_device, to_numpy
from minise.errors import ConfigError
from minise.nn import SE, Module
from minise.nn.module import evaluating
from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative, sigmoid_forward
from minise.ops.batch_norm import batch_norm_forward
from minise.tape import Call, Tensor, no_grad, watch

BINS = 20
"""Of a gate histogram, over 0 to 1."""
FLAT = 1e-6
"""A slope below this lets no gradient through that matters: float32 keeps seven digits."""
COLLAPSED = 1e-3
"""A gate whose standard deviation over the images is below this is the same for all of them: it gates nothing."""


@dataclass(frozen=True)
class BlockSummary:
    """One SE block on a set of n images, without what grows with channels or classes; d hidden units.

    active: (d,) the share of the images on which a unit's input is above 0; silent: how many are active on none.
    slope: (d,) the mean over the images of |act'| at each unit; dead: how many silent units have a slope below 1e-6.
    With ReLU a silent unit has slope 0 exactly: no gradient reaches its weights from any of these images, so
    it is dead. With FeLU its slope is alpha·e^q: it is silent, and learns.
    alpha: the activation's learnable parameter, none, one, or one a unit.
    histogram: (20,) gates of all channels and images, counted in bins over 0 to 1. collapsed: how many channels have
    a gate whose standard deviation over the images is below 1e-3.
    between_images: the variance of a gate over the images, mean over the channels; between_classes: the part of it
    that is of the classes, less what their means would differ by chance.
    """

    block: str
    act: str
    channels: Whole
    hidden: Whole
    images: Whole
    alpha: list[float]
    active: list[float]
    slope: list[float]
    silent: Whole
    dead: Whole
    histogram: list[Whole]
    collapsed: Whole
    between_images: float
    between_classes: float


@dataclass(frozen=True)
class BlockView(BlockSummary):
    """With what its c channels do, too. gate_mean, gate_std: (c,) of each channel's gate over the images;
    class_gates: (k, c) its mean for each of the k classes, NaN without images.
    """

    gate_mean: list[float]
    gate_std: list[float]
    class_gates: list[list[float]]

    def summary(self) -> dict[str, Any]:
        """What is recorded over a training."""
        return {f.name: getattr(self, f.name) for f in fields(BlockSummary)}


def look(
    model: Module, batches: Iterable[tuple[Array, Array]], *, classes: int, device: str = "cpu"
) -> list[BlockView]:
    """A view of every SE block, in the order of the model, from batches of (x (n, 3, h, w), labels (n,)).

    The model runs in eval mode, off the tape; its mode is restored. An empty list for a model without SE blocks.
    Raises ConfigError when there are no images.
    """
    blocks: list[tuple[str, SE, list[Array]]] = [
        (name, m, []) for name, m in model.named_modules() if isinstance(m, SE)
    ]
    if not blocks:
        return []

    def note(call: Call) -> None:
        row = SQUEEZES.get(call.op)
        if row is not None and len(call.inputs) > row.weight1:
            for _, se, squeezed in blocks:
                if se.weight1.data is call.inputs[row.weight1]:
                    squeezed.append(to_numpy(row.squeeze(call)))

    labels = []
    with evaluating(model), no_grad(), watch(note):
        for x, y in batches:
            model(Tensor(to_device(x, device)))
            labels.append(to_numpy(y))
    if not labels:
        raise ConfigError("microscope: found no images, expected at least one")
    y = np.concatenate(labels)
    return [view(name, se, np.concatenate(squeezed), y, classes) for name, se, squeezed in blocks]


def view(name: str, se: SE, z: Array, labels: Array, classes: int) -> BlockView:
    """What the block `se` makes of its squeeze z (n, c), which belongs to images of the given labels (n,)."""
    w1, b1, w2, b2, alpha = (
        None if p is None else to_numpy(p.data).astype(np.float64)
        for p in (se.weight1, se.bias1, se.weight2, se.bias2, se.alpha)
    )
    parameters = () if alpha is None else (alpha,)
    q = _affine(z.astype(np.float64), w1, b1)
    a, _ = ACTIVATIONS[se.act].op.forward(q, *parameters)
    gates, _ = sigmoid_forward(_affine(a, w2, b2))

    active = (q > 0).mean(axis=0)
    slope = np.abs(derivative(se.act, q, *parameters)).mean(axis=0)
    means = np.full((classes, gates.shape[1]), np.nan)
    shares = np.bincount(labels, minlength=classes) / len(labels)
    for k in np.flatnonzero(shares):
        means[k] = gates[labels == k].mean(axis=0)
    seen = shares > 0
    spread = (shares[seen, None] * (means[seen] - gates.mean(axis=0)) ** 2).sum(axis=0)
    deviation = gates.std(axis=0)
    groups, n = int(seen.sum()), len(labels)
    by_chance = (groups - 1) / (n - groups) * (deviation**2 - spread) if n > groups else spread
    return BlockView(
        block=name,
        act=se.act,
        channels=gates.shape[1],
        hidden=q.shape[1],
        images=len(labels),
        alpha=[] if alpha is None else alpha.reshape(-1).tolist(),
        active=active.tolist(),
        slope=slope.tolist(),
        silent=int((active == 0).sum()),
        dead=int(((active == 0) & (slope < FLAT)).sum()),
        histogram=np.histogram(gates, BINS, (0, 1))[0].tolist(),
        gate_mean=gates.mean(axis=0).tolist(),
        gate_std=deviation.tolist(),
        collapsed=int((deviation < COLLAPSED).sum()),
        between_images=float((deviation**2).mean()),
        between_classes=max(0.0, float((spread - by_chance).mean())),
        class_gates=means.tolist(),
    )


def _affine(x: Array, w: Any, b: Any) -> Array:
    return x @ w.T if b is None else x @ w.T + b


def _mean_of_input(call: Call) -> Array:
    """z of an `se`: the mean of u over the map."""
    return call.inputs[0].mean(axis=(2, 3))


def _mean_after_norm(call: Call) -> Array:
    """z of a `batch_norm_act` outside training: there the norm is a line, so the mean may be taken before it."""
    x, w, b = call.inputs[:3]
    running, eps = call.options["running"], call.options["eps"]
    mean = array_module(x).mean(x, axis=(2, 3))
    return batch_norm_forward(mean, w, b, running=running, train=False, eps=eps)[0]


@dataclass(frozen=True)
class _Squeeze:
    """Where an op has W1 among its inputs, and the squeeze z (n, c) of its SE block."""

    weight1: int
    squeeze: Callable[[Call], Array]


SQUEEZES = {"se": _Squeeze(1, _mean_of_input), "batch_norm_act": _Squeeze(5, _mean_after_norm)}
"""The ops that an SE block can be in, by name."""
