"""Batches of a split that lies on the GPU: what `Batches` does, with one launch a batch and nothing copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minise.backend import Array, to_device
from minise.data.augment import scale_and_shift
from minise.data.batches import Batches
from minise.kernels.cuda.augment import augment


class DeviceBatches(Batches):
    """As `Batches`, in the same order and mirrored alike, but with the images in the GPU's memory.

    Where crops and holes lie comes from a counter on the GPU, hence is not what `Batches` draws; it depends on
    (seed, epoch, image) alone.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"prefetch": 0})
        self.images = to_device(self.split.images, "cuda")
        self.labels = to_device(self.split.labels, "cuda")
        self.scale, self.shift = (to_device(a, "cuda") for a in scale_and_shift(self.mean, self.std))

    def _batches(self, k: int, start: int) -> Iterator[tuple[Array, Array]]:
        order = to_device(self.order(k).astype(np.int32), "cuda")
        does = self.augment
        mirrored = to_device(self.mirrored(k).astype(np.uint8), "cuda") if does and does.flip else None
        for b in range(start, len(self)):
            indices = order[b * self.batch_size : (b + 1) * self.batch_size]
            x = augment(
                self.images,
                indices,
                mirrored=mirrored,
                scale=self.scale,
                shift=self.shift,
                crop=does.pad if does else 0,
                cutout=does.cutout if does else 0,
                seed=(self.seed[0], self.seed[1] if len(self.seed) > 1 else 0),
                epoch=k,
                dtype=self.dtype,
            )
            yield x, self.labels[indices]
