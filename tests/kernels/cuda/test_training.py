"""What a training on a GPU has besides the ops, run on the CPU (see `cuda_on_cpu`): optimisers, batches, chance."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from cuda_on_cpu import WHY_NOT, cuda_on_cpu, noted

from minise import backend
from minise.data import Augment, Batches, load
from minise.data.augment import reflect
from minise.data.on_device import DeviceBatches
from minise.errors import ConfigError, ShapeError
from minise.kernels.cuda import capture as cuda_capture
from minise.kernels.cuda import update as cuda_update
from minise.kernels.cuda.launch import launch
from minise.kernels.cuda.update import orthogonal, update_of
from minise.nn import Parameter
from minise.optim import make_optimizer
from minise.optim.optimizers import ORTHOGONALISE, orthogonalise
from minise.train.step import Stepper

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")


def parameters():
    rng = np.random.default_rng(0)
    shapes = {
        "conv": (6, 4, 3, 3),
        "wide": (40, 2, 1, 1),
        "bias": (5,),
        "alpha": (),
        "large": (70, 90),
        "norm": (9,),
    }
    kinds = {"bias": "bias", "alpha": "alpha", "norm": "norm"}
    return {
        k: Parameter(np.array(rng.standard_normal(s), np.float32), kinds.get(k, "weight"))
        for k, s in shapes.items()
    }


def train(name, device_side, steps=3, scale=1.0, bad=(), **options):
    """The parameters after some steps on random gradients, those of steps in `bad` infinite."""
    held = parameters()
    optimizer = make_optimizer(name, held.items(), lr=0.05, weight_decay=0.01, spare=("bias",), **options)
    rng = np.random.default_rng(1)

    def take():
        for i in range(steps):
            optimizer.lr = 0.05 / (1 + i)
            for p in held.values():
                p.grad = np.array(rng.standard_normal(p.shape) * scale, np.float32)
            if i in bad:
                held["large"].grad[3, 4] = np.inf
            optimizer.step()

    if device_side:
        with cuda_on_cpu():
            if scale != 1:
                update_of(optimizer).scale_losses(optimizer, scale)
            take()
    else:
        with backend.use_backend("reference"):
            take()
    return {k: p.data for k, p in held.items()}, optimizer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("sgd", {"momentum": 0.0, "nesterov": False}),
        ("adamw", {}),
        ("muon", {"momentum": 0.6, "nesterov": True}),
        ("muon", {"momentum": 0.6, "nesterov": False, "norm_rate": 8.0}),
    ],
)
def test_an_optimizer_takes_the_steps_of_the_reference(name, options):
    found, one = train(name, True, **options)
    expected, other = train(name, False, **options)
    for key, p in found.items():
        np.testing.assert_allclose(p, expected[key], rtol=2e-5, atol=2e-6, err_msg=key)
    for key, state in one.state_dict().items():
        np.testing.assert_allclose(state, other.state_dict()[key], rtol=2e-5, atol=2e-6, err_msg=key)
    assert one.steps == other.steps


@pytest.mark.parametrize("shape", [(8, 3, 3, 3), (16, 40, 3, 3), (70, 2, 3, 3), (300, 1, 3, 3)], ids=str)
def test_a_direction_is_made_orthogonal(shape):
    """As a wide matrix, or as a tall one."""
    direction = np.random.default_rng(0).standard_normal(shape, np.float32)
    direction /= np.linalg.norm(direction)
    with cuda_on_cpu():
        found = orthogonal(direction, *ORTHOGONALISE)
    np.testing.assert_allclose(found, orthogonalise(direction.astype(np.float64)), rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["sgd", "muon"])
def test_more_parameters_than_one_launch_takes_learn_as_they_do_one_by_one(name):
    rng = np.random.default_rng(0)
    shapes = [(5,), (2, 3, 1, 1), (3, 4)] * 30
    start = [rng.standard_normal(shape, np.float32) for shape in shapes]
    gradients = [rng.standard_normal(shape, np.float32) for shape in shapes]
    found = []
    for where in (cuda_on_cpu(), backend.use_backend("reference")):
        held = [Parameter(p.copy()) for p in start]
        optimizer = make_optimizer(name, [(str(i), p) for i, p in enumerate(held)], lr=0.1, momentum=0.9)
        for i, (p, g) in enumerate(zip(held, gradients, strict=True)):
            p.grad = None if i % 7 == 0 else g.copy()  # some have none, and stay as they are
        with where:
            optimizer.step()
        found.append([p.data for p in held])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["sgd", "muon"])
def test_a_scaled_loss_changes_nothing_and_a_step_that_overflows_is_skipped(name):
    plain, _ = train(name, True, momentum=0.9)
    scaled, optimizer = train(name, True, momentum=0.9, scale=1024.0)
    for key, p in scaled.items():
        np.testing.assert_allclose(p, plain[key], rtol=1e-5, atol=1e-6)
    assert update_of(optimizer).now[2] == 1024
    two, optimizer = train(name, True, momentum=0.9, scale=1024.0, steps=1, bad=(0,))
    for key, p in two.items():
        assert np.array_equal(p, parameters()[key].data)
    assert update_of(optimizer).now[2] == 512  # the next loss is scaled by half as much


def test_a_resumed_training_goes_on_with_the_loss_scale_that_was_saved():
    _, stopped = train("sgd", True, momentum=0.9, scale=1024.0, bad=(1,))  # of three steps
    state = stopped.state_dict()
    assert state["scaling"].tolist() == [512, 1]
    resumed = make_optimizer("sgd", parameters().items(), lr=0.05, momentum=0.9)
    resumed.load_state_dict(state, 3)
    with cuda_on_cpu():
        assert update_of(resumed).scale_losses(resumed) == 512
        assert resumed.state_dict()["scaling"].tolist() == [512, 1]
    resumed.load_state_dict({**state, "scaling": np.array([8, 3], np.float32)}, 3)
    assert update_of(resumed).now[2:4].tolist() == [8, 3]
    with pytest.raises(ShapeError, match=r"scaling: found shape \(3,\), expected \(2,\)"):
        resumed.load_state_dict({**state, "scaling": np.zeros(3, np.float32)}, 3)


@pytest.mark.parametrize("kept", [{"conv", "wide"}, {"bias", "large"}, set()])
def test_a_table_of_no_parameters_is_not_launched(kept, monkeypatch):
    """A GPU would be asked for one block all the same, which would read what is not there."""
    launched = noted(monkeypatch, cuda_update)
    held = parameters()
    optimizer = make_optimizer("muon", held.items(), lr=0.05, momentum=0.6)
    for name in kept:
        held[name].grad = np.ones(held[name].shape, np.float32)
    with cuda_on_cpu():
        update_of(optimizer).scale_losses(optimizer)
        optimizer.step()
    rules = {"sgd": "bias" in kept, "turn": "conv" in kept, "look": bool(kept), "settle": True}
    assert {name: name in launched for name in rules} == rules


def test_an_optimizer_without_a_kernel_is_not_captured_and_takes_no_scaled_losses():
    """A captured learning rate would never change, and gradients would stay scaled."""
    held = parameters()
    optimizer = make_optimizer("sgd", held.items(), lr=0.1, momentum=0.9)
    optimizer.kernel = lambda: None
    model = SimpleNamespace(parameters=list)
    assert not Stepper(model, optimizer, device="cuda", graph=True).captured
    with pytest.raises(
        ConfigError, match=r"fp16 for an optimizer that has no kernel here \(SGD\), expected fp32"
    ):
        Stepper(model, optimizer, device="cuda", half=True)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_random_numbers_are_philox(counter, key, expected):
    """The known answers of Random123's own tests, for philox4x32 with 10 rounds."""
    words = np.array(counter, np.uint32), np.array(key, np.uint32)
    found = np.empty(4, np.uint32)
    with cuda_on_cpu():
        launch(
            "augment.cu", "numbers", *words, found, grid=1, block=1, HALF=0, C=1, H=1, W=1, CROP=0, CUTOUT=0
        )
    assert found.tolist() == list(expected)


