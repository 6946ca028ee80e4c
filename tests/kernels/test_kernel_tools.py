"""What the CPU's kernels share: threads that take blocks, and memory that is used again."""

import gc
import threading

import numpy as np
import pytest

from minise.errors import ConfigError
from minise.kernels import memory
from minise.kernels.threads import Crew, crew, map_blocks, scratch, set_threads


@pytest.fixture
def three():
    made = Crew(3)
    yield made
    made.dismiss()


def test_a_crew_gives_results_in_order_and_works_side_by_side(three):
    together = threading.Barrier(3, timeout=10)
    assert three.map(lambda i: (together.wait(), i)[1], 3) == [0, 1, 2]
    assert three.map(lambda i: i * i, 50) == [i * i for i in range(50)]
    assert three.map(lambda i: i, 0) == []
    assert Crew(1).map(lambda i: threading.current_thread(), 3) == [threading.current_thread()] * 3


def test_an_error_in_a_block_comes_out_once_all_blocks_have_ended(three):
    ended = []

    def work(i):
        if i == 4:
            raise KeyError("fifth")
        ended.append(i)

    with pytest.raises(KeyError, match="fifth"):
        three.map(work, 10)
    assert sorted(ended) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert three.map(lambda i: i, 4) == [0, 1, 2, 3]


def test_a_crew_can_be_asked_from_within_its_work(three):
    assert three.map(lambda i: sum(three.map(lambda j: i * j, 4)), 5) == [6 * i for i in range(5)]


@pytest.mark.parametrize("n", [0, 1, 2, 7, 100])
def test_blocks_cover_everything_once(n):
    blocks = map_blocks(lambda block: list(range(n)[block]), n, 1 << 20)
    assert [i for block in blocks for i in block] == list(range(n))


def test_threads_are_counted_from_one():
    before = crew().size
    with pytest.raises(ConfigError, match="threads: found 0, expected at least 1"):
        set_threads(0)
    with pytest.raises(ConfigError, match="threads: found 99999, expected at most 1024"):
        set_threads(99999)
    assert crew().size == before


def test_scratch_is_the_same_memory_again():
    a = scratch("test", (3, 4), np.float32)
    b = scratch("test", (2, 2), np.float64)
    assert np.shares_memory(a, b)
    assert (b.shape, b.dtype) == ((2, 2), np.float64)


def test_memory_is_used_again_when_its_last_view_is_gone():
    shape = (memory.SMALL, 3)
    first = memory.empty(shape, np.float32)
    assert (first.shape, first.dtype, first.flags["C_CONTIGUOUS"]) == (shape, np.float32, True)
    assert first.flags["WRITEABLE"]
    address, view = first.ctypes.data, first[5:, 1]
    first[...] = 7
    del first
    gc.collect()
    other = memory.empty(shape, np.float32)
    assert other.ctypes.data != address
    assert (view == 7).all()
    del view
    gc.collect()
    assert memory.empty(shape, np.float32).ctypes.data == address


def test_little_memory_is_kept(monkeypatch):
    monkeypatch.setattr(memory, "KEPT_BYTES", 3 * memory.SMALL)
    for size in (1, 2, 2, 1):
        arrays = [memory.empty((size * memory.SMALL,), np.uint8) for _ in range(3)]
        del arrays
        gc.collect()
        assert memory._kept <= 3 * memory.SMALL
        assert memory._kept == sum(size * len(blocks) for size, blocks in memory._waiting.items())


def test_empty_arrays_are_arrays():
    assert memory.empty((0, 3), np.float32).shape == (0, 3)
    assert memory.empty((), np.float64).shape == ()
