"""`load`: where it looks, in which order, what it says when there is nothing, and limits."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_files import (
    BINARY_10,
    CIFAR,
    PER_FILE,
    PYTHON_10,
    PYTHON_100,
    batch,
    py2_pickle,
    small_set,
    write_archive,
    write_folder,
)

from minise.data import DATASETS, Dataset, Split, load, locate, places, verify
from minise.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def world(tmp_path, monkeypatch):
    """A user with an empty cache folder, no environment variables and no checkout."""
    for name in ("MINISE_DATA_DIR", "MINISE_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(places, "checkout_folder", lambda: None)
    return tmp_path


def test_a_folder_that_is_given_is_the_only_place(world):
    write_folder(PYTHON_10, world / "cache")
    with pytest.raises(
        DataError, match=f"^cifar10 is not in {world / 'given'}; get it with `minise data fetch"
    ):
        load("cifar10", data_dir=world / "given", download=False)
    folder = write_folder(PYTHON_10, world / "given")
    assert load("cifar10", data_dir=world / "given").source == str(folder)


def test_the_environment_variable_is_the_only_place(world, monkeypatch):
    write_folder(PYTHON_10, world / "cache")
    monkeypatch.setenv("MINISE_DATA_DIR", str(world / "env"))
    with pytest.raises(DataError, match=f"is not in {world / 'env'};"):
        load("cifar10", download=False)
    folder = write_folder(PYTHON_10, world / "env")
    assert load("cifar10").source == str(folder)


def test_a_folder_that_is_given_goes_before_the_variable(world, monkeypatch):
    write_folder(PYTHON_10, world / "env")
    monkeypatch.setenv("MINISE_DATA_DIR", str(world / "env"))
    folder = write_folder(PYTHON_10, world / "given")
    assert load("cifar10", data_dir=str(world / "given")).source == str(folder)


def test_the_checkout_goes_before_the_cache(world, monkeypatch):
    cached = write_folder(PYTHON_10, world / "cache")
    assert load("cifar10").source == str(cached)
    monkeypatch.setattr(places, "checkout_folder", lambda: world / "checkout")
    assert load("cifar10").source == str(cached)
    own = write_folder(PYTHON_10, world / "checkout")
    assert load("cifar10").source == str(own)


def test_nothing_found_names_every_place_and_every_way_out(world, monkeypatch):
    monkeypatch.setattr(places, "checkout_folder", lambda: world / "checkout")
    with pytest.raises(DataError) as caught:
        load("cifar100-coarse", download=False)
    for part in (
        f"{world}/checkout, {world}/cache",
        "`minise data fetch cifar100`",
        "--data-dir",
        "MINISE_DATA_DIR",
    ):
        assert part in str(caught.value)


def test_folders_go_before_archives_and_python_before_binary(world):
    for write, form in (
        (write_archive, BINARY_10),
        (write_archive, PYTHON_10),
        (write_folder, BINARY_10),
        (write_folder, PYTHON_10),
    ):
        path = write(form, world / "d")
        assert locate("cifar10", world / "d") == path
        data = load("cifar10", data_dir=world / "d")
        assert (data.source, data.official) == (str(path), False)


@pytest.mark.parametrize("write", [write_folder, write_archive])
@pytest.mark.parametrize("form", [PYTHON_10, BINARY_10])
def test_the_folder_or_archive_itself_may_be_given(world, write, form):
    path = write(form, world)
    assert load("cifar10", data_dir=path).source == str(path)


def test_the_folder_itself_may_have_another_name(world):
    path = write_folder(PYTHON_10, world).rename(world / "mine")
    assert load("cifar10", data_dir=path).source == str(path)


def test_a_relative_folder_and_a_home_folder(world, monkeypatch):
    write_folder(PYTHON_10, world)
    monkeypatch.chdir(world)
    assert load("cifar10", data_dir=".").source == PYTHON_10.folder
    monkeypatch.setenv("HOME", str(world))
    monkeypatch.setenv("USERPROFILE", str(world))
    assert load("cifar10", data_dir="~").source == str(world / PYTHON_10.folder)


def test_some_other_file_as_the_place(world):
    (world / "x.zip").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"x.zip: is a file, expected a folder or one named cifar-10-python.tar.gz"
    ):
        load("cifar10", data_dir=world / "x.zip")


def test_what_is_found_incomplete_is_an_error_not_a_reason_to_download(world):
    folder = write_folder(PYTHON_10, world)
    (folder / "data_batch_4").unlink()
    with pytest.raises(DataError, match="incomplete, data_batch_4 is missing"):
        load("cifar10", data_dir=world)


def test_the_checkout_is_known_by_its_files(tmp_path, monkeypatch):
    monkeypatch.undo()
    package = tmp_path / "minise"
    package.mkdir()
    assert places.checkout_folder(package) is None
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "data").mkdir()
    assert places.checkout_folder(package) is None
    (tmp_path / "data" / "README.md").touch()
    assert places.checkout_folder(package) == tmp_path / "data"


def test_the_cache_is_where_each_system_has_it(monkeypatch):
    monkeypatch.undo()
    home = Path.home()
    assert places.cache_folder("linux", {}) == home / ".cache/minise"
    assert places.cache_folder("linux", {"XDG_CACHE_HOME": "/x"}) == Path("/x/minise")
    assert places.cache_folder("darwin", {"XDG_CACHE_HOME": "/x"}) == home / "Library/Caches/minise"
    assert places.cache_folder("win32", {"LOCALAPPDATA": "/l"}) == Path("/l/minise")


# ---- what comes out --------


def test_a_limit_takes_the_first_images_and_leaves_the_checksum(world):
    write_folder(PYTHON_10, world)
    full = load("cifar10", data_dir=world)
    some = load("cifar10", data_dir=world, limit_train=4, limit_test=2)
    assert (len(full.train), len(full.test)) == (5 * PER_FILE, PER_FILE)
    assert (len(some.train), len(some.test)) == (4, 2)
    np.testing.assert_array_equal(some.train.images, full.train.images[:4])
    np.testing.assert_array_equal(some.train.labels, full.train.labels[:4])
    assert some.checksum == full.checksum


@pytest.mark.parametrize("name", ["cifar10", "shapes10"])
@pytest.mark.parametrize("option", ["limit_train", "limit_test"])
def test_limits_that_cannot_be(world, name, option):
    write_folder(PYTHON_10, world)
    for limit in (0, -1):
        with pytest.raises(ConfigError, match=f"{option} {limit}: expected a number >= 1"):
            load(name, data_dir=world, **{option: limit})
    with pytest.raises(ConfigError, match=rf"{option} 50001: {name} has only \d+ such images"):
        load(name, data_dir=world, **{option: 50_001})


def test_an_unknown_name_lists_the_choices():
    with pytest.raises(
        ConfigError, match="unknown data set 'mnist'; choose from cifar10, cifar100, cifar100-c"
    ):
        load("mnist")


def test_official_is_a_matter_of_the_content(world, monkeypatch):
    write_folder(PYTHON_10, world)
    found = load("cifar10", data_dir=world)
    assert found.official is False
    monkeypatch.setitem(CIFAR, "cifar10", replace(small_set("cifar10"), checksum=found.checksum))
    assert load("cifar10", data_dir=world).official is True
    (world / PYTHON_10.folder / "test_batch").write_bytes(py2_pickle(batch(PYTHON_10, "other")))
    assert load("cifar10", data_dir=world).official is False


def test_the_statistics_are_float32(world):
    write_folder(PYTHON_10, world)
    data = load("cifar10", data_dir=world)
    for values in (data.mean, data.std):
        assert (values.dtype, values.shape) == (np.float32, (3,))
    np.testing.assert_allclose(data.std, [0.24703, 0.24349, 0.26159], atol=1e-5)


def test_the_table_says_what_there_is():
    assert {name: len(spec.classes) for name, spec in DATASETS.items()} == {
        "cifar10": 10,
        "cifar100": 100,
        "cifar100-coarse": 20,
        "shapes10": 10,
    }
    assert [name for name, spec in DATASETS.items() if not spec.downloadable] == ["shapes10"]


def test_a_split_checks_what_it_is_given():
    images, labels = np.zeros((2, 3, 32, 32), np.uint8), np.zeros(2, np.int64)
    assert len(Split(images, labels).take(1)) == 1
    for bad in ((images[0], labels), (images.astype(np.float32), labels), (images, labels[:1])):
        with pytest.raises(DataError, match="a split holds uint8 images"):
            Split(*bad)


# ---- locate and verify --------


def test_locate_finds_and_reads_nothing(world):
    assert locate("cifar10", world) is None
    assert locate("shapes10", world) is None
    (world / PYTHON_100.folder).mkdir()
    assert locate("cifar100-coarse", world) == world / PYTHON_100.folder


def test_verify_compares_every_file_of_every_form(world, monkeypatch):
    monkeypatch.setitem(CIFAR, "cifar10", small_set("cifar10"))
    python, binary = write_folder(PYTHON_10, world), write_folder(BINARY_10, world)
    write_archive(PYTHON_10, world)
    (python / "data_batch_3").write_bytes(b"changed")
    (binary / "test_batch.bin").unlink()
    checks = {check.path: check for check in verify("cifar10", world)}
    assert len(checks) == 7 + 7 + 1
    wrong = {path.name: (check.found is None) for path, check in checks.items() if not check.ok}
    assert wrong == {"data_batch_3": False, "test_batch.bin": True}
    assert checks[world / PYTHON_10.archive].ok


def test_verify_knows_no_md5_of_the_binary_names(world):
    write_folder(BINARY_10, world)
    last = verify("cifar10", world)[-1]
    assert (last.path.name, last.expected, last.ok) == ("batches.meta.txt", None, True)


def test_verify_of_nothing(world):
    with pytest.raises(DataError, match="cifar10 is not in"):
        verify("cifar10", world)
    assert verify("shapes10", world) == []


def test_a_cache_folder_does_not_appear_by_looking(world):
    with pytest.raises(DataError):
        load("cifar10", download=False)
    assert os.listdir(world) == []


SOUND = {"train": 30, "test": 25, "low": 0, "high": 3, "mean": (0.5,) * 3, "std": (0.2,) * 3, "checksum": "x"}


def small(request, **changes):
    """A data set of the user's of three classes."""
    given = SOUND | changes
    splits = (
        Split(
            np.zeros((given[part], 3, 32, 32), np.uint8),
            np.arange(given[part]) % given["high"] + given["low"],
        )
        for part in ("train", "test")
    )
    figures = (np.array(given[part], np.float32) for part in ("mean", "std"))
    return Dataset(request.name, *splits, ("a", "b", "c"), *figures, given["checksum"], None, "made up")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low": -1}, "train has the label -1, expected 0 to 2 of 3 classes"),
        ({"high": 4}, "train has the label 3, expected 0 to 2"),
        ({"test": 0}, "test has no images"),
        ({"train": 0}, "train has no images"),
        ({"std": (0.2, 0, 0.2)}, "std is .*, expected three positive numbers"),
        ({"std": (0.2,)}, "std is .*, expected three positive numbers"),
        ({"mean": (np.nan, 0, 0)}, "mean is .*, expected three finite numbers"),
        ({"checksum": None}, "checksum is None, expected text"),
    ],
)
def test_a_data_set_of_the_users_is_checked_before_anything_begins(changes, words, monkeypatch):
    monkeypatch.setitem(
        DATASETS, "rare", replace(DATASETS["shapes10"], load=lambda request: small(request, **changes))
    )
    with pytest.raises(DataError, match=f"^data set rare: {words}"):
        load("rare")


def test_a_loader_that_gives_no_data_set(monkeypatch):
    monkeypatch.setitem(DATASETS, "rare", replace(DATASETS["shapes10"], load=lambda request: None))
    with pytest.raises(DataError, match="data set rare: its load gave a NoneType, expected a Dataset"):
        load("rare")
    with pytest.raises(DataError, match="a split's images are a list, expected an array"):
        Split([1], np.zeros(1, np.int64))


def test_a_default_is_no_demand(monkeypatch):
    monkeypatch.setitem(DATASETS, "rare", replace(DATASETS["shapes10"], load=small))
    assert len(load("rare", at_most=1000).test) == 25
    assert len(load("rare", at_most=10, limit_test=20).test) == 20
    assert len(load("shapes10", at_most=10, limit_test=20).train) == 10
    with pytest.raises(ConfigError, match="limit_test 1000: rare has only 25 such images"):
        load("rare", limit_test=1000)