@pytest.fixture(scope="module")
def images():
    return load("shapes10", limit_train=64, limit_test=10)


def batches(kind, dataset, **options):
    plain = {"mean": dataset.mean, "std": dataset.std, "shuffle": True, "drop_last": True, "seed": (3, 2)}
    return kind(dataset.train, 24, **plain, **options)


def on_device(dataset, **options):
    return batches(DeviceBatches, dataset, **options)


def test_batches_on_the_device_are_those_of_the_cpu_where_nothing_is_random(images):
    augment = Augment(pad=0, flip=True, cutout=0)
    with cuda_on_cpu():
        for epoch in (1, 2):
            here = list(batches(Batches, images, augment=augment).epoch(epoch))
            there = list(on_device(images, augment=augment).epoch(epoch))
            assert len(here) == len(there) == 2
            for (x, y), (x2, y2) in zip(here, there, strict=True):
                np.testing.assert_allclose(x2, x, atol=1e-6)
                assert x2.transpose(0, 2, 3, 1).flags.c_contiguous
                assert np.array_equal(y, y2)


def test_crops_and_holes_on_the_device_are_crops_and_holes(images):
    """Every image is its reflection, moved by some offset, with a square of zeros around some pixel."""
    pad, side = 3, 6
    with cuda_on_cpu():
        data = on_device(images, augment=Augment(pad=pad, flip=False, cutout=side))
        (x, _), *_ = data.epoch(1)
        again, _ = next(data.epoch(1))
        later, _ = next(data.epoch(2))
        plain = (
            on_device(images).images[data.order(1)[:24]] * data.scale[:, None, None]
            + data.shift[:, None, None]
        )
    assert np.array_equal(x, again)
    assert not np.array_equal(x, later)
    border = reflect(plain, pad)
    offsets = set()
    for image, whole in zip(x, border, strict=True):
        seen = [
            (i, j)
            for i in range(7)
            for j in range(7)
            if is_crop(image, whole[:, i : i + 32, j : j + 32], side)
        ]
        assert seen
        offsets.add(seen[0])
    assert len(offsets) > 10


