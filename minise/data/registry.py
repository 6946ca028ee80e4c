"""The table of data sets, and `load`: from a name to images in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from minise.data import cifar, shapes10
from minise.data.download import fetch
from minise.data.official import CIFAR
from minise.data.places import DataDir, Found, find, looked_in, not_found, search_places
from minise.data.split import Dataset, checksum
from minise.errors import ConfigError, DataError

if TYPE_CHECKING:
    from minise.data.transfer import Progress


@dataclass(frozen=True)
class Request:
    """What `load` was asked for; see there."""

    name: str
    data_dir: DataDir
    mirror: str | None
    limit_train: int | None
    limit_test: int | None
    download: bool
    progress: Progress | None
    seed: int
    at_most: int | None = None

    def within(self, option: str, available: int) -> int:
        """How many of the images of a split to take. Raises ConfigError where more are demanded than there are."""
        limit: int | None = getattr(self, option)
        if limit is None:
            return available if self.at_most is None else min(available, self.at_most)
        if limit > available:
            raise ConfigError(f"{option} {limit}: {self.name} has only {available} such images")
        return limit


@dataclass(frozen=True)
class Spec:
    """A data set that `load` knows: what to say about it, how large it officially is, and how it is had.

    mean, std: (3,), what images are normalised by, on the scale 0 to 1.
    """

    title: str
    classes: tuple[str, ...]
    train: int
    test: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    downloadable: bool
    load: Callable[[Request], Dataset]


def load(
    name: str,
    *,
    data_dir: DataDir = None,
    mirror: str | None = None,
    limit_train: int | None = None,
    limit_test: int | None = None,
    download: bool = True,
    progress: Progress | None = None,
    seed: int = 0,
    at_most: int | None = None,
) -> Dataset:
    """The data set `name` (a key of DATASETS).

    data_dir: where to look, and where to download to; without it, see `places`. mirror, progress: see
    `download.fetch`. limit_train, limit_test: only the FIRST so many images of the split, in the order of the
    files; the checksum is that of the full content all the same (shapes10: of what was drawn). at_most: how many
    to take of a split that has no limit, if there are as many. download:
    whether to download what is found nowhere. seed: of shapes10; the CIFAR sets have no use for it.

    mean and std are the constants of the official training images, whatever the files hold.

    Raises ConfigError for an unknown name or a limit that is not between 1 and what there is; DataError for
    data that is missing or damaged, or cannot be downloaded.
    """
    if name not in DATASETS:
        raise ConfigError(f"unknown data set {name!r}; choose from {', '.join(DATASETS)}")
    for option, limit in (("limit_train", limit_train), ("limit_test", limit_test)):
        if limit is not None and limit < 1:
            raise ConfigError(f"{option} {limit}: expected a number >= 1")
    request = Request(name, data_dir, mirror, limit_train, limit_test, download, progress, seed, at_most)
    dataset = DATASETS[name].load(request)
    if not isinstance(dataset, Dataset):
        raise DataError(f"data set {name}: its load gave a {type(dataset).__name__}, expected a Dataset")
    train, test = dataset.train, dataset.test
    return replace(
        dataset,
        train=train.take(request.within("limit_train", len(train))),
        test=test.take(request.within("limit_test", len(test))),
    )


def _load_cifar(request: Request) -> Dataset:
    name, facts, where = request.name, CIFAR[request.name], request.data_dir
    found = find(facts, where)
    if found is None and not request.download:
        raise not_found(name, where)
    if found is None:
        try:
            folder = fetch(name, search_places(where)[0], mirror=request.mirror, progress=request.progress)
        except DataError as error:
            raise DataError(f"{name} is not in {looked_in(where)}, and not to be had: {error}") from error
        found = Found(facts.forms[0], folder)
    train, test, classes = cifar.read(facts, found.form, found.path)
    content = checksum(train, test)
    return Dataset(
        name=name,
        train=train,
        test=test,
        classes=classes,
        mean=np.array(facts.mean, np.float32),
        std=np.array(facts.std, np.float32),
        checksum=content,
        official=content == facts.checksum,
        source=str(found.path),
    )


def _load_shapes10(request: Request) -> Dataset:
    train = request.within("limit_train", shapes10.TRAIN)
    test = request.within("limit_test", shapes10.TEST)
    splits = shapes10.generate("train", train, request.seed), shapes10.generate("test", test, request.seed)
    return Dataset(
        request.name,
        *splits,
        classes=shapes10.CLASSES,
        mean=np.array(shapes10.MEAN, np.float32),
        std=np.array(shapes10.STD, np.float32),
        checksum=checksum(*splits),
        official=None,
        source=f"generated, seed {request.seed}",
    )


DATASETS: dict[str, Spec] = {
    name: Spec(facts.title, facts.classes, 50_000, 10_000, facts.mean, facts.std, True, _load_cifar)
    for name, facts in CIFAR.items()
}
DATASETS["shapes10"] = Spec(
    title="ten shapes, generated: no download",
    classes=shapes10.CLASSES,
    train=shapes10.TRAIN,
    test=shapes10.TEST,
    mean=shapes10.MEAN,
    std=shapes10.STD,
    downloadable=False,
    load=_load_shapes10,
)
