"""What every data set is in memory: images, labels, and what is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minise.errors import DataError

IMAGE_SHAPE = (3, 32, 32)  # red, green, blue planes of 32 rows of 32 pixels
IMAGE_BYTES = 3 * 32 * 32


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels: training, validation or test.

    images: uint8 (n, 3, 32, 32), channels red, green, blue; labels: int64 (n,).
    Raises DataError when shapes or dtypes differ from these.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, np.ndarray):
                raise DataError(f"a split's {name} are a {type(value).__name__}, expected an array")
        found = (self.images.dtype, self.images.shape[1:], self.labels.dtype, self.labels.shape)
        wanted = (np.dtype(np.uint8), IMAGE_SHAPE, np.dtype(np.int64), (len(self.images),))
        if found != wanted:
            raise DataError(
                f"a split holds uint8 images (n, 3, 32, 32) and int64 labels (n,), found "
                f"{self.images.dtype} {self.images.shape} and {self.labels.dtype} {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def take(self, n: int) -> Split:
        """The first `n` images (all of them where there are fewer); a view, nothing is copied."""
        return Split(self.images[:n], self.labels[:n])

    def select(self, indices: NDArray[np.integer[Any]]) -> Split:
        """The images at `indices` (m,), in that order; a copy."""
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A training and a test split with what a run needs to know, and to record, about them.

    classes: the name of label 0, 1, ...; mean, std: float32 (3,), of the full training images in [0, 1];
    checksum: `checksum(train, test)` of the full content, before any limit;
    official: whether that is the content its makers published (None where there is no such thing);
    source: where it came from, for people to read.
    Raises DataError, in one line, for what a run could not be trained, tested and recorded with.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    checksum: str
    official: bool | None
    source: str

    def __post_init__(self) -> None:
        for part, (kind, expected) in KINDS.items():
            if not isinstance(found := getattr(self, part), kind):
                raise DataError(f"data set {self.name}: {part} is {found!r:.60}, expected {expected}")
        names = list(self.classes)
        if not all(isinstance(name, str) for name in names) or not 0 < len(set(names)) == len(names):
            raise DataError(f"data set {self.name}: classes are {names!r:.60}, expected different names")
        for part, split in (("train", self.train), ("test", self.test)):
            if not len(split):
                raise DataError(f"data set {self.name}: {part} has no images, expected at least one")
            low, high = int(split.labels.min()), int(split.labels.max())
            if low < 0 or high >= len(names):
                raise DataError(
                    f"data set {self.name}: {part} has the label {low if low < 0 else high}, "
                    f"expected 0 to {len(names) - 1} of {len(names)} classes"
                )
        for part, above in (("mean", -np.inf), ("std", 0)):
            found = np.asarray(getattr(self, part))
            if not (
                found.shape == (3,)
                and found.dtype.kind in "fiu"
                and (np.isfinite(found) & (found > above)).all()
            ):
                words = "three positive numbers" if part == "std" else "three finite numbers"
                raise DataError(f"data set {self.name}: {part} is {found.tolist()!r:.60}, expected {words}")


KINDS: dict[str, tuple[Any, str]] = {
    "name": (str, "text"),
    "train": (Split, "a Split"),
    "test": (Split, "a Split"),
    "classes": ((tuple, list), "the names of the classes"),
    "checksum": (str, "text"),
    "official": (bool | None, "True, False or None"),
    "source": (str, "text"),
}
"""Part of a Dataset -> the type that it must have, and what to call that."""


def checksum(train: Split, test: Split) -> str:
    """SHA-256 (hex) of the content, whatever form of file it came from.

    Hashed in this order: training images, training labels, test images, test labels; images as bytes in
    (n, channel, row, column) order, labels as 64-bit little-endian integers.
    """
    digest = hashlib.sha256()
    for split in (train, test):
        digest.update(split.images.reshape(-1).data)
        digest.update(split.labels.astype("<i8").data)
    return digest.hexdigest()
