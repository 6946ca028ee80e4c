"""What the CPU's kernels share: threads that take blocks, and memory that is used again."""

import gc
import threading

import numpy as np
import pytest

from minise.backend import use_backend
from minise.errors import ConfigError
from minise.kernels import memory, threads
from minise.kernels.threads import (
    Crew,
    crew,
    granted_cores,
    map_blocks,
    one_blas_thread,
    scratch,
    set_threads,
)
from minise.models import build
from minise.optim import SGD
from minise.tape import Tensor
from minise.train import evaluate, train_step


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


GROUPS = {
    "none": ({"proc/self/cgroup": "0::/"}, np.inf),
    "v2": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
    "v2, none": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}, np.inf),
    "a group within a group": (
        {
            "proc/self/cgroup": "0::/user/service",
            "sys/fs/cgroup/user/cpu.max": "200000 100000",
            "sys/fs/cgroup/user/service/cpu.max": "900000 100000",
        },
        2,
    ),
    "v1, as a container sees it": (
        {
            "proc/self/cgroup": "9:cpuset:/docker/1a\n4:cpu,cpuacct:/docker/1a\n0::/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        0.5,
    ),
    "v1, none": (
        {
            "proc/self/cgroup": "1:cpu:/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
        np.inf,
    ),
    "not Linux": ({}, np.inf),
    "nonsense": ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1 0"}, np.inf),
}


@pytest.mark.parametrize(("files", "granted"), GROUPS.values(), ids=GROUPS)
def test_the_limits_of_cgroups_count(files, granted, tmp_path, monkeypatch):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert granted_cores(tmp_path) == granted
    monkeypatch.setattr(threads, "granted_cores", lambda: granted)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert threads.available_threads() == {np.inf: 64, 0.5: 1, 1.5: 2, 2: 2}[granted]


def blas_threads():
    return [library["num_threads"] for library in threads.blas().info()]


@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_the_blas_has_its_threads_again_after_each_call(backend):
    x, y = np.ones((4, 3, 32, 32), np.float32), np.zeros(4, int)
    model = build("convnet")
    with threads.blas().limit(limits=2), use_backend(backend):
        before = blas_threads()
        assert before
        assert set(before) != {1}
        model(Tensor(x))
        assert blas_threads() == before
        train_step(model, SGD(model.named_parameters(), lr=0.1), x, y)
        evaluate(model, [(x, y)])
        set_threads(crew().size)
        assert blas_threads() == before
        inside = crew().map(lambda i: blas_threads(), 3)
        assert {n for found in inside for n in found} == {1}
        with one_blas_thread, one_blas_thread:
            assert set(blas_threads()) == {1}
        assert blas_threads() == before


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
