"""The readers of CIFAR's files: both forms, from folders and archives, sound and damaged."""

import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from cifar_files import (
    BINARY_10,
    BINARY_100,
    CIFAR,
    PER_FILE,
    PYTHON_10,
    PYTHON_100,
    archive_bytes,
    batch,
    files,
    py2_pickle,
    record_bytes,
    write_archive,
    write_folder,
)

from minise.data import files as files_module
from minise.data.cifar import read
from minise.data.places import find
from minise.data.split import checksum
from minise.errors import DataError

FORMS = [("cifar10", PYTHON_10), ("cifar10", BINARY_10)] + [
    (name, form) for name in ("cifar100", "cifar100-coarse") for form in (PYTHON_100, BINARY_100)
]
KEYS = {"cifar10": b"labels", "cifar100": b"fine_labels", "cifar100-coarse": b"coarse_labels"}
NAMES = {"cifar10": ("n0", "n9"), "cifar100": ("f0", "f99"), "cifar100-coarse": ("c0", "c19")}
WRITERS = {"folder": write_folder, "archive": write_archive}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_reads_images_labels_and_names_in_the_order_of_the_files(tmp_path, name, form, write):
    train, test, names = read(CIFAR[name], form, WRITERS[write](form, tmp_path))
    for split, parts in ((train, form.train), (test, form.test)):
        batches = [batch(form, file.removesuffix(".bin")) for file in parts]
        wanted = np.concatenate([content[b"data"] for content in batches]).reshape(-1, 3, 32, 32)
        np.testing.assert_array_equal(split.images, wanted)
        np.testing.assert_array_equal(split.labels, np.concatenate([c[KEYS[name]] for c in batches]))
    assert len(train) == PER_FILE * len(form.train)
    assert (names[0], names[-1]) == NAMES[name]
    assert len(names) == len(CIFAR[name].classes)


def test_the_checksum_does_not_depend_on_the_form(tmp_path):
    sums = {
        checksum(*read(CIFAR["cifar10"], form, write(form, tmp_path / str(i)))[:2])
        for i, (form, write) in enumerate([(f, w) for f in (PYTHON_10, BINARY_10) for w in WRITERS.values()])
    }
    assert len(sums) == 1


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_without_name_files_the_names_are_the_built_in_ones(tmp_path, name, form):
    content = {file: data for file, data in files(form).items() if file in form.required}
    assert read(CIFAR[name], form, write_folder(form, tmp_path, content))[2] == CIFAR[name].classes


def damaged(form, file, data):
    return files(form) | {file: data}


def cifar10_batch(**changes):
    content = batch(PYTHON_10, "data_batch_2") | {key.encode(): value for key, value in changes.items()}
    return py2_pickle({key: value for key, value in content.items() if value is not ...})


PIXELS = batch(PYTHON_10, "data_batch_2")[b"data"]
BAD_PYTHON = {
    "cut off": (cifar10_batch()[:5000], "cut off"),
    "empty": (b"", "not a pickle"),
    "a label too large": (cifar10_batch(labels=[1, 10, 3]), "has the label 10, expected 0 to 9"),
    "a label below 0": (cifar10_batch(labels=[1, -1, 3]), "has the label -1, expected 0 to 9"),
    "a label too few": (cifar10_batch(labels=[1, 2]), "has 3 images and 2 labels"),
    "labels that are no numbers": (cifar10_batch(labels=[1, 2, None]), "'labels' is not a list of whole"),
    "labels that are true or false": (cifar10_batch(labels=[True, False, True]), "'labels' is not a list"),
    "labels that are no list": (cifar10_batch(labels=b"123"), "'labels' is not a list of whole"),
    "no labels": (cifar10_batch(labels=...), "has no 'labels'"),
    "no images": (cifar10_batch(data=...), "has no 'data'"),
    "zero images": (cifar10_batch(data=PIXELS[:0], labels=[]), "has 0 images"),
    "images too short": (cifar10_batch(data=PIXELS[:, 1:]), r"'data' is uint8 \(3, 3071\), expected uint8"),
    "images as bytes": (cifar10_batch(data=b"abc"), "'data' is bytes, expected uint8"),
}


