"""Batches: the same whatever the timing, complete, and without a trace when they are dropped."""

import gc
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from minise.data import Augment, Batches, Split, holdout, normalise
from minise.errors import ConfigError

MEAN, STD = np.array([0.5, 0.5, 0.5], np.float32), np.array([0.25, 0.25, 0.25], np.float32)


def split(n, classes=10):
    rng = np.random.default_rng(0)
    return Split(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8), np.arange(n) % classes)


def batches(n=50, size=8, **options):
    return Batches(split(n), size, mean=MEAN, std=STD, **options)


def listed(iterator):
    return [(x.copy(), y.copy()) for x, y in iterator]


def assert_same(one, two):
    assert len(one) == len(two)
    for (x1, y1), (x2, y2) in zip(one, two, strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    assert [thread.name for thread in threading.enumerate() if thread.name == "minise-batches"] == []


@pytest.mark.parametrize("prefetch", [0, 1, 2, 5])
def test_without_shuffling_it_is_the_split_itself(prefetch):
    data = batches(prefetch=prefetch)
    found = listed(data)
    assert len(found) == len(data) == 7
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in found]), normalise(data.split.images, MEAN, STD)
    )
    np.testing.assert_array_equal(np.concatenate([y for _, y in found]), data.split.labels)
    assert {(x.dtype, y.dtype) for x, y in found} == {(np.dtype(np.float32), np.dtype(np.int64))}


@pytest.mark.parametrize(
    ("n", "drop", "count", "last"), [(16, False, 2, 8), (17, False, 3, 1), (17, True, 2, 8)]
)
def test_the_last_batch(n, drop, count, last):
    data = batches(n, drop_last=drop)
    found = listed(data)
    assert len(data) == len(found) == count
    assert len(found[-1][1]) == last


def test_every_image_is_mirrored_in_every_other_epoch():
    data = batches(40, 40, augment=Augment(pad=0))
    as_they_are = normalise(data.split.images, MEAN, STD)
    mirrored = []
    for k in range(1, 5):
        ((x, _),) = data.epoch(k)
        mirrored.append((x == as_they_are[..., ::-1]).all(axis=(1, 2, 3)))
        np.testing.assert_array_equal(x[~mirrored[-1]], as_they_are[~mirrored[-1]])
    assert 8 < mirrored[0].sum() < 32
    np.testing.assert_array_equal(mirrored, [mirrored[0], ~mirrored[0]] * 2)
    ((other, _),) = batches(40, 40, augment=Augment(pad=0), seed=(1,)).epoch(1)
    assert (other != as_they_are).any(axis=(1, 2, 3)).tolist() != mirrored[0].tolist()


def test_the_mirrored_images_stay_with_the_images_when_the_order_changes():
    plain, shuffled = (batches(40, 40, augment=Augment(pad=0), shuffle=s) for s in (False, True))
    ((x, _),), ((y, _),) = plain.epoch(3), shuffled.epoch(3)
    np.testing.assert_array_equal(x[shuffled.order(3)], y)


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    options = {"augment": Augment(cutout=4), "shuffle": True}
    wanted = listed(batches(seed=(1, 2), **options).epoch(3))
    data = batches(seed=(1, 2), prefetch=0, **options)
    listed(data.epoch(0))
    assert_same(listed(data.epoch(3)), wanted)
    for other in (batches(seed=(1, 2), **options).epoch(4), batches(seed=(1, 3), **options).epoch(3)):
        assert not np.array_equal(next(other)[0], wanted[0][0])
        other.close()


def test_timing_changes_nothing():
    data = batches(n=120, augment=Augment(), shuffle=True)
    slow = []
    for x, y in data.epoch(1):
        slow.append((x.copy(), y.copy()))
        time.sleep(0.002)
    one, two = data.epoch(1), data.epoch(1)  # two at once
    both = [(next(one), next(two)) for _ in range(len(data))]
    assert_same([a for a, _ in both], slow)
    assert_same([b for _, b in both], slow)
    one.close()
    two.close()


@pytest.mark.parametrize("start", [0, 3, 6, 7])
def test_an_epoch_can_be_resumed_in_the_middle(start):
    data = batches(augment=Augment(), shuffle=True, seed=(5,))
    assert_same(listed(data.epoch(2, start)), listed(data.epoch(2))[start:])


def test_shuffling_shows_every_image_once():
    data = batches(shuffle=True)
    for k in range(3):
        order = data.order(k)
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
        np.testing.assert_array_equal(np.concatenate([y for _, y in data.epoch(k)]), data.split.labels[order])
    assert not np.array_equal(data.order(0), data.order(1))


def test_seeds_that_differ_in_length_differ():
    assert not np.array_equal(
        batches(shuffle=True, seed=(1,)).order(0), batches(shuffle=True, seed=(1, 0)).order(0)
    )


