"""shapes10: a data set in CIFAR's form that needs no download, drawn when it is asked for.

Each image, 32x32 RGB, shows one of ten shapes (`sdf.SHAPES`) of random size, place, rotation and stretch,
with soft edges, on a textured background; small discs and lines lie behind it and a bar across it, and the
whole is noisy. All colours are drawn alike for every class, so that colour tells nothing.

The full set has 50,000 training and 10,000 test images, as many of each class. It is drawn in blocks of
1,000, each from random numbers of its own (seed, split, block): image i is the same however many are asked
for. The random numbers are PCG64's raw bits, which NumPy promises never to change, and the arithmetic is that
which every machine rounds alike.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from minise.data.sdf import SHAPES, Field
from minise.data.split import Split
from minise.errors import ConfigError
from minise.kernels.threads import available_threads

TRAIN, TEST = 50_000, 10_000
BLOCK = 1_000
PER_CLASS = BLOCK // len(SHAPES)
CLASSES = tuple(SHAPES)
MEAN, STD = (0.49949858, 0.49831581, 0.49804345), (0.28411147, 0.28467599, 0.28534082)  # of seed 0
SPLITS = {"train": 0, "test": 1}

# Pixel centres from -1 to 1, as a row (1, 32) and a column (32, 1), the column pointing upwards.
PIXEL = np.float32(1 / 16)
_AXIS = ((np.arange(32) - 15.5) / 16).astype(np.float32)
X, Y = _AXIS[None, :], -_AXIS[:, None]


def generate(split: str, n: int, seed: int = 0) -> Split:
    """The first `n` images of the split 'train' (up to 50,000) or 'test' (up to 10,000).

    images: uint8 (n, 3, 32, 32); labels: int64 (n,). Equal arguments give equal bytes. Raises ConfigError for
    a negative seed.
    """
    if seed < 0:
        raise ConfigError(f"seed {seed}: expected a number >= 0")
    keys = [(seed, SPLITS[split], index) for index in range(-(-n // BLOCK))]
    with ThreadPoolExecutor(min(4, available_threads())) as pool:
        blocks = list(pool.map(_block, keys))
    images = np.concatenate([images for images, _ in blocks])
    labels = np.concatenate([labels for _, labels in blocks])
    return Split(images[:n], labels[:n])


def _block(key: tuple[int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The 1,000 images of one (seed, split, block): 100 of each class, in random order."""
    random, canvas = _Random(key), _Canvas(PER_CLASS)
    order = random.order(BLOCK).reshape(len(SHAPES), PER_CLASS)
    images = np.empty((BLOCK, 3, 32, 32), np.uint8)
    labels = np.empty(BLOCK, np.int64)
    for label, shape in enumerate(SHAPES.values()):  # a class at a time: one field for all of its images
        images[order[label]] = canvas.draw(shape, random)
        labels[order[label]] = label
    return images, labels


class _Random:
    """Random numbers from the raw 64-bit numbers of PCG64."""

    def __init__(self, key: tuple[int, ...]) -> None:
        self.bits = np.random.PCG64(np.random.SeedSequence(key))

    def order(self, n: int) -> NDArray[np.int64]:
        """A permutation of n."""
        return np.argsort(self.bits.random_raw(n), kind="stable")

    def uniform(self, low: float, high: float, *shape: int) -> Field:
        """float32 in [low, high), of 24 random bits."""
        bits = self.bits.random_raw(int(np.prod(shape))) >> np.uint64(40)
        unit = bits.astype(np.float32) * np.float32(2**-24)
        return (unit * np.float32(high - low) + np.float32(low)).reshape(shape)

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Evenly from 0 to 255; the number of values is a multiple of 8."""
        return self.bits.random_raw(int(np.prod(shape)) // 8).astype("<u8").view(np.uint8).reshape(shape)

    def direction(self, n: int, most: float) -> tuple[Field, Field]:
        """Cosine and sine (n, 1, 1) of angles from -a to a, where `most` = tan(a/2); not quite evenly spread.

        By the half-angle formulas: the last bit of a library's sine is not the same everywhere.
        """
        t = self.uniform(-most, most, n, 1, 1)
        square = t * t
        return (1 - square) / (1 + square), 2 * t / (1 + square)


class _Canvas:
    """Images (n, 3, 32, 32) that are painted from back to front.

    It holds its two large arrays from class to class: fresh ones would cost as much as the painting.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.image: Field = np.empty((n, 3, 32, 32), np.float32)
        self.layer: Field = np.empty((n, 3, 32, 32), np.float32)

    def draw(self, shape: Callable[[Field, Field], Field], random: _Random) -> NDArray[np.uint8]:
        """`n` images of one shape, uint8."""
        n = self.n
        middle = self.background(random)
        self.paint(_discs(n, random), _colour(n, random))
        self.paint(_line(n, random, 1.0, 0.03, 0.06), _colour(n, random))
        self.paint(*_figure(shape, n, random, middle))
        self.paint(_line(n, random, 0.5, 0.03, 0.08), _colour(n, random))
        return self.finish(random)

    def background(self, random: _Random) -> Field:
        """A colour, a gradient in each channel, smooth blotches; returns the middle's colour (n, 3, 1, 1)."""
        n = self.n
        np.multiply(_blotches(n, random)[:, None], random.uniform(-0.15, 0.15, n, 3, 1, 1), out=self.image)
        self.image += random.uniform(-0.2, 0.2, n, 3, 1, 1) * X + _colour(n, random)
        self.image += random.uniform(-0.2, 0.2, n, 3, 1, 1) * Y
        return self.image[:, :, 16:17, 16:17].copy()

    def paint(self, cover: Field, colour: Field) -> None:
        """Lay `colour` (n, 3, 1 or 32, 1 or 32) over the image as far as `cover` (n, 32, 32) says."""
        np.subtract(colour, self.image, out=self.layer)
        self.layer *= cover[:, None]
        self.image += self.layer

    def finish(self, random: _Random) -> NDArray[np.uint8]:
        """The image with even noise of deviation 0.02 to 0.08, in bytes."""
        self.layer[:] = random.bytes(self.n, 3, 32, 32)
        self.layer -= 127.5
        self.layer *= random.uniform(0.02, 0.08, self.n, 1, 1, 1) * (12**0.5 / 256)
        self.image += self.layer
        self.image *= 255
        np.clip(self.image, 0, 255, out=self.image)
        pixels: NDArray[np.uint8] = self.image.astype(np.uint8)
        return pixels


