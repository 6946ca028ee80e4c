"""Whole trainings on a GPU, captured too, with a stand-in for CuPy that is as strict: `cuda_on_cpu.strict`."""

import contextlib

import numpy as np
import pytest
from cli_runs import lines, minise
from cuda_on_cpu import WHY_NOT
from cuda_on_cpu.strict import CaptureError, Graph, strict_cupy
from hypothesis import HealthCheck, given, seed, settings
from small_networks import losses

from minise import backend
from minise.backend import to_device, to_numpy
from minise.gradcheck.cases import cases
from minise.gradcheck.suite import TABLE
from minise.gradcheck.values import SameEveryTime, is_float
from minise.kernels.cuda import update as cuda_update
from minise.kernels.cuda.capture import CapturedStep
from minise.models import build
from minise.optim import make_optimizer
from minise.runs.job import train
from minise.tape import Tensor
from minise.train import EpochDone
from minise.train.config import TrainConfig
from minise.train.step import Stepper

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


@pytest.fixture
def cupy(monkeypatch):
    monkeypatch.setattr(Graph, "launched", 0)
    with strict_cupy() as module:
        yield module


@pytest.mark.parametrize(
    ("network", "optimizer", "half", "exact"),
    [("resnet8", "sgd", False, 1e-5), ("fastnet", "muon", True, 2e-3)],
)
def test_a_training_goes_as_by_the_reference_and_captured_bit_for_bit(cupy, network, optimizer, half, exact):
    options = {"steps": 4, "images": 1}
    plain, before = losses(network, optimizer, half=half, device="cuda", **options)
    assert Graph.launched == 0
    captured, after = losses(network, optimizer, half=half, device="cuda", graph=True, **options)
    assert Graph.launched == 2
    assert captured == plain
    assert all(np.array_equal(p, before[name]) for name, p in after.items())
    with backend.use_backend("reference"):
        expected, _ = losses(network, optimizer, **options)
    np.testing.assert_allclose(plain, expected, rtol=exact)


def test_a_batch_of_another_size_does_not_disturb_the_captured_step(cupy):
    rng = np.random.default_rng(0)
    batches = [
        (rng.standard_normal((n, 3, 32, 32), np.float32), rng.integers(0, 10, n)) for n in (2, 2, 2, 1, 2)
    ]
    found = []
    for graph in (False, True):
        model = build("se-convnet").to(device="cuda")
        learns = make_optimizer("adamw", model.named_parameters(), lr=0.01)
        step = Stepper(model, learns, device="cuda", graph=graph)
        for x, y in batches:
            step(to_device(x, "cuda"), to_device(y, "cuda"))
        found.append(model.state_dict())
    assert Graph.launched == 2
    for name, p in found[0].items():
        assert np.array_equal(p, found[1][name]), name


