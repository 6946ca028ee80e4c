"""The GPU's kernels against the reference in float64, forward and backward: run on the CPU (see `cuda_on_cpu`), and
on the GPU where there is one.
"""

from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from cuda_on_cpu import WHY_NOT, cuda_on_cpu
from cuda_on_cpu.strict import Thorough, strict_cupy

from minise import backend
from minise.kernels.cuda import conv2d as cuda_conv2d
from minise.kernels.cuda import norm as cuda_norm
from minise.ops import (
    ACTIVATIONS,
    add,
    batch_norm_act,
    conv2d,
    global_avg_pool,
    linear,
    matmul,
    max_pool2d,
    pad,
    se,
    slice_,
    softmax_cross_entropy,
)
from minise.tape import Tensor
from minise.train.step import share_right


class OnCpu:
    """Where a test computes: what makes the backend cuda run there, and how arrays get there and back."""

    @staticmethod
    @contextmanager
    def context():
        with strict_cupy(Thorough), backend.use_backend("cuda"):
            yield

    @staticmethod
    def put(a):
        return backend.to_device(a, "cuda")


class OnGpu(OnCpu):
    @staticmethod
    @contextmanager
    def context():
        with backend.use_backend("cuda"):
            yield


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


def results(f, inputs, options, dtype, put=lambda a: a):
    """y, what is changed in place, and the gradients; with inputs in `dtype`, or as they are if that is None."""
    tensors = [None if a is None else tensor(a, dtype, put) for a in inputs]
    options = {
        k: tuple(put(a.astype(dtype or a.dtype)) for a in v) if k == "running" else v
        for k, v in options.items()
    }
    y = f(*tensors, **options)
    gy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float16)
    y.backward(put(gy.astype(y.dtype)))
    return [
        y.data,
        *options.get("running", ()),
        *(None if t is None else getattr(t, "grad", None) for t in tensors),
    ]


def tensor(a, dtype, put):
    """What an op takes of an array: a tensor that learns, or labels as they are."""
    return put(a) if a.dtype.kind == "i" else Tensor(put(a.astype(dtype or a.dtype)), requires_grad=True)


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
            a, finite = backend.to_numpy(a), np.isfinite(b)
            assert np.array_equal(a[~finite], b[~finite], equal_nan=True), f"result {i} of {f}"
            a, b = a[finite], b[finite]
            largest = max(np.abs(b).max(initial=0), 1e-3)
            assert np.abs(a - b).max(initial=0) <= exact * largest, f"result {i} of {f}"
    return found


def maps(rng, *shape, dtype):
    """Random numbers in `dtype`."""
    return rng.standard_normal(shape).astype(dtype)


def weights(rng, *shape, dtype=np.float32):
    """Random numbers in float32 that `dtype` holds too: beside float16 maps, weights are rounded to it."""
    return rng.standard_normal(shape).astype(dtype).astype(np.float32)


@TYPES
@pytest.mark.parametrize(
    ("n", "c", "h", "w", "k", "size", "stride", "padding", "bias"),
    [
        (2, 16, 8, 8, 16, 3, 1, 1, False),  # two images a tile
        (3, 3, 9, 7, 5, 3, 1, 1, True),  # tiles that hang over, channels that fill no vector
        (1, 8, 32, 32, 16, 3, 1, 1, False),  # several tiles an image
        (2, 20, 12, 12, 40, 3, 2, 1, True),  # a stride, and zeros between gy's pixels
        (2, 70, 6, 6, 72, 3, 1, 1, True),  # several chunks and several groups of channels
        (7, 34, 8, 8, 40, 3, 1, 1, False),  # several tiles of images, the last of which hangs over
        (2, 5, 7, 7, 9, 1, 1, 0, True),
        (2, 5, 11, 7, 9, 5, 3, 2, True),  # rows of x that no window sees
        (2, 8, 7, 7, 9, 2, 2, 0, True),
    ],
)
def test_conv2d(machine, n, c, h, w, k, size, stride, padding, bias, dtype):
    rng = np.random.default_rng(0)
    inputs = (
        maps(rng, n, c, h, w, dtype=dtype),
        weights(rng, k, c, size, size, dtype=dtype),
        weights(rng, k) if bias else None,
    )
    y = agree(machine, conv2d, inputs, EXACT[dtype], stride=stride, padding=padding)[0]
    assert y.dtype == dtype
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@TYPES
def test_the_gradient_of_weights_over_several_tiles_per_block(machine, dtype, monkeypatch):
    monkeypatch.setattr(cuda_conv2d, "WEIGHT_BLOCKS", 2)
    rng = np.random.default_rng(0)
    inputs = maps(rng, 5, 6, 16, 8, dtype=dtype), weights(rng, 8, 6, 3, 3, dtype=dtype)
    agree(machine, conv2d, inputs, EXACT[dtype], padding=1)


