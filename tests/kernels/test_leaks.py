"""A thousand training steps leave nothing behind, whatever the backend."""

import ctypes
import gc
import sys
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from minise import backend, ops
from minise.kernels.threads import crew
from minise.nn import SE, Activation, BatchNorm, Conv2d, Linear, Module, norm_act
from minise.optim import SGD
from minise.train import train_step

WARM_UP, STEPS = 100, 1000
CPU_BACKENDS = [name for name, found in backend.BACKENDS.items() if found.module != "cupy"]


class MallocInfo(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and newer: ten numbers of bytes or blocks."""

    _fields_ = (("numbers", ctypes.c_size_t * 10),)

    def in_use(self):
        """uordblks and hblkhd: bytes in the heap, and in mappings of their own."""
        return self.numbers[7] + self.numbers[4]


def allocated_by_c():
    """Bytes that the C library has lent out, to compiled loops too; 0 where it cannot say."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if mallinfo2 is None:
        return 0
    mallinfo2.restype = MallocInfo
    return mallinfo2().in_use()


class Tiny(Module):
    """One of everything that has kernels: two kinds of convolution, the fused norm, max pooling."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.first, self.second = Conv2d(3, 16, 3, padding=1, rng=rng), Conv2d(16, 16, 3, padding=1, rng=rng)
        self.bn, self.se = BatchNorm(16), SE(16, act="felu", rng=rng)
        self.classifier = Linear(16, 10, rng=rng)

    def forward(self, x):
        x = ops.max_pool2d(self.first(x), kernel=2)
        x = norm_act(self.second(x), self.bn, se=self.se, act=Activation("relu"))
        return self.classifier(ops.global_avg_pool(x))


def held():
    """What the process holds on to: memory in C and in Python, objects, threads and open handles.

    First every thread of the crew arrives here, so that none still holds a job of an earlier step.
    """
    together = threading.Barrier(crew().size, timeout=60)
    crew().map(lambda _: together.wait(), crew().size)
    gc.collect()
    handles = Path("/proc/self/fd")
    return {
        "bytes": allocated_by_c(),
        "blocks": sys.getallocatedblocks(),
        "objects": len(gc.get_objects()),
        "threads": threading.active_count(),
        "handles": len(list(handles.iterdir())) if handles.exists() else 0,
    }


@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_a_thousand_steps_leave_nothing_behind(name):
    """Less than half a KiB a step, and half an object. A cache that grows once does so in one half of the steps only;
    resident memory would say less, as it moves by megabytes with the thread that a block of images falls to.
    """
    if name == "numba":
        pytest.importorskip("numba", reason="needs numba: pip install 'minise[fast]'")
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((2, 3, 8, 8), np.float32), rng.integers(0, 10, 2)
    model = Tiny()
    optimizer = SGD(model.named_parameters(), lr=0.01, momentum=0.9)

    def train(steps):
        for _ in range(steps):
            train_step(model, optimizer, x, labels)
        return held()

    with backend.use_backend(name):
        counts = [train(steps) for steps in (WARM_UP, STEPS // 2, STEPS // 2)]
    halves = [{key: after[key] - before[key] for key in after} for before, after in pairwise(counts)]
    grown = {key: min(half[key] for half in halves) for key in halves[0]}
    assert grown["bytes"] < STEPS // 2 * 512, halves
    assert max(grown["blocks"], grown["objects"]) < STEPS // 4, halves
    assert grown["threads"] == grown["handles"] == 0, halves
