"""The generated data set: the same everywhere, balanced, and not to be told by colour or position."""

import numpy as np
import pytest
from image_statistics import channel_statistics

from minise.data import load, shapes10
from minise.data.sdf import SHAPES
from minise.data.split import checksum
from minise.errors import ConfigError


@pytest.fixture(scope="module")
def train():
    return shapes10.generate("train", 3000)


def test_has_cifars_form(train):
    assert (train.images.dtype, train.images.shape) == (np.uint8, (3000, 3, 32, 32))
    assert train.images.flags.c_contiguous
    assert (train.images.min(), train.images.max()) == (0, 255)


def test_is_the_same_on_every_machine():
    """Pinned: should it ever change, results on shapes10 cannot be compared any more: say so to its users."""
    data = load("shapes10", limit_train=100, limit_test=50)
    assert data.checksum == "5b49b43752fdea522ff53713e49451204bbc6865e2ce4db9fdc2b83b3fe296cb"


def test_every_block_has_as_many_images_of_each_class_in_random_order(train):
    for start in (0, 1000, 2000):
        np.testing.assert_array_equal(np.bincount(train.labels[start : start + 1000]), np.full(10, 100))
    assert len(np.unique(train.labels[:50])) == 10
    assert not np.array_equal(train.labels[:1000], train.labels[1000:2000])


@pytest.mark.parametrize("n", [1, 999, 1000, 1001])
def test_image_i_is_the_same_however_many_are_asked_for(train, n):
    some = shapes10.generate("train", n)
    np.testing.assert_array_equal(some.images, train.images[:n])
    np.testing.assert_array_equal(some.labels, train.labels[:n])


def test_no_two_images_are_the_same(train):
    test = shapes10.generate("test", 1000)
    other = shapes10.generate("train", 1000, seed=1)
    images = np.concatenate([train.images, test.images, other.images]).reshape(5000, -1)
    assert len(np.unique(images, axis=0)) == 5000


def test_load_takes_limits_and_the_seed():
    data = load("shapes10", limit_train=20, limit_test=10, seed=3)
    assert (len(data.train), len(data.test), data.official, data.classes) == (20, 10, None, tuple(SHAPES))
    assert data.source == "generated, seed 3"
    assert data.checksum == checksum(shapes10.generate("train", 20, 3), shapes10.generate("test", 10, 3))


def test_a_negative_seed_is_refused():
    with pytest.raises(ConfigError, match="seed -1: expected a number >= 0"):
        load("shapes10", limit_train=1, limit_test=1, seed=-1)


def test_the_constants_are_its_mean_and_deviation(train):
    mean, std = channel_statistics(train.images)
    np.testing.assert_allclose(mean, shapes10.MEAN, atol=0.01)
    np.testing.assert_allclose(std, shapes10.STD, atol=0.01)


def test_neither_colour_nor_brightness_tells_the_class(train):
    """The mean colour of a class, in the middle and overall, is that of all, to within its standard error."""
    for part in (train.images, train.images[:, :, 12:20, 12:20]):
        colours = part.mean(axis=(2, 3))
        error = colours.std(axis=0) / 300**0.5
        for label in range(10):
            away = np.abs(colours[train.labels == label].mean(axis=0) - colours.mean(axis=0)) / error
            assert away.max() < 4, label


def test_a_linear_model_learns_nothing(train):
    """Least squares on 2,000 images, tried on 1,000 others: chance is 10 %."""
    x = train.images.reshape(3000, 3, 16, 2, 16, 2).mean(axis=(3, 5)).reshape(3000, -1) / 255 - 0.5
    x = np.concatenate([x, np.ones((3000, 1))], axis=1)
    targets = np.eye(10)[train.labels]
    gram = x[:2000].T @ x[:2000] + 10 * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, x[:2000].T @ targets[:2000])
    assert ((x[2000:] @ weights).argmax(axis=1) == train.labels[2000:]).mean() < 0.2


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_of_the_common_size(name):
    """Area 1.55 to 2.05, within 1.25 of the origin, float32 in and out."""
    axis = np.linspace(-1.5, 1.5, 301, dtype=np.float32)
    u, v = np.broadcast_arrays(axis[None, :], axis[:, None])
    distance = SHAPES[name](u, v)
    assert (distance.dtype, distance.shape) == (np.float32, (301, 301))
    inside = distance < 0
    assert 1.55 < inside.mean() * 3.01**2 < 2.05
    assert np.hypot(u, v)[inside].max() < 1.25


@pytest.mark.parametrize("name", SHAPES)
def test_a_distance_is_nowhere_longer_than_the_way(name):
    """A signed distance has slope at most 1: else edges would be sharper than asked for."""
    axis = np.linspace(-1.5, 1.5, 301, dtype=np.float32)
    distance = SHAPES[name](*np.broadcast_arrays(axis[None, :], axis[:, None]))
    for direction in (0, 1):
        assert np.abs(np.diff(distance, axis=direction)).max() < 0.01 * 1.01
