"""Initial weights. Each rule keeps the variance of activations or of gradients from layer to layer."""

from __future__ import annotations

import numpy as np

from minise.backend import Array


def kaiming_normal(shape: tuple[int, ...], rng: np.random.Generator, *, fan: str = "out") -> Array:
    """Normal with σ = √(2 / fan), for layers that a ReLU-like activation follows; float32.

    shape: (out, in) or (out, in, kh, kw). fan "in" keeps the forward variance, "out" the backward one.
    Source: He, Zhang, Ren and Sun, 2015, arXiv:1502.01852.
    """
    taps = int(np.prod(shape[2:], dtype=int))
    return _normal(shape, rng, np.sqrt(2 / ((shape[0] if fan == "out" else shape[1]) * taps)))


def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Normal with σ = √(1 / fan in), for layers that a linear or saturating function follows; float32."""
    return _normal(shape, rng, np.sqrt(1 / int(np.prod(shape[1:], dtype=int))))


def _normal(shape: tuple[int, ...], rng: np.random.Generator, sigma: float) -> Array:
    return (rng.standard_normal(shape) * sigma).astype(np.float32)


def dirac(weight: Array) -> None:
    """Make the first filters of a convolution (out, in, kh, kw) the identity, in place: filter i passes channel i."""
    outputs, inputs, kh, kw = weight.shape
    for i in range(min(outputs, inputs)):
        weight[i] = 0
        weight[i, i, kh // 2, kw // 2] = 1
