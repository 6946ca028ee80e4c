"""Augmentation: each step against its plain definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minise.data.augment import Augment, cut_out, normalise, random_crop, reflect
from minise.errors import ConfigError

MEAN, STD = np.array([0.49, 0.48, 0.45], np.float32), np.array([0.25, 0.24, 0.26], np.float32)


def images(n, seed=0, size=32):
    return np.random.default_rng(seed).integers(0, 256, (n, 3, size, size), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalise_is_the_formula(dtype):
    x = np.arange(256, dtype=np.uint8).repeat(12).reshape(1, 3, 32, 32)
    found = normalise(x, MEAN, STD, dtype)
    formula = (x / 255 - MEAN.astype(float)[:, None, None]) / STD.astype(float)[:, None, None]
    assert (found.dtype, found.flags.c_contiguous) == (dtype, True)
    np.testing.assert_allclose(found, formula, rtol=0, atol=4 * np.finfo(dtype).eps * 2)


def test_normalise_makes_any_view_contiguous():
    assert normalise(images(4)[:, :, ::-1, ::2], MEAN, STD).flags.c_contiguous


@given(st.integers(0, 31), st.integers(1, 3))
@settings(deadline=None)
def test_reflect_is_numpys_pad(pad, n):
    wanted = np.pad(images(n), ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="reflect")
    np.testing.assert_array_equal(reflect(images(n), pad), wanted)


def test_a_crop_is_one_of_the_81_windows_and_each_comes_up():
    x = images(1)
    padded = np.pad(x, ((0, 0), (0, 0), (4, 4), (4, 4)), mode="reflect")[0]
    windows = {padded[:, i : i + 32, j : j + 32].tobytes() for i in range(9) for j in range(9)}
    crops = random_crop(x.repeat(1500, axis=0), 4, np.random.default_rng(1))
    assert {crop.tobytes() for crop in crops} == windows
    assert len(windows) == 81


def test_a_flip_mirrors_left_and_right_about_half_of_the_time():
    x = images(400)
    before = x.copy()
    flipped = Augment(pad=0)(x, np.random.default_rng(2), mean=MEAN, std=STD)
    same = (flipped == normalise(x, MEAN, STD)).all(axis=(1, 2, 3))
    mirrored = (flipped == normalise(x[..., ::-1], MEAN, STD)).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 160 < mirrored.sum() < 240
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("side", [1, 2, 7, 8, 32])
def test_cutout_is_a_square_with_its_middle_anywhere(side):
    x = np.ones((2000, 3, 32, 32), np.float32)
    cut_out(x, side, np.random.default_rng(3))
    holes = x == 0
    assert (holes.all(axis=1) == holes.any(axis=1)).all()  # all channels alike
    rows, columns = holes[:, 0].any(axis=2), holes[:, 0].any(axis=1)
    np.testing.assert_array_equal(holes[:, 0], rows[:, :, None] & columns[:, None, :])
    for stretch in (rows, columns):
        lengths = stretch.sum(axis=1)
        assert (np.abs(np.diff(stretch.astype(int), axis=1)).sum(axis=1) <= 2).all()  # without gaps
        assert lengths.max() == side
        assert lengths.min() == min((side + 1) // 2, side)  # at an edge at least half of it is inside
    assert (holes.sum(axis=(1, 2, 3)) <= 3 * side * side).all()
    assert holes[:, 0].any(axis=0).mean() > 0.8  # anywhere


def test_cutout_is_the_mean_colour():
    x = np.full((50, 3, 32, 32), 255, np.uint8)
    found = Augment(pad=0, flip=False, cutout=8)(x, np.random.default_rng(0), mean=MEAN, std=STD)
    assert set(np.unique(found[:, 0])) == {0, normalise(x[:1], MEAN, STD)[0, 0, 0, 0]}


def test_nothing_at_all_is_normalise():
    x = images(5)
    found = Augment(pad=0, flip=False)(x, np.random.default_rng(0), mean=MEAN, std=STD)
    np.testing.assert_array_equal(found, normalise(x, MEAN, STD))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_generators_give_equal_batches(dtype):
    augment, x = Augment(cutout=8), images(16)
    one, two = (augment(x, np.random.default_rng(7), mean=MEAN, std=STD, dtype=dtype) for _ in range(2))
    other = augment(x, np.random.default_rng(8), mean=MEAN, std=STD, dtype=dtype)
    assert (one.dtype, one.shape, one.flags.c_contiguous) == (dtype, (16, 3, 32, 32), True)
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_images_that_come_in_stay_as_they_are():
    x = images(8)
    before = x.copy()
    Augment(cutout=8)(x, np.random.default_rng(0), mean=MEAN, std=STD)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", ["pad", "cutout"])
@pytest.mark.parametrize("value", [-1, 33, 1.5, True, "4", None])
def test_values_that_cannot_be(name, value):
    with pytest.raises(ConfigError, match=f"^{name} .*: expected a whole number from 0 to"):
        Augment(**{name: value})


def test_flip_is_true_or_false():
    with pytest.raises(ConfigError, match="flip 1: expected True or False"):
        Augment(flip=1)
