"""Batches of a split: in an order and with an augmentation that depend on the seed and the epoch alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from minise.data.augment import Augment, normalise
from minise.data.split import Split
from minise.errors import ConfigError

Batch = tuple[NDArray[Any], NDArray[np.int64]]

ORDER, AUGMENT, HOLDOUT, FLIP = range(4)  # what a generator is for: each has a stream of its own


def generator(seed: Sequence[int], *key: int) -> np.random.Generator:
    """The generator that belongs to a seed and a purpose; no two purposes share one."""
    # The length goes in because SeedSequence takes (1,) and (1, 0) for the same entropy.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((len(seed), *seed), spawn_key=key)))


@dataclass(eq=False)
class Batches:
    """A split as batches (x, y): x `dtype` (n, 3, 32, 32), normalised; y int64 (n,).

    Epoch k's order depends on (seed, k) and batch b's augmentation on (seed, k, b), never on timing or on what
    was asked for before: a run that is resumed, in the middle of an epoch too, sees the same data.
    An image is mirrored in every other epoch, which half of the images begins depending on the seed: a few epochs
    then show both sides of each as often, which learns faster than chance (Jordan, 2024, arXiv:2404.00498).

    seed: one or more numbers >= 0; shuffle: a new order each epoch, else that of the split; drop_last: leave
    out a last batch that is not full; prefetch: how many batches a thread prepares ahead (0: no thread).
    Raises ConfigError for a batch size, a prefetch or a seed that cannot be.
    """

    split: Split
    batch_size: int
    _: KW_ONLY
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    augment: Augment | None = None
    seed: Sequence[int] = (0,)
    shuffle: bool = False
    drop_last: bool = False
    dtype: DTypeLike = np.float32
    prefetch: int = 2

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch size {self.batch_size}: expected a number >= 1")
        if self.prefetch < 0:
            raise ConfigError(f"prefetch {self.prefetch}: expected a number >= 0")
        if not self.seed or min(self.seed) < 0:
            raise ConfigError(f"seed {tuple(self.seed)}: expected one or more numbers >= 0")
        if self.drop_last and 0 < len(self.split) < self.batch_size:
            raise ConfigError(
                f"batch size {self.batch_size}: larger than the {len(self.split)} images, nothing is left"
            )

    def __len__(self) -> int:
        """How many batches an epoch has."""
        full, rest = divmod(len(self.split), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def __iter__(self) -> Iterator[Batch]:
        """Epoch 0: what there is without shuffling and augmentation."""
        return self.epoch(0)

    def order(self, k: int) -> NDArray[np.int64]:
        """The indices (n,) of the split's images in the order of epoch k."""
        n = len(self.split)
        return generator(self.seed, k, ORDER).permutation(n) if self.shuffle else np.arange(n)

    def mirrored(self, k: int) -> NDArray[np.bool_]:
        """Which of the split's images (n,) are mirrored in epoch k, where the augmentation mirrors any."""
        return (generator(self.seed, 0, FLIP).random(len(self.split)) < 0.5) ^ (k % 2 == 1)

    def epoch(self, k: int, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch k from batch `start` on.

        An iterator that is dropped or closed early stops its thread, and waits until it has ended. An error
        in the thread is raised here.
        """
        batches = self._batches(k, start)
        return _ahead(batches, self.prefetch) if self.prefetch else batches

    def _batches(self, k: int, start: int) -> Iterator[Batch]:
        order = self.order(k)
        mirrored = self.mirrored(k)
        for b in range(start, len(self)):
            indices = order[b * self.batch_size : (b + 1) * self.batch_size]
            images, y = self.split.images[indices], self.split.labels[indices]
            if self.augment is None:
                yield normalise(images, self.mean, self.std, self.dtype), y
            else:
                rng = generator(self.seed, k, AUGMENT, b)
                sides, colours = mirrored[indices], {"mean": self.mean, "std": self.std}
                yield self.augment(images, rng, **colours, mirrored=sides, dtype=self.dtype), y


def _ahead(batches: Iterator[Batch], prefetch: int) -> Iterator[Batch]:
    """The same batches, made in a thread up to `prefetch` before they are asked for."""
    pool = ThreadPoolExecutor(1, "minise-batches")
    try:
        ready = deque(pool.submit(next, batches, None) for _ in range(prefetch))
        while (batch := ready.popleft().result()) is not None:
            ready.append(pool.submit(next, batches, None))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def holdout(split: Split, val_size: int, seed: Sequence[int] = (0,)) -> tuple[Split, Split]:
    """Set `val_size` random images aside: (what is left to train on, validation), each in the split's order.

    Stratified: each class gives in proportion to its size, rounded so that the sum is right; which classes
    give one more where the remainders are equal is random. val_size 0 gives an empty validation split.
    Raises ConfigError unless 0 <= val_size < len(split).
    """
    if not 0 <= val_size < len(split):
        raise ConfigError(
            f"validation size {val_size}: expected 0 to {len(split) - 1} of {len(split)} images"
        )
    rng = generator(tuple(seed), HOLDOUT)
    aside = np.zeros(len(split), np.bool_)
    counts = np.bincount(split.labels)
    quotas = counts * val_size // len(split)
    remainders = counts * val_size % len(split)
    tie_break = rng.permutation(len(counts))
    most = np.lexsort((tie_break, -remainders))[: val_size - quotas.sum()]
    quotas[most] += 1
    for label, quota in enumerate(quotas):
        aside[rng.permutation(np.flatnonzero(split.labels == label))[:quota]] = True
    return split.select(np.flatnonzero(~aside)), split.select(np.flatnonzero(aside))
