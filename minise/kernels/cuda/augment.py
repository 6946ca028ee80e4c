"""A batch from images on the GPU, by `cuda/augment.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.kernels.cuda.launch import cover, empty_maps, launch

THREADS = 256


def augment(
    images: Array,
    order: Array,
    *,
    mirrored: Array | None,
    scale: Array,
    shift: Array,
    crop: int,
    cutout: int,
    seed: tuple[int, int],
    epoch: int,
    dtype: Any = np.float32,
) -> Array:
    """images[order] · scale + shift, cropped, mirrored and with a hole cut out: (n, c, h, w), channels side by side.

    images: uint8 (N, c, h, w); order: int32 (n,); mirrored: uint8 (N,), 1 for those to mirror; scale, shift: float32
    (c,). crop, cutout: as in `minise.data.augment.Augment`. The random numbers depend on seed, epoch and image alone.
    """
    (_, c, h, w), n = images.shape, len(order)
    x = empty_maps(images, (n, c, h, w), dtype)
    key = [np.uint32(s % 2**32) for s in (*seed, epoch)]
    launch(
        "augment.cu", "augment", images, order, mirrored, scale, shift, x.transpose(0, 2, 3, 1), np.int32(n), *key,
        grid=(cover(n * h * w, THREADS),), block=THREADS,
        constants=dict(HALF=int(np.dtype(dtype) == np.float16), C=c, H=h, W=w, CROP=crop, CUTOUT=cutout),
    )  # fmt: skip
    return x


def random_numbers(xp: Any, key: tuple[int, int], counter: tuple[int, int, int, int]) -> Array:
    """The four numbers of 32 bits that `cuda/philox.cuh` makes of a key and a counter, as uint32 (4,)."""
    y = xp.empty(4, np.uint32)
    words = xp.asarray(np.array(counter, np.uint32)), xp.asarray(np.array(key, np.uint32))
    constants = dict(HALF=0, C=1, H=1, W=1, CROP=0, CUTOUT=0)
    launch("augment.cu", "numbers", *words, y, grid=(1,), block=1, constants=constants)
    return y