def is_crop(image, window, side):
    """Whether the image is the window with a hole of `side`."""
    same = np.abs(image - window).max(axis=0) < 1e-5
    if same.all():
        return False  # no hole
    rows, columns = np.nonzero(~same.all(axis=1))[0], np.nonzero(~same.all(axis=0))[0]
    inside = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return not inside.any() and len(rows) <= side and len(columns) <= side


def test_float16_batches(images):
    with cuda_on_cpu():
        x, _ = next(on_device(images, dtype=np.float16).epoch(0))
        wide, _ = next(on_device(images).epoch(0))
    assert x.dtype == np.float16
    assert np.array_equal(x, wide.astype(np.float16))


class CudaError(RuntimeError):
    """As CuPy says that CUDA has said no."""

    def __init__(self, status):
        super().__init__(f"cudaError {status}")
        self.status = status


class FakeCupy:
    """As much of CuPy as a capture needs, for arrays of NumPy: a graph that only counts how often it is launched."""

    def __init__(self):
        self.launched = self.freed = 0
        self.capturing = False
        runtime = SimpleNamespace(streamCaptureModeRelaxed=2, CUDARuntimeError=CudaError)
        self.get_default_memory_pool = lambda: SimpleNamespace(free_all_blocks=lambda: None)
        self.cuda = SimpleNamespace(
            MemoryPool=self.pool,
            Memory=self.memory,
            MemoryPointer=lambda memory, offset: memory,
            memory=SimpleNamespace(OutOfMemoryError=MemoryError),
            Stream=lambda non_blocking: self,
            get_current_stream=lambda: self,
            using_allocator=lambda _: nullcontext(),
            runtime=runtime,
        )

    def pool(self, allocate):
        return SimpleNamespace(
            malloc=allocate, free_all_blocks=self.free, set_limit=lambda size: None, total_bytes=lambda: 7
        )

    def memory(self, size):
        if size > 100:
            raise CudaError(2 if size == 1000 else 700)
        return size

    def free(self):
        self.freed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def synchronize(self):
        pass

    def begin_capture(self, mode):
        assert mode == 2
        self.capturing = True

    def end_capture(self):
        self.capturing = False
        return self

    def launch(self):
        self.launched += 1


class TestCapturedStep:
    """The logic around a capture; what a graph does on a GPU, `test_gpu.py` tests."""

    @pytest.fixture
    def cupy(self, monkeypatch):
        cupy = FakeCupy()
        monkeypatch.setattr(cuda_capture, "cupy_module", lambda: cupy)
        return cupy

    def test_it_is_captured_at_the_third_call_and_replayed_from_then_on(self, cupy):
        seen, told = [], []

        def step(x, y):
            seen.append((len(x), cupy.capturing))
            return x

        captured = cuda_capture.CapturedStep(step, before=lambda: told.append(len(seen)))
        for n in (4, 4, 4, 4, 3, 4):
            captured(np.full((n, 2), n + 0.5), np.arange(n))
        assert seen == [(4, False), (4, False), (4, True), (3, False)]  # the fifth has another size
        assert cupy.launched == 3
        assert told == [0, 1, 2, 3, 3, 4]  # ahead of every step, and never in a capture
        x = np.full((4, 2), 9.0)
        assert np.array_equal(captured(x, np.arange(4)), x)  # the batch was copied to its fixed place

    def test_only_a_size_that_is_warm_is_captured(self, cupy):
        seen = []
        captured = cuda_capture.CapturedStep(lambda x, y: seen.append(cupy.capturing), before=int)
        for n in (4, 4, 3, 4, 4, 4):
            captured(np.ones(n), np.ones(n))
        assert seen == [False] * 5 + [True]

    def test_the_pool_of_a_graph_asks_once_for_memory(self, cupy):
        """At an error of CUDA itself, CuPy's pools would free what the graph writes to, and ask again."""
        pool = cuda_capture.lasting_pool(cupy)
        assert pool.malloc(10) == 10
        with pytest.raises(MemoryError) as raised:
            pool.malloc(1000)
        assert raised.value.args == (1000, 7)
        with pytest.raises(CudaError):
            pool.malloc(700)

    def test_a_graph_that_is_released_gives_its_memory_back(self, cupy):
        captured = cuda_capture.CapturedStep(lambda x, y: x, before=lambda: None)
        for _ in range(4):
            captured(np.ones(2), np.ones(2))
        assert cupy.freed == 0
        captured.release()
        assert (captured.graph, captured.inputs, captured.results, cupy.freed) == (None, None, None, 1)

    @pytest.mark.parametrize("error", [NotImplementedError, RuntimeError, MemoryError])
    def test_a_step_that_cannot_be_captured_runs_without(self, cupy, error):
        def step(x, y):
            if cupy.capturing:
                raise error("cublas in a capture")
            return x.sum()

        captured = cuda_capture.CapturedStep(step, before=lambda: None)
        assert [captured(np.ones(2), np.ones(2)) for _ in range(5)] == [2] * 5
        assert captured.why_not == "cublas in a capture"
        assert (cupy.launched, cupy.freed) == (0, 1)