def _cover(distance: Field, blur: Field | float) -> Field:
    """1 inside, 0 outside, over an edge that is `blur` wide; `distance` (n, 32, 32) is overwritten."""
    distance /= -blur
    distance += 0.5
    return np.clip(distance, 0, 1, out=distance)


def _colour(n: int, random: _Random) -> Field:
    return random.uniform(0, 1, n, 3, 1, 1)


def _blotches(n: int, random: _Random) -> Field:
    """Smooth noise (n, 32, 32) in [-1, 1): 5x5 random values with straight lines between them."""
    grid = random.uniform(-1, 1, n, 5, 5)
    at = np.arange(32) // 8
    part = ((np.arange(32) % 8 + 0.5) / 8).astype(np.float32)
    rows = grid[:, at] * (1 - part[:, None]) + grid[:, at + 1] * part[:, None]
    return rows[:, :, at] * (1 - part) + rows[:, :, at + 1] * part


def _discs(n: int, random: _Random) -> Field:
    """Two small discs of one colour, anywhere."""
    nearest = np.full((n, 32, 32), 2, np.float32)
    for _ in range(2):
        x, y = random.uniform(-1, 1, n, 1, 1), random.uniform(-1, 1, n, 1, 1)
        distance = np.sqrt((X - x) ** 2 + (Y - y) ** 2)
        distance -= random.uniform(0.06, 0.17, n, 1, 1)
        np.minimum(nearest, distance, out=nearest)
    return _cover(nearest, 1.5 * PIXEL)


def _line(n: int, random: _Random, spread: float, thin: float, thick: float) -> Field:
    """A piece of a line of half width `thin` to `thick`, with its middle within `spread` of the centre."""
    c, s = random.direction(n, 1)  # any: a line looks the same from behind
    x = X - random.uniform(-spread, spread, n, 1, 1)
    y = Y - random.uniform(-spread, spread, n, 1, 1)
    along = np.abs(c * x + s * y) - random.uniform(0.4, 1, n, 1, 1)
    across = np.abs(c * y - s * x) - random.uniform(thin, thick, n, 1, 1)
    return _cover(np.maximum(along, across, out=across), 1.5 * PIXEL)


def _figure(
    shape: Callable[[Field, Field], Field], n: int, random: _Random, background: Field
) -> tuple[Field, Field]:
    """What the image is about: its cover (n, 32, 32) and its colours (n, 3, 32, 32)."""
    size, stretch = random.uniform(0.55, 0.85, n, 1, 1), random.uniform(0.85, 1.15, n, 1, 1)
    c, s = random.direction(n, 0.1763)  # up to 20 degrees either way
    x = (X - random.uniform(-0.2, 0.2, n, 1, 1)) / size
    y = (Y - random.uniform(-0.2, 0.2, n, 1, 1)) / size
    u, v = (c * x + s * y) * stretch, (c * y - s * x) / stretch
    cover = _cover(shape(u, v) * size, random.uniform(1, 2.5, n, 1, 1) * PIXEL)
    # At least 0.25 from the background in each channel, counted around the circle from 1 on to 0: so every
    # colour is as likely, and darker as likely as brighter.
    colour = (background + random.uniform(0.25, 0.75, n, 3, 1, 1)) % 1
    shade = random.uniform(-0.2, 0.2, n, 3, 1, 1)
    return cover, colour + shade * u[:, None]
