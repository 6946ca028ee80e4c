"""The GPU's kernels against the reference in float64, forward and backward: run on the CPU (see `cuda_on_cpu`), and
on the GPU where there is one.
"""

from contextlib import contextmanager

import numpy as np
import pytest
from cuda_on_cpu import WHY_NOT, cuda_on_cpu

from minise import backend
from minise.kernels import cuda_norm
from minise.kernels.cuda_launch import launch
from minise.ops import (
    batch_norm_act,
    conv2d,
    global_avg_pool,
    linear,
    matmul,
    max_pool2d,
    softmax_cross_entropy,
)
from minise.tape import Tensor


class OnCpu:
    """Where a test computes: what makes the backend cuda run there, and how arrays get there and back."""

    context = staticmethod(cuda_on_cpu)

    @staticmethod
    def put(a):
        return a


class OnGpu:
    @staticmethod
    @contextmanager
    def context():
        with backend.use_backend("cuda"):
            yield

    @staticmethod
    def put(a):
        return backend.to_device(a, "cuda")


@pytest.fixture(
    params=[
        pytest.param(OnCpu, marks=pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")),
        pytest.param(OnGpu, marks=pytest.mark.gpu),
    ],
    ids=["cpu", "gpu"],
)
def machine(request):
    return request.param


TYPES = pytest.mark.parametrize("dtype", [np.float32, np.float16])
EXACT = {np.float32: 2e-6, np.float16: 1e-3}
"""Of float32 sums, relative to the largest; of maps that are rounded to float16 on the way."""


def results(f, inputs, options, dtype, put=OnCpu.put):
    """y, what is changed in place, and the gradients; with inputs in `dtype`, or as they are if that is None."""
    tensors = [
        None if a is None else Tensor(put(a.astype(dtype or a.dtype)), requires_grad=True) for a in inputs
    ]
    options = {
        k: tuple(put(a.astype(dtype or a.dtype)) for a in v) if k == "running" else v
        for k, v in options.items()
    }
    y = f(*tensors, **options)
    gy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float16)
    y.backward(put(gy.astype(y.dtype)))
    return [y.data, *options.get("running", ()), *(None if t is None else t.grad for t in tensors)]


def agree(machine, f, inputs, exact, **options):
    """`f` by the cuda backend's kernels and by the reference in float64 give the same, up to rounding."""
    with machine.context():
        if hasattr(f, "name"):
            arrays = tuple(None if a is None else machine.put(a) for a in inputs)
            assert backend.find_kernel(f.name, arrays, options) is not None
        found = results(f, inputs, options, None, machine.put)
    with backend.use_backend("reference"):
        expected = results(f, inputs, options, np.float64)
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            a = backend.to_numpy(a)
            largest = max(np.abs(b).max(), 1e-3)
            assert np.abs(a - b).max() <= exact * largest, f"result {i} of {f}"
    return found


