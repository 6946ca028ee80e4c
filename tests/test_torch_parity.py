"""The same numbers as PyTorch, in float64: ops forward and backward, and whole training runs step for step."""

import numpy as np
import pytest

from minise import backend, models, ops
from minise.optim import SGD, AdamW
from minise.schedules import make_schedule
from minise.tape import Tensor
from minise.train import train_step

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_torch_thread():
    """PyTorch's threads spin while they wait for work this small: ten times as slow where cores are shared."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


OPS_IN_TORCH = {
    "conv2d": (
        lambda t, x, w, b: t.nn.functional.conv2d(x, w, b, stride=2, padding=1),
        [(2, 3, 7, 6), (4, 3, 3, 3), (4,)],
        {"stride": 2, "padding": 1},
    ),
    "max_pool2d": (
        lambda t, x: t.nn.functional.max_pool2d(x, 3, 2, 1),
        [(2, 3, 7, 6)],
        {"kernel": 3, "stride": 2, "padding": 1},
    ),
    "avg_pool2d": (
        lambda t, x: t.nn.functional.avg_pool2d(x, 3, 2, 1),
        [(2, 3, 7, 6)],
        {"kernel": 3, "stride": 2, "padding": 1},
    ),
    "batch_norm": (
        lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
        [(4, 3, 5, 5), (3,), (3,)],
        {},
    ),
    "linear": (lambda t, x, w, b: t.nn.functional.linear(x, w, b), [(5, 4), (3, 4), (3,)], {}),
    "relu": (lambda t, x: t.relu(x), [(5, 4)], {}),
    "elu": (lambda t, x: t.nn.functional.elu(x), [(5, 4)], {}),
    "prelu": (lambda t, x, a: t.nn.functional.prelu(x, a), [(2, 3, 4, 4), (3,)], {}),
    "leaky_relu": (lambda t, x: t.nn.functional.leaky_relu(x), [(5, 4)], {}),
    "sigmoid": (lambda t, x: t.sigmoid(x), [(5, 4)], {}),
    "tanh": (lambda t, x: t.tanh(x), [(5, 4)], {}),
}


@pytest.mark.parametrize("name", OPS_IN_TORCH)
@pytest.mark.parametrize("backend_name", ["reference", "numpy"])
def test_op_forward_and_backward(name, backend_name):
    import torch

    theirs, shapes, options = OPS_IN_TORCH[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    ours = [Tensor(a, requires_grad=True) for a in arrays]
    twins = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    with backend.use_backend(backend_name):
        y = ops.OPS[name](*ours, **options)
        expected = theirs(torch, *twins)
        gy = rng.standard_normal(y.shape)
        y.backward(gy)
    expected.backward(torch.from_numpy(gy))
    assert np.allclose(y.data, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    for x, twin in zip(ours, twins, strict=True):
        assert np.allclose(x.grad, twin.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(smoothing):
    import torch

    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    ours, twin = Tensor(x, requires_grad=True), torch.from_numpy(x.copy()).requires_grad_()
    y = ops.softmax_cross_entropy(ours, labels, smoothing=smoothing)
    expected = torch.nn.functional.cross_entropy(twin, torch.from_numpy(labels), label_smoothing=smoothing)
    y.backward()
    expected.backward()
    assert y.item() == pytest.approx(expected.item(), rel=1e-12)
    assert np.allclose(ours.grad, twin.grad.numpy(), rtol=1e-11, atol=1e-14)


OPTIMIZERS = {
    "sgd": (
        lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
        lambda t, p: t.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    ),
    "adamw": (
        lambda p: AdamW(p, lr=2e-3, weight_decay=0.01),
        lambda t, p: t.optim.AdamW(p, lr=2e-3, weight_decay=0.01),
    ),
}


@pytest.mark.parametrize(
    ("name", "act", "optimizer"),
    [
        ("resnet20", None, "sgd"),
        ("se-resnet20", "relu", "sgd"),
        ("se-resnet20", "elu", "sgd"),
        ("se-resnet20", "felu", "sgd"),
        ("se-resnet20", "felu", "adamw"),
        ("se-fastnet", "felu", "sgd"),
    ],
)
def test_twenty_training_steps(name, act, optimizer):
    """A model, with SE blocks or without, from the same weights on the same batches: losses to 1e-8.

    The learning rate follows our cosine schedule with warm-up on both sides.
    """
    import torch
    from torch_models import copy_weights, like

    model = models.build(name, act=act, seed=1).to(dtype=np.float64)
    twin = like(name, act).double()
    copy_weights(model.state_dict(), twin)
    ours = OPTIMIZERS[optimizer][0](model.named_parameters())
    theirs = OPTIMIZERS[optimizer][1](torch, [p for p in twin.parameters() if p.requires_grad])
    rate = make_schedule("cosine", ours.lr, 20, warmup=3)
    rng = np.random.default_rng(0)
    for step in range(20):
        x, y = rng.standard_normal((6, 3, 8, 8)), rng.integers(0, 10, 6)
        ours.lr = theirs.param_groups[0]["lr"] = rate(step)
        loss, _ = train_step(model, ours, x, y)
        theirs.zero_grad()
        expected = torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y))
        expected.backward()
        theirs.step()
        assert loss == pytest.approx(expected.item(), rel=1e-8), f"step {step}"
    running = {k: v for k, v in model.state_dict().items() if "running" in k}
    assert all(np.allclose(v, twin.state_dict()[k].numpy(), rtol=1e-7) for k, v in running.items())
