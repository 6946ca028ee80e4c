"""shapes10: a data set in CIFAR's form that needs no download, drawn when it is asked for.

Each image, 32x32 RGB, shows one of ten shapes (`sdf.SHAPES`) of random size, place, rotation and stretch, with
soft edges, on a textured background; small discs and lines lie behind it and a bar across it, and the whole is
noisy. All colours are drawn alike for every class, so that colour tells nothing.

The full set has 50,000 training and 10,000 test images, as many of each class. It is drawn in blocks of 1,000,
each from random numbers of its own (seed, split, block): image i is the same however many are asked for. The
random numbers are PCG64's raw bits, which NumPy promises never to change, and the arithmetic is that which every
machine rounds alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minise.data.sdf import SHAPES, Field, box, length
from minise.data.split import Split
from minise.errors import ConfigError

TRAIN, TEST = 50_000, 10_000
BLOCK = 1_000
PER_CLASS = BLOCK // len(SHAPES)
CLASSES = tuple(SHAPES)
SPLITS = {"train": 0, "test": 1}

# Pixel centres from -1 to 1, as a row (1, 32) and a column (32, 1), the column pointing upwards.
PIXEL = np.float32(1 / 16)
_AXIS = ((np.arange(32) - 15.5) / 16).astype(np.float32)
X, Y = _AXIS[None, :], -_AXIS[:, None]


def generate(split: str, n: int, seed: int = 0) -> Split:
    """The first `n` images of the split 'train' (up to 50,000) or 'test' (up to 10,000).

    images: uint8 (n, 3, 32, 32); labels: int64 (n,). Equal arguments give equal bytes. Raises ConfigError for a
    negative seed.
    """
    if seed < 0:
        raise ConfigError(f"seed {seed}: expected a number >= 0")
    blocks = [_block(seed, SPLITS[split], index) for index in range(-(-n // BLOCK))]
    images = np.concatenate([images for images, _ in blocks])
    labels = np.concatenate([labels for _, labels in blocks])
    return Split(images[:n], labels[:n])


def _block(seed: int, split: int, index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """1,000 images, 100 of each class, in random order."""
    random = _Random(seed, split, index)
    order = random.order(BLOCK).reshape(len(SHAPES), PER_CLASS)
    images = np.empty((BLOCK, 3, 32, 32), np.uint8)
    labels = np.empty(BLOCK, np.int64)
    # A class at a time: one field for all, and arrays of 100 images, which stay in a core's cache.
    for label, field in enumerate(SHAPES.values()):
        images[order[label]] = _draw(field, PER_CLASS, random)
        labels[order[label]] = label
    return images, labels


class _Random:
    """Random numbers from the raw 64-bit numbers of PCG64."""

    def __init__(self, *key: int) -> None:
        self.bits = np.random.PCG64(np.random.SeedSequence(key))

    def order(self, n: int) -> NDArray[np.int64]:
        """A permutation of n."""
        return np.argsort(self.bits.random_raw(n), kind="stable")

    def uniform(self, low: float, high: float, *shape: int) -> Field:
        """float32 in [low, high), of 24 random bits."""
        bits = self.bits.random_raw(int(np.prod(shape))) >> np.uint64(40)
        unit = bits.astype(np.float32) * np.float32(2**-24)
        return (unit * np.float32(high - low) + np.float32(low)).reshape(shape)

    def noise(self, *shape: int) -> Field:
        """Even noise of deviation 1 in 256 steps: a byte a value, for it is wanted for every pixel."""
        raw = self.bits.random_raw(int(np.prod(shape)) // 8).astype("<u8").view(np.uint8)
        return (raw.astype(np.float32) - np.float32(127.5)).reshape(shape) * np.float32(12**0.5 / 256)

    def direction(self, n: int) -> tuple[Field, Field]:
        """Unit vectors (n, 1, 1) all around, by halving an angle's tangent: no sine, whose last bit varies."""
        t = self.uniform(-1, 1, n, 1, 1)
        sign = np.where(self.uniform(-1, 1, n, 1, 1) < 0, np.float32(-1), np.float32(1))
        square = t * t
        return (1 - square) / (1 + square) * sign, 2 * t / (1 + square)


def _draw(field: object, n: int, random: _Random) -> NDArray[np.uint8]:
    raise NotImplementedError