@pytest.mark.parametrize("what", BAD_PYTHON)
def test_a_bad_python_file_is_named_in_one_line(tmp_path, what):
    data, message = BAD_PYTHON[what]
    folder = write_folder(PYTHON_10, tmp_path, damaged(PYTHON_10, "data_batch_2", data))
    with pytest.raises(DataError, match=f"data_batch_2: .*{message}"):
        read(CIFAR["cifar10"], PYTHON_10, folder)


def test_python_images_of_another_dtype_are_refused(tmp_path):
    import pickle

    data = pickle.dumps(batch(PYTHON_10, "x") | {b"data": PIXELS.astype(np.int16)}, 2)
    folder = write_folder(PYTHON_10, tmp_path, damaged(PYTHON_10, "test_batch", data))
    with pytest.raises(DataError, match=r"test_batch: 'data' is int16 \(3, 3072\), expected uint8"):
        read(CIFAR["cifar10"], PYTHON_10, folder)


BINARY = record_bytes(batch(BINARY_10, "test_batch"))
BAD_BINARY = {
    "cut off": (BINARY[:-1], "has 9218 bytes, expected records of 3073"),
    "empty": (b"", "has 0 bytes"),
    "another data set's records": (record_bytes(batch(BINARY_100, "test")), "has 9222 bytes"),
    "a label too large": (b"\x0a" + BINARY[1:], "has the label 10, expected 0 to 9"),
}


@pytest.mark.parametrize("what", BAD_BINARY)
def test_a_bad_binary_file_is_named_in_one_line(tmp_path, what):
    data, message = BAD_BINARY[what]
    folder = write_folder(BINARY_10, tmp_path, damaged(BINARY_10, "test_batch.bin", data))
    with pytest.raises(DataError, match=f"test_batch.bin: {message}"):
        read(CIFAR["cifar10"], BINARY_10, folder)


BAD_NAMES = {
    "too few": (PYTHON_10, py2_pickle({b"label_names": [b"a"] * 9}), "has 9 class names, expected 10"),
    "none": (PYTHON_10, py2_pickle({}), "has no list of class names 'label_names'"),
    "numbers": (PYTHON_10, py2_pickle({b"label_names": [1] * 10}), "has no list of class names"),
    "control": (
        PYTHON_10,
        py2_pickle({b"label_names": [b"\x1b[2J"] * 10}),
        r"has '\\x1b\[2J' as a class name",
    ),
    "empty name": (PYTHON_10, py2_pickle({b"label_names": [b""] * 10}), "has '' as a class name"),
    "too many lines": (BINARY_10, b"a\n" * 11, "has 11 class names, expected 10"),
    "no text": (BINARY_10, b"\x00\n" * 10, "as a class name, expected a word"),
}


@pytest.mark.parametrize("what", BAD_NAMES)
def test_bad_class_names_are_refused(tmp_path, what):
    form, data, message = BAD_NAMES[what]
    folder = write_folder(form, tmp_path, damaged(form, form.names[0], data))
    with pytest.raises(DataError, match=f"{form.names[0]}: .*{message}"):
        read(CIFAR["cifar10"], form, folder)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_missing_file_is_named(tmp_path, name, form, write):
    content = files(form)
    del content[form.test[0]]
    path = WRITERS[write](form, tmp_path, content)
    with pytest.raises(DataError, match=f"incomplete, .*{form.test[0]} is missing"):
        read(CIFAR[name], form, path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    folder = write_folder(PYTHON_10, tmp_path)
    (folder / "test_batch").chmod(0)
    with pytest.raises(DataError, match=r"test_batch: cannot be read \(Permission denied\)"):
        read(CIFAR["cifar10"], PYTHON_10, folder)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    folder = write_folder(PYTHON_10, tmp_path)
    os.truncate(folder / "data_batch_1", files_module.MAX_BYTES + 1)  # a hole: it takes no room
    with pytest.raises(DataError, match="data_batch_1: has 400000001 bytes, expected at most 400000000"):
        read(CIFAR["cifar10"], PYTHON_10, folder)


def hostile_archive(path, change):
    """The archive of CIFAR-10 with `change(member, data)` -> (member, data) applied to each member."""
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files(PYTHON_10).items():
            member = tarfile.TarInfo(f"{PYTHON_10.folder}/{name}")
            member.size = len(data)
            member, data = change(member, data)
            tar.addfile(member, io.BytesIO(data) if data else None)
    return path


def as_link(member, data):
    member.type, member.size, member.linkname = tarfile.SYMTYPE, 0, "/etc/passwd"
    return member, b""


def as_device(member, data):
    member.type, member.size = tarfile.CHRTYPE, 0
    return member, b""


def as_absolute(member, data):
    member.name = f"/{member.name}"
    return member, data


def as_climbing(member, data):
    member.name = f"../{member.name}"
    return member, data


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (as_link, "is not a regular file"),
        (as_device, "is not a regular file"),
        (as_absolute, "incomplete"),
        (as_climbing, "incomplete"),
    ],
)
def test_archive_members_that_are_not_what_they_should_be(tmp_path, change, message):
    path = hostile_archive(tmp_path / PYTHON_10.archive, change)
    with pytest.raises(DataError, match=f"{path}: .*{message}"):
        read(CIFAR["cifar10"], PYTHON_10, path)


