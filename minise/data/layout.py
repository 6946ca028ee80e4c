"""What the official CIFAR files are called, what they hold, and how to tell that they are the real ones.

Source: Alex Krizhevsky's page, https://www.cs.toronto.edu/~kriz/cifar.html. Each data set is published in a
python form (pickles) and a binary one (records), with the same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minise.data import classes


@dataclass(frozen=True)
class Form:
    """One form in which the files come: a folder, and an archive that holds just that folder.

    kind: which reader in `cifar.READERS` knows it; train, test: the files whose images, one after the other,
    are the split; names: files that may hold class names (they may also be missing); md5: of the official
    files, where known.
    """

    kind: str
    folder: str
    archive: str
    archive_md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: tuple[str, ...]
    md5: Mapping[str, str]

    @property
    def required(self) -> tuple[str, ...]:
        return self.train + self.test


@dataclass(frozen=True)
class Layout:
    """One data set: the forms it comes in (in the order in which they are looked for) and its labels.

    label_key, names_key: where labels stand in a python batch, and class names in the python meta file;
    label_bytes, label_column: how many label bytes open a binary record, and which of them is meant;
    names_file: class names of the binary form; classes: the names where the files bring none;
    mean, std: of the official training images; checksum: `split.checksum` of the official content.
    """

    forms: tuple[Form, ...]
    label_key: str
    names_key: str
    label_bytes: int
    label_column: int
    names_file: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    checksum: str


PYTHON_10 = Form(
    kind="python",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    archive_md5="c58f30108f718f92721af3b95e74349a",
    train=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    test=("test_batch",),
    names=("batches.meta",),
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
)

# The MD5s of the binary files of CIFAR-10 were computed by converting the python files; the same conversion
# gives the published MD5s of CIFAR-100's.
BINARY_10 = Form(
    kind="binary",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
    train=(
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ),
    test=("test_batch.bin",),
    names=("batches.meta.txt",),
    md5={
        "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
        "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
        "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
        "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
        "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
        "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    },
)

PYTHON_100 = Form(
    kind="python",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
    train=("train",),
    test=("test",),
    names=("meta",),
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
)

BINARY_100 = Form(
    kind="binary",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    archive_md5="03b5dce01913d631647c71ecec9e9cb8",
    train=("train.bin",),
    test=("test.bin",),
    names=("fine_label_names.txt", "coarse_label_names.txt"),
    md5={
        "train.bin": "6172c7755cfe09b2fe270c85cebc1b15",
        "test.bin": "4499cfba6c016c1be1438163640a0898",
    },
)

MEAN_100, STD_100 = (0.50707516, 0.48654887, 0.44091784), (0.26733429, 0.25643846, 0.27615047)

CIFAR: dict[str, Layout] = {
    "cifar10": Layout(
        forms=(PYTHON_10, BINARY_10),
        label_key="labels",
        names_key="label_names",
        label_bytes=1,
        label_column=0,
        names_file="batches.meta.txt",
        classes=classes.CIFAR10,
        mean=(0.49139968, 0.48215841, 0.44653091),
        std=(0.24703223, 0.24348513, 0.26158784),
        checksum="9048fcbac9c08a64d57a7c5a5a66750a974ad4eab380914df129f7e223d823df",
    ),
    "cifar100": Layout(
        forms=(PYTHON_100, BINARY_100),
        label_key="fine_labels",
        names_key="fine_label_names",
        label_bytes=2,
        label_column=1,
        names_file="fine_label_names.txt",
        classes=classes.CIFAR100,
        mean=MEAN_100,
        std=STD_100,
        checksum="283e80e15e3841cce98044da5929d8557a88969bfd2d77d1c1db7bb78ba419f7",
    ),
    "cifar100-coarse": Layout(
        forms=(PYTHON_100, BINARY_100),
        label_key="coarse_labels",
        names_key="coarse_label_names",
        label_bytes=2,
        label_column=0,
        names_file="coarse_label_names.txt",
        classes=classes.CIFAR100_COARSE,
        mean=MEAN_100,
        std=STD_100,
        checksum="0f95e64593b3cf30d3d67fee0658d2e5d1320e69f38b3b3d01c7e718ca2754d4",
    ),
}
