"""CIFAR-10 and CIFAR-100 from their official files, in either form, from a folder or an archive.

A file that is sound but holds another number of images than the official one is read all the same; whether
the content is the official one is a question for the checksum. Source of both formats:
https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minise.data.files import File, read_files
from minise.data.layout import Form, Layout
from minise.data.split import IMAGE_BYTES, IMAGE_SHAPE, Split
from minise.data.unpickle import unpickle
from minise.errors import DataError

Names = tuple[str, ...]


def read(layout: Layout, form: Form, path: Path) -> tuple[Split, Split, Names]:
    """The training split, the test split and the class names in the folder or archive at `path`.

    Images and labels are in the order of the files, and of the images within them. Raises DataError, with the
    file's name, what was found and what was expected, for anything that is missing or damaged.
    """
    reader = READERS[form.kind]
    names = layout.classes
    parts: dict[str, Split] = {}
    for file in read_files(form, path):
        if file.name in form.names:
            names = reader.names(file, layout) or names
        else:
            parts[file.name] = reader.split(file, layout)
    return _join(parts, form.train), _join(parts, form.test), names


def _join(parts: dict[str, Split], files: tuple[str, ...]) -> Split:
    images = np.concatenate([parts[name].images for name in files])
    return Split(images, np.concatenate([parts[name].labels for name in files]))


def _split(file: File, layout: Layout, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    """Images (n, 3072) and labels (n,) as a Split, once they are known to fit each other and the classes."""
    if len(images) == 0 or len(images) != len(labels):
        raise DataError(f"{file.where}: has {len(images)} images and {len(labels)} labels, expected as many")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(layout.classes):
        label = low if low < 0 else high
        raise DataError(f"{file.where}: has the label {label}, expected 0 to {len(layout.classes) - 1}")
    return Split(images.reshape(-1, *IMAGE_SHAPE), labels)


def _checked_names(file: File, layout: Layout, names: list[str]) -> Names:
    if len(names) != len(layout.classes):
        raise DataError(f"{file.where}: has {len(names)} class names, expected {len(layout.classes)}")
    for name in names:
        # Names are shown in terminals: no control characters, nothing endless.
        if not (name.isprintable() and 0 < len(name) <= 60 and name == name.strip()):
            raise DataError(f"{file.where}: has {name[:60]!a} as a class name, expected a word")
    return tuple(names)


# ---- the python form ---------------------------------------------------------------------------------------


def _python_split(file: File, layout: Layout) -> Split:
    """A batch: {'data': uint8 (n, 3072), layout.label_key: list of n ints, and more that is not needed}."""
    batch = unpickle(file.data, file.where)
    for key in ("data", layout.label_key):
        if key not in batch:
            raise DataError(f"{file.where}: has no {key!r}, expected a CIFAR batch with 'data' and labels")
    images, labels = batch["data"], batch[layout.label_key]
    if not (
        isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.shape[1:] == (IMAGE_BYTES,)
    ):
        found = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise DataError(f"{file.where}: 'data' is {found}, expected uint8 (n, {IMAGE_BYTES})")
    return _split(file, layout, images, _python_labels(file, layout.label_key, labels))


def _python_labels(file: File, key: str, labels: object) -> NDArray[np.int64]:
    if isinstance(labels, np.ndarray) and labels.ndim == 1:
        return labels.astype(np.int64)
    if isinstance(labels, list) and all(type(label) is int for label in labels):
        return np.array(labels, np.int64)  # the format has no number beyond 32 bits: nothing overflows
    raise DataError(f"{file.where}: {key!r} is not a list of whole numbers")


def _python_names(file: File, layout: Layout) -> Names:
    names = unpickle(file.data, file.where).get(layout.names_key)
    if not (isinstance(names, list) and all(isinstance(name, str | bytes) for name in names)):
        raise DataError(f"{file.where}: has no list of class names {layout.names_key!r}")
    return _checked_names(file, layout, [n.decode("latin1") if isinstance(n, bytes) else n for n in names])


# ---- the binary form ---------------------------------------------------------------------------------------


def _binary_split(file: File, layout: Layout) -> Split:
    """Records of 1 label byte (CIFAR-100: coarse, then fine) and 3072 pixel bytes, with nothing between."""
    record = layout.label_bytes + IMAGE_BYTES
    if not file.data or len(file.data) % record:
        size = len(file.data)
        raise DataError(f"{file.where}: has {size} bytes, expected records of {record}; cut off or not CIFAR")
    records = np.frombuffer(file.data, np.uint8).reshape(-1, record)
    labels = records[:, layout.label_column].astype(np.int64)
    return _split(file, layout, records[:, layout.label_bytes :], labels)


def _binary_names(file: File, layout: Layout) -> Names | None:
    """One name a line; the official files end in an empty line. None for the other labels' names."""
    if file.name != layout.names_file:
        return None
    lines = file.data.decode("latin1").splitlines()
    return _checked_names(file, layout, [line.strip() for line in lines if line.strip()])


@dataclass(frozen=True)
class _Reader:
    split: Callable[[File, Layout], Split]
    names: Callable[[File, Layout], Names | None]


READERS = {
    "python": _Reader(_python_split, _python_names),
    "binary": _Reader(_binary_split, _binary_names),
}