def test_an_archive_that_names_its_members_with_a_dot(tmp_path):
    def dotted(member, data):
        member.name = f"./{member.name}"
        return member, data

    path = hostile_archive(tmp_path / PYTHON_10.archive, dotted)
    assert len(read(CIFAR["cifar10"], PYTHON_10, path)[0]) == 5 * PER_FILE


ARCHIVE = archive_bytes(PYTHON_10)
BAD_ARCHIVES = {
    "empty": b"",
    "text": b"<html>404</html>",
    "cut off": ARCHIVE[: len(ARCHIVE) // 2],
    "without its checksum": ARCHIVE[:-8],
    "with a wrong checksum": ARCHIVE[:-8] + bytes(8),
    "a byte changed": ARCHIVE[:20000] + bytes([ARCHIVE[20000] ^ 1]) + ARCHIVE[20001:],
    "gzip of no tar": gzip.compress(b"hello" * 1000),
    "tar cut off": gzip.compress(gzip.decompress(ARCHIVE)[:30000]),
    "tar with a damaged header": gzip.compress(
        gzip.decompress(ARCHIVE).replace(b"data_batch_3", b"data_batch_X")
    ),
    "nothing in it": gzip.compress(bytes(10240)),
}


@pytest.mark.parametrize("what", BAD_ARCHIVES)
def test_a_damaged_archive_is_named_in_one_line(tmp_path, what):
    path = tmp_path / PYTHON_10.archive
    path.write_bytes(BAD_ARCHIVES[what])
    with pytest.raises(DataError, match=f"^{path}: ") as caught:
        read(CIFAR["cifar10"], PYTHON_10, path)
    assert "\n" not in str(caught.value)


def test_a_gzip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "MAX_BYTES", 50_000)
    path = write_archive(PYTHON_10, tmp_path)
    with pytest.raises(DataError, match="unpacks to more than 50000 bytes"):
        read(CIFAR["cifar10"], PYTHON_10, path)


def test_an_archive_of_countless_members_is_not_listed(tmp_path):
    content = {f"x{i}": b"" for i in range(1001)}
    with pytest.raises(DataError, match="has more than 1000 members"):
        read(CIFAR["cifar10"], PYTHON_10, write_archive(PYTHON_10, tmp_path, content))


def test_an_archive_that_was_unpacked_on_the_way_is_read_by_its_content(tmp_path):
    path = write_archive(PYTHON_10, tmp_path)
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert len(read(CIFAR["cifar10"], PYTHON_10, path)[0])
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a sound"):
        read(CIFAR["cifar10"], PYTHON_10, path)


def test_a_whole_form_is_taken_before_one_that_lacks_files(tmp_path):
    write_archive(PYTHON_10, tmp_path)
    (tmp_path / PYTHON_10.folder).mkdir()
    found = find(CIFAR["cifar10"], tmp_path)
    assert found.path == tmp_path / PYTHON_10.archive
