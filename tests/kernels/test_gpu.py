"""What only a GPU can show (`make gpu-check`): capture, whole trainings, memory, runs that move between devices."""

import contextlib
import gc

import numpy as np
import pytest
from cli_runs import lines, minise
from small_networks import losses

from minise import backend
from minise.kernels.cuda import capture as cuda_capture
from minise.kernels.cuda import update as cuda_update
from minise.models import build
from minise.optim import SGD
from minise.runs.job import train
from minise.runs.reopen import evaluate_run
from minise.train import EpochDone, train_step
from minise.train.config import TrainConfig
from minise.train.step import Stepper

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(
    ("network", "optimizer"), [("resnet8", "sgd"), ("fastnet", "muon"), ("resnet8", "adamw")]
)
def test_a_captured_step_is_the_step_bit_for_bit(network, optimizer, half):
    plain, before = losses(network, optimizer, steps=20, images=64, half=half, device="cuda")
    graph, after = losses(network, optimizer, steps=20, images=64, half=half, device="cuda", graph=True)
    assert graph == plain
    for name, p in after.items():
        assert np.array_equal(p, before[name]), name


def test_a_batch_of_another_size_does_not_disturb_the_captured_step():
    rng = np.random.default_rng(0)
    sizes = (64, 64, 64, 64, 40, 64, 64, 40, 64)
    batches = [
        (rng.standard_normal((n, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, n)) for n in sizes
    ]
    found = []
    for graph in (False, True):
        model = build("se-resnet20").to(device="cuda")
        step = Stepper(
            model, SGD(model.named_parameters(), lr=0.05, momentum=0.9), device="cuda", graph=graph
        )
        for x, y in batches:
            step(backend.to_device(x, "cuda"), backend.to_device(y, "cuda"))
        assert not graph or step.take.graph is not None, step.take.why_not
        found.append(model.state_dict())
    for name, p in found[0].items():
        assert np.array_equal(p, found[1][name]), name


@pytest.mark.parametrize(("network", "optimizer"), [("resnet8", "sgd"), ("fastnet", "muon")])
def test_200_steps_in_float32_go_as_on_the_cpu(network, optimizer):
    """Rounding differs, so the curves part slowly: closely together at first, of one level at the end."""
    gpu, _ = losses(network, optimizer, steps=200, images=64, device="cuda", graph=True)
    cpu, _ = losses(network, optimizer, steps=200, images=64)
    np.testing.assert_allclose(gpu[:20], cpu[:20], rtol=1e-3)
    assert abs(np.mean(gpu[-50:]) - np.mean(cpu[-50:])) <= 0.02 * max(np.mean(cpu[-50:]), 0.1)


@pytest.mark.parametrize("graph", [False, True])
def test_a_thousand_steps_need_no_more_memory_than_a_hundred(graph):
    import cupy

    model = build("se-resnet20").to(device="cuda")
    optimizer = SGD(model.named_parameters(), lr=0.01, momentum=0.9)
    step = Stepper(model, optimizer, device="cuda", graph=graph)
    rng = np.random.default_rng(0)
    x = backend.to_device(rng.standard_normal((32, 3, 32, 32), np.float32), "cuda")
    y = backend.to_device(rng.integers(0, 10, 32), "cuda")

    def held():
        step.read()
        return cupy.cuda.runtime.memGetInfo()[0], cupy.get_default_memory_pool().total_bytes()

    for _ in range(100):
        step(x, y)
    assert not graph or step.take.graph is not None, step.take.why_not
    before = held()
    for _ in range(1000):
        step(x, y)
    assert held() == before


def test_the_memory_of_a_graph_comes_back_when_its_training_ends():
    import cupy

    held = []
    for _ in range(3):
        losses("resnet8", "sgd", steps=5, images=64, device="cuda", graph=True)
        gc.collect()
        cupy.get_default_memory_pool().free_all_blocks()
        held.append(cupy.cuda.runtime.memGetInfo()[0])
    assert held[2] >= held[1]


def test_the_pool_of_a_graph_frees_nothing_to_serve_a_request():
    import cupy

    pool = cuda_capture.lasting_pool(cupy)
    with cupy.cuda.using_allocator(pool.malloc):
        cupy.empty(1 << 20)
        before = pool.total_bytes()
        with pytest.raises(MemoryError):
            cupy.empty(1 << 40)
    assert pool.total_bytes() == before >= 1 << 20
    pool.free_all_blocks()


def test_a_gpu_without_enough_memory_is_told_in_one_line():
    import cupy

    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=64 * 2**20)
    model = build("se-resnet20").to(device="cuda")
    optimizer = SGD(model.named_parameters(), lr=0.01)
    x, y = np.zeros((512, 3, 32, 32), np.float32), np.zeros(512, np.int64)
    try:
        with pytest.raises(MemoryError):
            train_step(model, optimizer, backend.to_device(x, "cuda"), backend.to_device(y, "cuda"))
    finally:
        pool.set_limit(size=0)
        pool.free_all_blocks()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_run_moves_between_devices(tmp_path, precision):
    folder = tmp_path / "run"
    data = ("--dataset", "shapes10", "--limit-train", "2000", "--limit-test", "500")
    machine = ("--device", "cuda", "--precision", precision)
    options = (*data, "--model", "se-convnet", "--epochs", "2", *machine, "--run", folder)
    *_, there = lines(minise("train", *options, "--json"))
    results = {device: evaluate_run(folder, device=device).test for device in ("cpu", "cuda")}
    assert abs(results["cpu"].loss - results["cuda"].loss) < 1e-3
    assert there["test_acc"] == pytest.approx(results["cuda"].top1)


def stopped_after_an_epoch(folder, **options):
    """The configuration of a run that was stopped after the first of its two epochs."""
    config = TrainConfig(
        dataset="shapes10",
        model="se-convnet",
        limit_train=1000,
        limit_test=200,
        epochs=2,
        device="cuda",
        **options,
    )
    with contextlib.closing(train(config, folder)) as events:
        next(event for event in events if isinstance(event, EpochDone))
    return config


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_resumed_run_ends_bit_for_bit_where_an_uninterrupted_one_does(tmp_path, precision, monkeypatch):
    monkeypatch.setattr(cuda_update, "PATIENCE", 1)  # so that the loss scale moves
    config = stopped_after_an_epoch(tmp_path / "stopped", precision=precision)
    *_, resumed = train(config, tmp_path / "stopped", resume=True)
    *_, whole = train(config, tmp_path / "whole")
    assert resumed.test.loss == whole.test.loss
    assert (tmp_path / "stopped/model.safetensors").read_bytes() == (
        tmp_path / "whole/model.safetensors"
    ).read_bytes()


def test_a_run_that_stopped_on_a_gpu_goes_on_on_the_cpu(tmp_path):
    config = stopped_after_an_epoch(tmp_path / "run")
    on_cpu = TrainConfig(**{**vars(config), "device": "cpu"})
    *_, last = train(on_cpu, tmp_path / "run", resume=True)
    assert 0 <= last.test.top1 <= 1