def test_a_gate_can_have_every_activation():
    assert {act for act in ACTIVATIONS if cuda_norm.constants_of(act)["SLOPE"] != "()"} == set(ACTIVATIONS)


@TYPES
@pytest.mark.parametrize(
    ("shape", "units", "se_act", "per_unit", "residual", "act", "train", "bias"),
    [
        ((3, 16, 8, 8), 0, None, False, False, "relu", True, True),
        ((70, 8, 4, 4), 2, "felu", False, False, "relu", True, True),  # more images than rows of threads
        ((2, 8, 32, 32), 2, "relu", False, True, "relu", True, True),
        ((2, 16, 6, 6), 4, "felu", False, True, "relu", True, True),
        ((2, 5, 7, 5), 3, "felu", True, True, None, True, True),
        ((2, 40, 7, 5), 3, "prelu", True, False, None, False, True),
        ((2, 40, 4, 4), 35, "elu", False, True, "relu", True, False),
        ((2, 8, 4, 4), 2, "leaky_relu", False, False, "relu", True, True),
        ((2, 8, 4, 4), 2, "sigmoid", False, False, "relu", False, True),
        ((2, 8, 4, 4), 2, "tanh", False, False, "relu", True, True),
        ((2, 16, 6, 6), 4, "gelu", False, False, "gelu", True, True),
        ((2, 5, 7, 5), 0, None, False, False, "gelu", True, True),
        ((2, 8, 4, 4), 2, "felu", True, False, "gelu", False, True),
    ],
)
def test_batch_norm_act(machine, shape, units, se_act, per_unit, residual, act, train, bias, dtype):
    rng = np.random.default_rng(0)
    c = shape[1]
    x = (weights(rng, *shape) + 3).astype(dtype)
    se = []
    if units:
        alpha = None
        if se_act in ("felu", "prelu"):
            alpha = weights(rng, units) if per_unit else np.full((), 0.7, np.float32)
        biases = (weights(rng, units), weights(rng, c)) if bias else (None, None)
        se = [weights(rng, units, c) / 2, biases[0], weights(rng, c, units), biases[1], alpha]
    others = maps(rng, *shape, dtype=dtype) if residual else None
    running = weights(rng, c), np.abs(weights(rng, c)) + 1
    inputs = x, weights(rng, c), weights(rng, c), others, None, *se
    exact = max(EXACT[dtype], 2e-5)  # a sum over images that all but cancel each other
    agree(machine, batch_norm_act, inputs, exact, act=act, se_act=se_act, train=train, running=running)


def test_outside_training_no_image_depends_on_another(machine):
    rng = np.random.default_rng(0)
    gate = weights(rng, 2, 8) / 2, None, weights(rng, 8, 2), None, None
    options = {"se_act": "relu", "train": False, "running": weights(rng, 2, 8) ** 2}
    x = maps(rng, 2, 8, 8, 8, dtype=np.float32)
    found = []
    for first in (1, np.inf):
        x[0, 3] *= first
        with machine.context():
            arrays = [
                None if a is None else machine.put(a)
                for a in (x, *weights(rng, 2, 8) * 0 + 1, None, None, *gate)
            ]
            running = tuple(machine.put(a) for a in options["running"])
            y = batch_norm_act(
                *(None if a is None else Tensor(a) for a in arrays), **{**options, "running": running}
            )
            found.append(backend.to_numpy(y.data)[1])
    assert np.isfinite(found[1]).all()
    assert np.array_equal(*found)


@TYPES
@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [((2, 16, 8, 8), 2, 2, 0), ((2, 5, 7, 9), 3, 2, 1), ((3, 8, 4, 4), 4, 4, 0)],
)
def test_max_pool2d(machine, shape, kernel, stride, padding, dtype):
    x = np.round(maps(np.random.default_rng(0), *shape, dtype=dtype))  # values tie
    agree(machine, max_pool2d, [x], EXACT[dtype], kernel=kernel, stride=stride, padding=padding)