class OnDevice:
    """Random numbers as a generator of CuPy has them: on the device."""

    def __init__(self, rng):
        self.rng = rng

    def random(self, shape):
        return to_device(self.rng.random(shape), "cuda")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_the_reference_of_every_op_takes_arrays_of_the_device(cupy, name):
    """It is what computes wherever a kernel cannot."""

    @settings(max_examples=5, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @seed(0)
    @given(cases(name))
    def agree(case):
        exact, right = gradients(TABLE[name], case, "cpu")
        y, found = gradients(TABLE[name], case, "cuda")
        for a, b in zip((y, *found), (exact, *right), strict=True):
            np.testing.assert_allclose(to_numpy(a), b, rtol=0, atol=1e-9 * max(1, np.abs(b).max(initial=0)))

    with backend.use_backend("reference"):
        agree()


def gradients(op, case, device):
    """(y, the gradients of inputs that have one), on the device."""

    def put(x):
        if isinstance(x, SameEveryTime) and device == "cuda":
            return OnDevice(x)
        if isinstance(x, tuple):
            return tuple(map(put, x))
        return to_device(x.copy(), device) if isinstance(x, np.ndarray) else x

    inputs = [Tensor(put(x), requires_grad=True) if is_float(x) else put(x) for x in case.inputs]
    y = op(*inputs, **{k: put(v) for k, v in case.options.items()})
    y.backward(to_device(np.random.default_rng(1).standard_normal(y.shape), device))
    learning = [x for x in inputs if isinstance(x, Tensor) and x.grad is not None]
    assert {backend.array_module(x.grad).__name__ for x in learning} <= {
        "numpy" if device == "cpu" else "cupy"
    }
    return y.data, [x.grad for x in learning]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_command_trains_on_the_device(cupy, tmp_path, precision, monkeypatch):
    machine = ("--device", "cuda", "--precision", precision)
    data = ("--dataset", "shapes10", "--limit-train", 16, "--val-size", 4, "--limit-test", 4)
    options = (*data, "--model", "se-convnet", "--batch-size", 4, "--epochs", 1, "--run", tmp_path / "run")
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "empty"))
    start, compiling, epoch, done = lines(minise("train", *options, *machine, "--json"))
    assert (compiling["event"], compiling["backend"]) == ("compile", "cuda")
    assert (start["device"], start["backend"]) == ("cuda", "cuda")
    assert 0 < epoch["train_loss"] < 10
    assert done["test_images"] == 4
    assert Graph.launched == 1
    again = lines(minise("evaluate", tmp_path / "run", "--device", "cpu", "--json"))[-1]
    np.testing.assert_allclose(again["loss"], done["test_loss"], rtol=1e-3)


def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_does(cupy, tmp_path, monkeypatch):
    monkeypatch.setattr(cuda_update, "PATIENCE", 1)  # so that the loss scale moves
    sizes = {"limit_train": 12, "val_size": 0, "limit_test": 4, "batch_size": 4, "epochs": 2, "warmup": 0}
    config = TrainConfig(
        dataset="shapes10", model="se-convnet", device="cuda", precision="fp16", optimizer="adamw", **sizes
    )
    with contextlib.closing(train(config, tmp_path / "stopped")) as events:
        next(event for event in events if isinstance(event, EpochDone))
    *_, resumed = train(config, tmp_path / "stopped", resume=True)
    *_, whole = train(config, tmp_path / "whole")
    assert resumed.test.loss == whole.test.loss
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("stopped", "whole")]
    assert weights[0] == weights[1]


def step_that(does):
    """What a capture makes of a step on the array 1: whether it is captured, and what it returns at last."""
    step = CapturedStep(lambda x, y: does(x), before=lambda: None)
    x = to_device(np.ones(3, np.float32), "cuda")
    for _ in range(4):
        found = step(x, x)
    return step.graph is not None, to_numpy(found).tolist()


def test_the_stand_in_refuses_what_cupy_refuses(cupy):
    """Else the tests above would show nothing."""
    a, b = cupy.ones(3), np.ones(3)
    for mix in (
        lambda: a + b,
        lambda: b + a,
        lambda: cupy.add(a, b),
        lambda: np.add(a, b),
        lambda: np.asarray(a),
    ):
        with pytest.raises(TypeError):
            mix()
    assert not isinstance(a, np.ndarray)
    assert (a + 1).get().tolist() == [2, 2, 2]
    assert backend.array_module(a) is cupy


def test_the_stand_in_captures_what_a_stream_does(cupy):
    assert step_that(lambda x: x * 2 + 1) == (True, [3, 3, 3])
    assert step_that(lambda x: x * float(x[0])) == (False, [1, 1, 1])  # it would have to wait
    assert step_that(lambda x: x[x > 0]) == (False, [1, 1, 1])  # how many, only the GPU knows
    a = cupy.ones(2)
    first = a[0]
    a += 1
    assert float(first) == 2  # CuPy has no numbers, only views of them
    stream, x = cupy.cuda.Stream(), cupy.zeros(2)
    stream.begin_capture()
    y = x + 1
    x += 1
    with pytest.raises(CaptureError):
        y.get()
    graph = stream.end_capture()
    assert np.isnan(y.get()).all()
    graph.launch()
    graph.launch()
    assert (x.get().tolist(), y.get().tolist()) == ([2, 2], [2, 2])
