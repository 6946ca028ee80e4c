"""Weights that were trained on images normalised in another way: the first convolution takes that on itself.

What another mean and deviation make of a pixel is a·x + b of what ours make of it, channel by channel. So a goes into
the filters, and Σ w b into the batch norm that follows. All of it is exact but for the outermost pixels: the zeros
around an image stand for the mean colour, theirs there and ours here.
"""

from __future__ import annotations

import numpy as np

from minise.backend import Array
from minise.nn import Module

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
NORMALISED: dict[str, Normalisation] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "kuangliu": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
"""Name -> mean and deviation, on the scale 0 to 1. "kuangliu": those of kuangliu/pytorch-cifar and many after it."""


def renormalise(model: Module, theirs: Normalisation, mean: Array, std: Array) -> None:
    """Let a model that was trained on images normalised by `theirs` take ours; mean, std: (3,), of ours."""
    their_mean, their_std = (np.array(a, np.float64) for a in theirs)
    scale, shift = std / their_std, (mean - their_mean) / their_std
    state = model.state_dict()
    first = next(name for name, a in state.items() if a.ndim == 4 and a.shape[1] == 3)
    norm = next(name for name in state if name.endswith("running_mean"))
    state[norm] = state[norm] - (state[first].sum(axis=(2, 3)) @ shift)
    state[first] = state[first] * scale[:, None, None]
    model.load_state_dict(state)
