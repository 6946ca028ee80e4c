"""The CPU on which the GPU's kernels are tested notices what a GPU would answer with wrong numbers, now and then."""

import numpy as np
import pytest
from cuda_on_cpu import WHY_NOT, cuda_on_cpu

from minise.kernels.cuda import launch as cuda_launch

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")

REVERSE = """
extern "C" __global__ void reverse(const float* x, float* y) {  // y[i] = the sum of x[turn][63 - i]
    SHARED_MEMORY(memory);
    float sum = 0;
    for (int turn = 0; turn < 4; turn++) {
        float* row = (float*)memory + turn % ROWS * 64;
        if (threadIdx.x < 16) copy16(row + 4 * threadIdx.x, x + 64 * turn + 4 * threadIdx.x, true);
        if (WAIT) wait_for_copies();
        if (threadIdx.x < BARRIER) __syncthreads();
        sum += row[63 - threadIdx.x];
    }
    y[threadIdx.x] = sum;
}
"""


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({}, None),
        ({"ROWS": 1}, "order of threads"),  # a row is filled again while another warp still reads it
        ({"WAIT": 0}, "order of threads"),
        ({"BARRIER": 0}, "order of threads"),
        ({"BARRIER": 32}, "never come"),
    ],
    ids=str,
)
def test_a_fault_is_noticed(fault, told, monkeypatch):
    source = cuda_launch.source
    monkeypatch.setattr(cuda_launch, "source", lambda name: REVERSE if name == "reverse.cu" else source(name))
    constants = {"ROWS": 2, "WAIT": 1, "BARRIER": 64, **fault}
    x, y = np.arange(256, dtype=np.float32), np.zeros(64, np.float32)

    def run():
        with cuda_on_cpu():
            cuda_launch.launch("reverse.cu", "reverse", x, y, grid=1, block=64, shared=512, **constants)

    if told is None:
        run()
        assert np.array_equal(y, x.reshape(4, 64).sum(axis=0)[::-1])
    else:
        with pytest.raises(AssertionError, match=told):
            run()
