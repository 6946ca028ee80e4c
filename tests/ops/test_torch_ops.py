"""Every op in PyTorch, forward and backward: on random cases, and on shapes for which the kernels are made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_ops import TWINS
from torch_thread import one_torch_thread  # noqa: F401

from minise import backend, ops
from minise.gradcheck.cases import cases, is_float, positive, signed
from minise.ops import FUSED, OPS
from minise.tape import Tensor

pytestmark = pytest.mark.torch

EVERY_OP = {**OPS, **FUSED}
CPU_BACKENDS = {"reference": (np.float64, 1e-12), "numpy": (np.float64, 1e-12), "numba": (np.float32, 1e-5)}
"""What each computes in, and how far it may be from PyTorch in float64, times the largest number of an array."""
PAIRS = [
    (name, op)
    for name in CPU_BACKENDS
    for op in EVERY_OP
    if name == "reference" or op in FUSED or backend.BACKENDS[name].kernel(op)
]


def twin_of(x):
    """A copy for PyTorch, in float64 and with a gradient if it is a float array."""
    import torch

    if is_float(x):
        return torch.from_numpy(x.astype(np.float64)).requires_grad_()
    return torch.from_numpy(x) if isinstance(x, np.ndarray) else x


def close(found, expected, tolerance, what):
    """Within `tolerance` times the largest number that is expected, or times 1 where all are smaller."""
    assert found.shape == expected.shape, what
    scale = max(1, np.abs(expected).max(initial=0))
    assert np.abs(found - expected).max(initial=0) <= tolerance * scale, what


def agree(backend_name, op_name, inputs, options, running=()):
    """The op's output, its gradients and the running statistics are PyTorch's, on inputs of the backend's dtype."""
    import torch

    dtype, tolerance = CPU_BACKENDS[backend_name]
    inputs = [x.astype(dtype) if is_float(x) else x for x in inputs]
    running = [a.astype(dtype) for a in running]
    mine = [Tensor(x.copy(), requires_grad=True) if is_float(x) else x for x in inputs]
    twins = [twin_of(x) for x in inputs]
    twin_running = [torch.from_numpy(a.astype(np.float64)) for a in running]
    statistics = [{"running": tuple(a)} if a else {} for a in (running, twin_running)]

    with backend.use_backend(backend_name):
        y = EVERY_OP[op_name](*mine, **options, **statistics[0])
        gy = np.random.default_rng(1).standard_normal(y.shape).astype(dtype)
        y.backward(gy)
    expected = TWINS[op_name](torch, *twins, **options, **statistics[1])
    expected.backward(torch.from_numpy(gy.astype(np.float64)))

    close(y.data, expected.detach().numpy(), tolerance, "y")
    for i, (x, twin) in enumerate(zip(mine, twins, strict=True)):
        if isinstance(x, Tensor):
            close(x.grad, twin.grad.numpy(), tolerance, f"gradient {i}")
    for found, moved in zip(running, twin_running, strict=True):
        close(found, moved.numpy(), tolerance, "running statistics")


def test_every_op_has_a_twin_and_every_twin_an_op():
    assert set(TWINS) == set(EVERY_OP)


@pytest.mark.parametrize(("backend_name", "op_name"), PAIRS)
@given(data=st.data())
def test_op_forward_and_backward(backend_name, op_name, data):
    case = data.draw(cases(op_name))
    agree(backend_name, op_name, case.inputs, case.options, case.options.pop("running", ()))


@pytest.mark.parametrize("backend_name", CPU_BACKENDS)
@pytest.mark.parametrize("op_name", ["batch_norm", "batch_norm_act"])
@given(data=st.data())
def test_running_statistics(backend_name, op_name, data):
    """They move by the momentum towards the batch's mean and its unbiased variance in training, and stay after it."""
    case = data.draw(cases(op_name))
    case.options.pop("running", None)
    case.options.setdefault("train", data.draw(st.booleans()))
    case.options["momentum"] = data.draw(st.sampled_from([0.0, 0.1, 0.7, 1.0]))
    rng, c = np.random.default_rng(0), case.inputs[1].shape
    agree(backend_name, op_name, case.inputs, case.options, (signed(rng, c), positive(rng, c)))


LARGE = [
    ("add", [(70001,), (70001,)], {}),
    ("relu", [(64, 16, 32, 32)], {}),
    ("max_pool2d", [(4, 24, 16, 18)], {"kernel": 2}),
    ("conv2d", [(33, 3, 32, 32), (16, 3, 3, 3), (16,)], {"stride": 2, "padding": 1}),
    ("conv2d", [(9, 24, 12, 14), (41, 24, 3, 3), (41,)], {"padding": 1}),
    ("conv2d", [(9, 24, 12, 16), (41, 24, 3, 3), (41,)], {"padding": 1}),
    ("batch_norm", [(33, 16, 32, 32), (16,), (16,)], {}),
    ("batch_norm_act", [(33, 16, 16, 16), (16,), (16,), (33, 16, 16, 16)], {"act": "relu"}),
]


@pytest.mark.parametrize("backend_name", CPU_BACKENDS)
@pytest.mark.parametrize(("op_name", "shapes", "options"), LARGE)
def test_sizes_for_which_kernels_are_made(backend_name, op_name, shapes, options):
    """Several blocks of images; sums long enough for threads; channels enough for Winograd's algorithm."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in shapes]
    agree(backend_name, op_name, inputs, options)


def test_dropout_with_the_mask_that_pytorch_drew():
    import torch

    x = signed(np.random.default_rng(0), (50, 7), gap=0.05)
    mine, twin = Tensor(x.copy(), requires_grad=True), twin_of(x)
    torch.manual_seed(0)
    expected = torch.nn.functional.dropout(twin, 0.3)

    class PytorchsMask:
        def random(self, shape):
            return (expected.detach().numpy() != 0).astype(np.float64)

    y = ops.dropout(mine, p=0.3, rng=PytorchsMask())
    gy = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(gy)
    expected.backward(torch.from_numpy(gy))
    assert 0.2 < (y.data == 0).mean() < 0.4
    close(y.data, expected.detach().numpy(), 1e-15, "y")
    close(mine.grad, twin.grad.numpy(), 1e-15, "gradient")
