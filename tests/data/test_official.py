"""The real files. Needs MINISE_DATA_DIR to hold the official python folders."""

import hashlib
import os

import numpy as np
import pytest
from cifar_files import BINARY_10, BINARY_100, PYTHON_10, PYTHON_100, record_bytes, write_folder
from image_statistics import channel_statistics

from minise.data import load, verify
from minise.data.official import CIFAR
from minise.data.unpickle import unpickle

PLACE = os.environ.get("MINISE_DATA_DIR", "")
NAMES = ("cifar10", "cifar100", "cifar100-coarse")

pytestmark = [
    pytest.mark.cifar,
    pytest.mark.skipif(
        not all(os.path.isdir(os.path.join(PLACE, form.folder)) for form in (PYTHON_10, PYTHON_100)),
        reason="MINISE_DATA_DIR does not hold the official CIFAR folders",
    ),
]


@pytest.fixture(scope="module", params=NAMES)
def data(request):
    return load(request.param, data_dir=PLACE, download=False)


def test_content(data):
    n = len(data.classes)
    assert data.official is True
    assert (len(data.train), len(data.test)) == (50_000, 10_000)
    np.testing.assert_array_equal(np.bincount(data.train.labels), np.full(n, 50_000 // n))
    np.testing.assert_array_equal(np.bincount(data.test.labels), np.full(n, 10_000 // n))


def test_class_names_are_the_built_in_ones(data):
    assert data.classes == CIFAR[data.name].classes


def test_statistics_are_the_measured_ones(data):
    mean, std = channel_statistics(data.train.images)
    np.testing.assert_allclose(mean, data.mean, rtol=0, atol=1e-7)
    np.testing.assert_allclose(std, data.std, rtol=0, atol=1e-7)


def test_a_well_known_image():
    """The first test image of CIFAR-10 is a cat, the first training image a frog."""
    data = load("cifar10", data_dir=PLACE, limit_train=1, limit_test=1)
    assert [CIFAR["cifar10"].classes[split.labels[0]] for split in (data.train, data.test)] == ["frog", "cat"]


@pytest.mark.parametrize("name", NAMES)
def test_md5s(name):
    assert all(check.ok and check.expected for check in verify(name, PLACE))


@pytest.mark.parametrize(("python", "binary"), [(PYTHON_10, BINARY_10), (PYTHON_100, BINARY_100)])
def test_the_binary_form_has_the_same_content(tmp_path, python, binary):
    """Records made of the python files have the MD5s of the official binary ones, and load as official."""
    content = {}
    for source, target in zip(python.required, binary.required, strict=True):
        path = os.path.join(PLACE, python.folder, source)
        with open(path, "rb") as file:
            batch = unpickle(file.read(), path)
        content[target] = record_bytes({key.encode(): value for key, value in batch.items()})
        assert hashlib.md5(content[target]).hexdigest() == binary.md5[target]
    write_folder(binary, tmp_path, content)
    assert load("cifar10" if binary is BINARY_10 else "cifar100", data_dir=tmp_path).official is True