def test_float64():
    assert next(iter(batches(dtype=np.float64, prefetch=0)))[0].dtype == np.float64


def test_an_empty_split_has_no_batches():
    data = batches(0)
    assert (len(data), listed(data)) == (0, [])


def test_nothing_runs_before_the_first_batch_is_asked_for():
    iterator = batches().epoch(0)
    assert threading.active_count() == 1 or "minise-batches" not in {t.name for t in threading.enumerate()}
    iterator.close()


def test_break_and_exceptions_leave_no_thread():
    for _ in batches(n=200, size=1).epoch(0):
        break
    with suppress(KeyboardInterrupt):
        for _ in batches(n=200, size=1).epoch(0):
            raise KeyboardInterrupt
    iterator = batches(n=200, size=1).epoch(0)
    next(iterator)
    del iterator


def test_an_error_in_the_thread_arrives_here():
    data = batches(n=40)
    object.__setattr__(data.split, "labels", data.split.labels[:20])  # the third batch finds no labels
    iterator = data.epoch(0)
    next(iterator), next(iterator)
    with pytest.raises(IndexError):
        next(iterator)


def test_it_prepares_ahead_but_no_further():
    made = []

    class Noting(Augment):
        def __call__(self, images, rng, **options):
            made.append(len(images))
            return super().__call__(images, rng, **options)

    iterator = batches(n=200, size=1, augment=Noting(), prefetch=3).epoch(0)
    next(iterator)
    deadline = time.monotonic() + 30
    while len(made) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)  # time for more, if it made more
    assert 3 <= len(made) <= 1 + 3 + 1  # used, in the queue, waiting to be put there
    iterator.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "batch size 0: expected a number >= 1"),
        ({"prefetch": -1}, "prefetch -1: expected a number >= 0"),
        ({"seed": ()}, "seed .*: expected one or more numbers"),
        ({"seed": (1, -1)}, "seed .*: expected one or more numbers"),
        ({"size": 51, "drop_last": True}, "batch size 51: larger than the 50 images"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        batches(**options)


# ---- holdout ---------------------------------------------------------------


def test_holdout_divides_every_class_alike():
    whole = split(100)
    train, val = holdout(whole, 20, (3,))
    assert (len(train), len(val)) == (80, 20)
    np.testing.assert_array_equal(np.bincount(val.labels), np.full(10, 2))
    images = np.concatenate([train.images, val.images]).reshape(100, -1)
    np.testing.assert_array_equal(np.unique(images, axis=0), np.unique(whole.images.reshape(100, -1), axis=0))


@pytest.mark.parametrize("size", [1, 13, 27, 99])
def test_holdout_of_any_size_is_as_even_as_can_be(size):
    _, val = holdout(split(100), size, (0,))
    counts = np.bincount(val.labels, minlength=10)
    assert counts.sum() == size
    assert counts.max() - counts.min() <= 1


def test_holdout_keeps_the_proportions_of_unequal_classes():
    whole = split(100)
    whole = Split(whole.images, np.repeat([0, 1, 2], [70, 20, 10]))
    _, val = holdout(whole, 10, (0,))
    np.testing.assert_array_equal(np.bincount(val.labels), [7, 2, 1])


def test_holdout_gives_the_odd_ones_to_the_largest_remainders():
    """9 of 10 + 20 + 34 images: 1, 2 and 4 by the proportions' whole parts, and one more each for 0.81 and 0.78."""
    labels = np.repeat([0, 1, 2], [10, 20, 34])
    data = Split(np.zeros((64, 3, 32, 32), np.uint8), labels)
    for seed in range(5):
        _, val = holdout(data, 9, (seed,))
        assert np.bincount(val.labels).tolist() == [1, 3, 5]


def test_holdout_depends_on_the_seed_alone_and_keeps_the_order():
    whole = split(60)
    one, two, other = holdout(whole, 15, (1,)), holdout(whole, 15, (1,)), holdout(whole, 15, (2,))
    np.testing.assert_array_equal(one[1].images, two[1].images)
    assert not np.array_equal(one[1].images, other[1].images)
    place = {image.tobytes(): i for i, image in enumerate(whole.images)}
    for part in one:
        assert (np.diff([place[image.tobytes()] for image in part.images]) > 0).all()


def test_holdout_of_nothing():
    train, val = holdout(split(10), 0)
    assert (len(train), len(val)) == (10, 0)


@pytest.mark.parametrize("size", [-1, 10, 11])
def test_holdout_of_too_much(size):
    with pytest.raises(ConfigError, match=f"validation size {size}: expected 0 to 9 of 10 images"):
        holdout(split(10), size)