def normal(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(np.float16).astype(dtype)  # numbers that float16 holds too


@TYPES
@pytest.mark.parametrize(
    ("n", "c", "h", "w", "k", "size", "stride", "padding", "bias"),
    [
        (2, 16, 8, 8, 16, 3, 1, 1, False),  # two images a tile
        (3, 3, 9, 7, 5, 3, 1, 1, True),  # tiles that hang over, channels that fill no vector
        (1, 8, 32, 32, 16, 3, 1, 1, False),  # several tiles an image
        (2, 20, 12, 12, 40, 3, 2, 1, True),  # a stride, and zeros between gy's pixels
        (2, 70, 6, 6, 72, 3, 1, 1, True),  # several chunks and several groups of channels
        (2, 5, 7, 7, 9, 1, 1, 0, True),
        (2, 5, 11, 7, 9, 5, 3, 2, True),  # rows of x that no window sees
        (2, 8, 7, 7, 9, 2, 2, 0, True),
    ],
)
def test_conv2d(machine, n, c, h, w, k, size, stride, padding, bias, dtype):
    rng = np.random.default_rng(0)
    inputs = (
        normal(rng, n, c, h, w, dtype=dtype),
        normal(rng, k, c, size, size),
        normal(rng, k) if bias else None,
    )
    y = agree(machine, conv2d, inputs, EXACT[dtype], stride=stride, padding=padding)[0]
    assert y.dtype == dtype
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@TYPES
@pytest.mark.parametrize(
    ("shape", "units", "se_act", "per_unit", "residual", "act", "train", "bias"),
    [
        ((3, 16, 8, 8), 0, None, False, False, "relu", True, True),
        ((2, 8, 32, 32), 2, "relu", False, True, "relu", True, True),
        ((2, 16, 6, 6), 4, "felu", False, True, "relu", True, True),
        ((2, 5, 7, 5), 3, "felu", True, True, None, True, True),
        ((2, 40, 7, 5), 3, "prelu", True, False, None, False, True),
        ((2, 40, 4, 4), 35, "elu", False, True, "relu", True, False),
        ((2, 8, 4, 4), 2, "leaky_relu", False, False, "relu", True, True),
        ((2, 8, 4, 4), 2, "sigmoid", False, False, "relu", False, True),
        ((2, 8, 4, 4), 2, "tanh", False, False, "relu", True, True),
    ],
)
def test_batch_norm_act(machine, shape, units, se_act, per_unit, residual, act, train, bias, dtype):
    rng = np.random.default_rng(0)
    c = shape[1]
    x = (normal(rng, *shape) + 3).astype(dtype)
    se = []
    if units:
        alpha = None
        if se_act in ("felu", "prelu"):
            alpha = normal(rng, units) if per_unit else np.full((), 0.7, np.float32)
        biases = (normal(rng, units), normal(rng, c)) if bias else (None, None)
        se = [normal(rng, units, c) / 2, biases[0], normal(rng, c, units), biases[1], alpha]
    others = normal(rng, *shape, dtype=dtype) if residual else None
    running = normal(rng, c), np.abs(normal(rng, c)) + 1
    inputs = x, normal(rng, c), normal(rng, c), others, None, *se
    exact = max(EXACT[dtype], 2e-5)  # a sum over images that all but cancel each other
    agree(machine, batch_norm_act, inputs, exact, act=act, se_act=se_act, train=train, running=running)


@TYPES
@pytest.mark.parametrize("shape", [(3, 8, 8, 8), (2, 5, 32, 32)])
def test_moments_that_a_convolution_gathers_serve_the_batch_norm_behind_it(
    machine, shape, dtype, monkeypatch
):
    rng = np.random.default_rng(0)
    c = shape[1]

    def conv_and_norm(x, k, w, b, w1, w2):
        y = conv2d(x, k, padding=1)
        return batch_norm_act(y, w, b, None, None, w1, None, w2, None, None, act="relu", se_act="relu")

    launched = []
    monkeypatch.setattr(
        cuda_norm,
        "launch",
        lambda file, kernel, *a, **k: (launched.append(kernel), launch(file, kernel, *a, **k)),
    )
    inputs = (
        normal(rng, *shape, dtype=dtype),
        normal(rng, c, c, 3, 3),
        *normal(rng, 2, c),
        normal(rng, 4, c),
        normal(rng, c, 4),
    )
    agree(machine, conv_and_norm, inputs, 5 * max(EXACT[dtype], 2e-5))  # in float16 rounded twice
    assert "statistics" in launched
    assert "moments" not in launched


@TYPES
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [((2, 16, 8, 8), 2, 2, 0), ((2, 5, 7, 9), 3, 2, 1), ((3, 8, 4, 4), 4, 4, 0)],
)
def test_max_pool2d(machine, shape, kernel, stride, padding, dtype):
    x = np.round(normal(np.random.default_rng(0), *shape, dtype=dtype))  # values tie
    agree(machine, max_pool2d, [x], EXACT[dtype], kernel=kernel, stride=stride, padding=padding)


@TYPES
def test_global_avg_pool(machine, dtype):
    agree(
        machine, global_avg_pool, [normal(np.random.default_rng(0), 3, 24, 5, 4, dtype=dtype)], EXACT[dtype]
    )


@TYPES
@pytest.mark.parametrize(
    ("n", "inputs", "outputs", "bias"), [(5, 7, 3, True), (130, 64, 10, False), (3, 300, 70, True)]
)
def test_linear(machine, n, inputs, outputs, bias, dtype):
    rng = np.random.default_rng(0)
    arrays = (
        normal(rng, n, inputs, dtype=dtype),
        normal(rng, outputs, inputs),
        normal(rng, outputs) if bias else None,
    )
    y, *_ = agree(machine, linear, arrays, EXACT[dtype])
    assert y.dtype == np.float32


def test_matmul_takes_matrices_that_lie_transposed(machine):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 33, 20), normal(rng, 7, 33)
    agree(machine, matmul, [a.T, b.T], EXACT[np.float32])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("n", "k"), [(3, 2), (20, 100)])
def test_softmax_cross_entropy(machine, n, k, smoothing):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k, n)
    agree(
        lambda x: softmax_cross_entropy(
            x, machine.put(labels) if x.dtype == np.float32 else labels, smoothing=smoothing
        ),
        [normal(rng, n, k) * 5],
        EXACT[np.float32],
    )


def test_a_label_that_is_no_class_makes_the_loss_nan():
    with cuda_on_cpu():
        kernel = backend.find_kernel(
            "softmax_cross_entropy", (np.ones((2, 3), np.float32), np.array([0, 1])), {}
        )
    x = np.ones((2, 3), np.float32)
    with cuda_on_cpu(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("minise.kernels.cuda_loss.check_loss", lambda *_: None)
        assert np.isnan(kernel.forward(x, np.array([0, 3]))[0])
