"""A batch from images on the GPU, by `src/augment.cu`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array
from minise.kernels.cuda.launch import THREADS, cover, empty_maps, half, launch, nhwc


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
        "augment.cu", "augment", images, order, mirrored, scale, shift, nhwc(x), n, *key,
        grid=cover(n * h * w, THREADS), HALF=half(x), C=c, H=h, W=w, CROP=crop, CUTOUT=cutout,
    )  # fmt: skip
    return x