@TYPES
@pytest.mark.parametrize("fill", [-np.inf, np.nan, None])
def test_max_pool2d_of_what_is_infinite_or_no_number(machine, fill, dtype):
    rng = np.random.default_rng(0)
    special = rng.choice(np.array([np.inf, -np.inf, np.nan, 0, 6e4, -6e4, 6e-8], dtype), (2, 8, 7, 6))
    x = special if fill is None else np.full((2, 8, 7, 6), fill, dtype)
    agree(machine, max_pool2d, [x], EXACT[dtype], kernel=3, stride=2, padding=1)


@TYPES
def test_global_avg_pool(machine, dtype):
    agree(machine, global_avg_pool, [maps(np.random.default_rng(0), 3, 24, 5, 4, dtype=dtype)], EXACT[dtype])


@TYPES
@pytest.mark.parametrize(
    ("n", "inputs", "outputs", "bias"), [(5, 7, 3, True), (130, 64, 10, False), (3, 300, 70, True)]
)
def test_linear(machine, n, inputs, outputs, bias, dtype):
    rng = np.random.default_rng(0)
    arrays = (
        maps(rng, n, inputs, dtype=dtype),
        weights(rng, outputs, inputs),
        weights(rng, outputs) if bias else None,
    )
    y, *_ = agree(machine, linear, arrays, EXACT[dtype])
    assert y.dtype == np.float32


def test_matmul_takes_matrices_that_lie_transposed(machine):
    rng = np.random.default_rng(0)
    a, b = weights(rng, 33, 20), weights(rng, 7, 33)
    agree(machine, matmul, [a.T, b.T], EXACT[np.float32])


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("n", "k"), [(3, 2), (20, 100), (300, 5)])
def test_softmax_cross_entropy(machine, n, k, smoothing):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, k, n)
    x = weights(rng, n, k) * 5
    agree(machine, partial(softmax_cross_entropy, smoothing=smoothing), [x, labels], EXACT[np.float32])


@TYPES
def test_se_without_a_batch_norm(machine, dtype):
    rng = np.random.default_rng(0)
    gate = weights(rng, 3, 16), weights(rng, 3), weights(rng, 16, 3), None, np.full((), 0.7, np.float32)
    agree(machine, se, [maps(rng, 2, 16, 5, 4, dtype=dtype), *gate], max(EXACT[dtype], 2e-5), act="felu")


@TYPES
@pytest.mark.parametrize(
    ("op", "count", "options"),
    [
        (add, 2, {}),
        (pad, 1, {"widths": ((0, 0), (2, 3), (1, 0), (0, 0))}),
        (slice_, 1, {"index": (slice(None), slice(None), slice(None, None, 2), slice(None, None, 2))}),
        (slice_, 1, {"index": (slice(1, 3), slice(-3, None), slice(None, None, -2))}),
    ],
    ids=["add", "pad", "slice", "slice backwards"],
)
def test_what_is_made_of_maps_lies_as_maps_do(machine, op, count, options, dtype):
    rng = np.random.default_rng(0)
    agree(machine, op, maps(rng, count, 3, 8, 6, 4, dtype=dtype), EXACT[dtype], **options)
    x = np.ones((3, 6, 4, 8), dtype)
    with machine.context():
        tensors = [Tensor(machine.put(x).transpose(0, 3, 1, 2), requires_grad=True) for _ in range(count)]
        y = op(*tensors, **options)
        y.backward(y.data)
    whole = tensors[0].grad if op is slice_ else y.data  # a slice itself is only looked at, not made
    assert whole.transpose(0, 2, 3, 1).flags.c_contiguous


@TYPES
def test_what_is_cut_out_and_padded_goes_back(machine, dtype):
    """Gradients that are only looked at, and lie with gaps."""

    def shortcut(x):
        every = slice(None, None, 2)
        return pad(
            slice_(x, index=(slice(None), slice(None), every, every)), widths=((0, 0), (2, 3), (0, 0), (0, 0))
        )

    agree(machine, shortcut, maps(np.random.default_rng(0), 1, 3, 4, 6, 8, dtype=dtype), EXACT[dtype])


def test_a_gradient_of_another_type_goes_back_through_a_slice(machine):
    """As it comes from an op with an array in float64 beside it."""
    x = np.ones((2, 3, 4, 4), np.float32)
    with machine.context():
        t = Tensor(machine.put(x), requires_grad=True)
        y = slice_(t, index=(slice(None), slice(None), slice(None, None, 2), slice(None, None, 2)))
        y.backward(machine.put(np.ones(y.shape)))
        assert float(t.grad.sum()) == 24


