"""Random crops, flips and holes, and the normalisation that every image goes through.

All work on a whole batch at once. Everything random comes from the one Generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import DTypeLike, NDArray

from minise.backend import array_module
from minise.errors import ConfigError

Images = NDArray[np.uint8]


def normalise(
    images: Images, mean: NDArray[Any], std: NDArray[Any], dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """(images / 255 - mean) / std, channel by channel.

    images: uint8 (n, c, h, w); mean, std: (c,), on the scale 0 to 1; returns `dtype` (n, c, h, w),
    contiguous. Computed as x·scale + shift, in two passes: off by at most 2 units in the last place of the
    larger of the two terms.
    """
    scale, shift = scale_and_shift(mean, std, dtype)
    result: NDArray[Any] = images.astype(dtype, order="C")
    result *= scale.reshape(-1, 1, 1)
    result += shift.reshape(-1, 1, 1)
    return result


def scale_and_shift(
    mean: NDArray[Any], std: NDArray[Any], dtype: DTypeLike = np.float32
) -> tuple[NDArray[Any], NDArray[Any]]:
    """(scale, shift), each (c,): what normalises a channel of bytes as x·scale + shift."""
    mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
    return (1 / (255 * std)).astype(dtype), (-mean / std).astype(dtype)


@dataclass(frozen=True)
class Augment:
    """What is done to training images: crop, flip, normalise, cut a hole; the same for any batch and dtype.

    pad: the image is reflected by `pad` pixels at each edge (the edge itself is not repeated), and a window
    of the old size is taken from it, every position as likely (0: no crop; at most 31).
    flip: mirror left and right with probability 1/2; `Batches` mirrors each image in every other epoch.
    cutout: side of a square that is set to 0 after normalisation, which is the mean colour; its middle is
    anywhere in the image, so that parts of it may lie outside (0: none; at most 32).

    Sources: crop and flip, He et al. 2015 (with zeros there, reflection as in airbench); cutout, DeVries and
    Taylor 2017, https://arxiv.org/abs/1708.04552. Raises ConfigError for values outside those ranges.
    """

    pad: int = 4
    flip: bool = True
    cutout: int = 0

    def __post_init__(self) -> None:
        for name, value, most in (("pad", self.pad, 31), ("cutout", self.cutout, 32)):
            if type(value) is not int or not 0 <= value <= most:
                raise ConfigError(f"{name} {value!r}: expected a whole number from 0 to {most}")
        if type(self.flip) is not bool:
            raise ConfigError(f"flip {self.flip!r}: expected True or False")

    def __call__(
        self,
        images: Images,
        rng: np.random.Generator,
        *,
        mean: NDArray[Any],
        std: NDArray[Any],
        mirrored: NDArray[np.bool_] | None = None,
        dtype: DTypeLike = np.float32,
    ) -> NDArray[Any]:
        """Augmented and normalised images: uint8 (n, c, h, w) -> `dtype` (n, c, h, w), contiguous.

        mirrored: which of the n to mirror, where that is not to be random.
        """
        if self.pad:
            images = random_crop(images, self.pad, rng)
        if self.flip:
            images = mirror(images, rng.random(len(images)) < 0.5 if mirrored is None else mirrored)
        result = normalise(images, mean, std, dtype)
        if self.cutout:
            cut_out(result, self.cutout, rng)
        return result


def random_crop(images: Images, pad: int, rng: np.random.Generator) -> Images:
    """A random window (n, c, h, w) of each image after its reflection by `pad` pixels."""
    n, _, h, w = images.shape
    windows = sliding_window_view(reflect(images, pad), (h, w), axis=(2, 3))
    top, left = rng.integers(0, 2 * pad + 1, (2, n))
    crops: Images = windows[np.arange(n), :, top, left]
    return crops


def reflect(images: NDArray[Any], pad: int) -> NDArray[Any]:
    """(n, c, h, w) -> (n, c, h + 2 pad, w + 2 pad), as `numpy.pad(mode="reflect")`, twice as fast."""
    n, c, h, w = images.shape
    padded = array_module(images).empty((n, c, h + 2 * pad, w + 2 * pad), images.dtype)
    middle = padded[:, :, pad : pad + h]
    middle[..., pad : pad + w] = images
    middle[..., :pad] = images[..., pad:0:-1]
    middle[..., pad + w :] = images[..., -2 : -2 - pad : -1]
    padded[:, :, :pad] = middle[:, :, pad:0:-1]
    padded[:, :, pad + h :] = middle[:, :, -2 : -2 - pad : -1]
    return padded


def mirror(images: Images, mirrored: NDArray[np.bool_]) -> Images:
    """Those of the images (n, c, h, w) mirrored left and right; a new array."""
    images = images.copy()
    images[mirrored] = images[mirrored][..., ::-1]
    return images


def cut_out(images: NDArray[Any], side: int, rng: np.random.Generator) -> None:
    """Set a square of `side` to 0 in each image (n, c, h, w), in place, its middle on any of its pixels.

    For an even side the middle is the pixel below and right of the square's centre.
    """
    n, _, h, w = images.shape
    rows = _covered(h, side, rng.integers(0, h, (n, 1)))
    columns = _covered(w, side, rng.integers(0, w, (n, 1)))
    np.copyto(images, 0, where=(rows[:, None, :, None] & columns[:, None, None, :]))


def _covered(size: int, side: int, middle: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `size` places lie in the stretch of length `side` around each `middle` (n, 1): (n, size)."""
    start = middle - side // 2
    place = np.arange(size)
    return (place >= start) & (place < start + side)
