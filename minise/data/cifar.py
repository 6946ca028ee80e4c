"""CIFAR-10 and CIFAR-100 from their official files, in either form, from a folder or an archive.

A file that is sound but holds another number of images than the official one is read all the same; whether
the content is the official one is a question for the checksum. Source of both formats:
https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minise.data.files import File, read_files
from minise.data.official import CifarSet, Form
from minise.data.split import IMAGE_BYTES, IMAGE_SHAPE, Split
from minise.data.unpickle import unpickle
from minise.errors import DataError

Names = tuple[str, ...]


def read(facts: CifarSet, form: Form, path: Path) -> tuple[Split, Split, Names]:
    """The training split, the test split and the class names in the folder or archive at `path`.

    Images and labels are in the order of the files, and of the images within them. Raises DataError, with the
    file's name, what was found and what was expected, for anything that is missing or damaged.
    """
    read_split, read_names = READERS[form.kind]
    names = facts.classes
    parts: dict[str, Split] = {}
    for file in read_files(form, path):
        if file.name in form.names:
            names = read_names(file, facts) or names
        else:
            parts[file.name] = read_split(file, facts)
    return _join(parts, form.train), _join(parts, form.test), names


def _join(parts: dict[str, Split], files: tuple[str, ...]) -> Split:
    images = np.concatenate([parts[name].images for name in files])
    return Split(images, np.concatenate([parts[name].labels for name in files]))


def _split(file: File, facts: CifarSet, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
    """Images (n, 3072) and labels (n,) as a Split, once they are known to fit each other and the classes."""
    if len(images) == 0 or len(images) != len(labels):
        raise DataError(f"{file.where}: has {len(images)} images and {len(labels)} labels, expected as many")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(facts.classes):
        label = low if low < 0 else high
        raise DataError(f"{file.where}: has the label {label}, expected 0 to {len(facts.classes) - 1}")
    return Split(images.reshape(-1, *IMAGE_SHAPE), labels)


def _checked_names(file: File, facts: CifarSet, names: list[str]) -> Names:
    if len(names) != len(facts.classes):
        raise DataError(f"{file.where}: has {len(names)} class names, expected {len(facts.classes)}")
    for name in names:
        # Names are shown in terminals: no control characters, nothing endless.
        if not (name.isprintable() and 0 < len(name) <= 60 and name == name.strip()):
            raise DataError(f"{file.where}: has {name[:60]!a} as a class name, expected a word")
    return tuple(names)


# ---- the python form ---------------------------------------------------------------------------------------


def _python_split(file: File, facts: CifarSet) -> Split:
    """A batch: {'data': uint8 (n, 3072), facts.label_key: list of n ints, and more that is not needed}."""
    batch = unpickle(file.data, file.where)
    for key in ("data", facts.label_key):
        if key not in batch:
            raise DataError(f"{file.where}: has no {key!r}, expected a CIFAR batch with 'data' and labels")
    images, labels = batch["data"], batch[facts.label_key]
    is_array = isinstance(images, np.ndarray)
    if not (is_array and images.dtype == np.uint8 and images.shape[1:] == (IMAGE_BYTES,)):
        found = f"{images.dtype} {images.shape}" if is_array else type(images).__name__
        raise DataError(f"{file.where}: 'data' is {found}, expected uint8 (n, {IMAGE_BYTES})")
    flat = isinstance(labels, np.ndarray) and labels.ndim == 1
    if not (flat or (isinstance(labels, list) and all(type(label) is int for label in labels))):
        raise DataError(f"{file.where}: {facts.label_key!r} is not a list of whole numbers")
    return _split(
        file, facts, images, np.array(labels, np.int64)
    )  # of 32 bits in the file: nothing overflows


def _python_names(file: File, facts: CifarSet) -> Names:
    names = unpickle(file.data, file.where).get(facts.names_key)
    if not (isinstance(names, list) and all(isinstance(name, str | bytes) for name in names)):
        raise DataError(f"{file.where}: has no list of class names {facts.names_key!r}")
    return _checked_names(file, facts, [n.decode("latin1") if isinstance(n, bytes) else n for n in names])


# ---- the binary form ---------------------------------------------------------------------------------------


def _binary_split(file: File, facts: CifarSet) -> Split:
    """Records of 1 label byte (CIFAR-100: coarse, then fine) and 3072 pixel bytes, with nothing between."""
    record = facts.label_bytes + IMAGE_BYTES
    if not file.data or len(file.data) % record:
        size = len(file.data)
        raise DataError(f"{file.where}: has {size} bytes, expected records of {record}; cut off or not CIFAR")
    records = np.frombuffer(file.data, np.uint8).reshape(-1, record)
    labels = records[:, facts.label_column].astype(np.int64)
    return _split(file, facts, records[:, facts.label_bytes :], labels)


def _binary_names(file: File, facts: CifarSet) -> Names | None:
    """One name a line; the official files end in an empty line. None for the other labels' names."""
    if file.name != facts.names_file:
        return None
    lines = file.data.decode("latin1").splitlines()
    return _checked_names(file, facts, [line.strip() for line in lines if line.strip()])


READERS: dict[str, tuple[Callable[[File, CifarSet], Split], Callable[[File, CifarSet], Names | None]]] = {
    "python": (_python_split, _python_names),
    "binary": (_binary_split, _binary_names),
}
"""The kind of a form -> what reads a split and class names out of a file."""