@pytest.mark.parametrize(("n", "k"), [(5, 3), (300, 10), (2, 100)])
def test_the_share_of_right_answers(machine, n, k):
    rng = np.random.default_rng(0)
    x, labels = rng.integers(0, 4, (n, k)).astype(np.float32), rng.integers(0, k, n)  # several are largest
    with machine.context():
        found = float(share_right(machine.put(x), machine.put(labels)))
    assert found == pytest.approx(share_right(x, labels))


def test_a_nan_goes_through_relu(machine):
    x = np.ones((2, 8, 4, 4), np.float32)
    x[0, 3, 1, 2] = np.nan
    with machine.context():
        one = machine.put(np.ones(8, np.float32))
        y = batch_norm_act(machine.put(x), one, one, None, None, act="relu").data
    assert np.isnan(backend.to_numpy(y)[:, 3]).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_classes_without_probability(machine, smoothing):
    x = np.array([[1, 2, -np.inf], [3e38, -3e38, 0], [-np.inf, 0, 1], [1e-38, 1e20, -1e20]], np.float32)
    with np.errstate(over="ignore"):
        for labels in ([1, 0, 2, 1], [2, 0, 2, 1]):
            loss = partial(softmax_cross_entropy, smoothing=smoothing)
            agree(machine, loss, [x[:1], np.array(labels[:1])], EXACT[np.float32])
            agree(machine, loss, [x[2:], np.array(labels[2:])], EXACT[np.float32])
        agree(machine, softmax_cross_entropy, [x[1:2], np.array([0])], EXACT[np.float32])


@pytest.mark.parametrize("se_act", sorted(ACTIVATIONS))
def test_gates_and_units_far_from_zero_still_learn(machine, se_act):
    """Hidden units at ±20 and gates that are next to open or shut: each gradient to all of its digits."""
    rng = np.random.default_rng(0)
    u, b1 = weights(rng, 2, 8, 4, 4), np.array([-20, 20, -8, 8], np.float32)
    alpha = np.ones(4, np.float32) if ACTIVATIONS[se_act].start is not None else None
    b2 = np.array([-18, -9, -1, 0, 3, 5, 12, 18], np.float32)
    inputs = u, weights(rng, 4, 8) / 8, b1, weights(rng, 8, 4) / 64, b2, alpha
    with machine.context():
        found = results(partial(se, act=se_act), inputs, {}, None, machine.put)
    with backend.use_backend("reference"):
        expected = results(partial(se, act=se_act), inputs, {}, np.float64)
    for a, b in zip(found, expected, strict=True):
        if a is not None:
            np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-4, atol=1e-20 + 1e-6 * (b.ndim != 1))


def test_gelu_far_out(machine):
    far = np.array([-3e38, -1e20, -1e13, -1e4, -60, 60, 1e4, 1e13, 1e20, 3e38, 1e-38, 1e-45], np.float32)
    x, one = far.reshape(1, -1, 1, 1), np.ones(12, np.float32)
    with machine.context():
        running = machine.put(0 * one), machine.put(one)
        t = Tensor(machine.put(x), requires_grad=True)
        args = t, machine.put(one), machine.put(0 * one), None, None
        y = batch_norm_act(*args, act="gelu", running=running, train=False, eps=0.0)
        y.backward(machine.put(np.ones_like(x)))
        y, gx = backend.to_numpy(y.data), backend.to_numpy(t.grad)
    np.testing.assert_allclose(y.ravel(), np.maximum(far, 0), rtol=1e-6, atol=1e-20)
    np.testing.assert_allclose(gx.ravel(), [0] * 5 + [1] * 5 + [0.5] * 2, rtol=1e-6, atol=1e-20)


def test_a_label_that_is_no_class_makes_the_loss_nan():
    with cuda_on_cpu():
        kernel = backend.find_kernel(
            "softmax_cross_entropy", (np.ones((2, 3), np.float32), np.array([0, 1])), {}
        )
    x = np.ones((2, 3), np.float32)
    with cuda_on_cpu(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("minise.kernels.cuda.loss.check_loss", lambda *_: None)
        assert np.isnan(kernel.forward(x, np.array([0, 3]))[0])
