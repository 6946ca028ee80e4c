"""Convolutions that are left to cuDNN: on the CPU with a stand-in for it, on a GPU with cuDNN itself."""

import sys
import weakref
from functools import partial

import numpy as np
import pytest
from cli_runs import failed, minise
from cuda_on_cpu import WHY_NOT, LateBranch, cuda_on_cpu, owner, without_owner
from small_networks import NETWORKS, losses
from test_cuda_kernels import EXACT, TYPES, OnGpu, maps, results, weights

from minise import backend
from minise.errors import ConfigError
from minise.kernels.cuda import cudnn as cuda_cudnn
from minise.kernels.cuda import side_stream as cuda_aside
from minise.kernels.cuda.cudnn import Convolution, W, X, Y
from minise.ops import conv2d
from minise.ops.conv2d import conv2d_backward, conv2d_forward


class StandIn:
    """A plan that the reference carries out in float64; on a branch as late as it may be."""

    room = 7

    def __init__(self, of):
        self.of = of

    def __call__(self, *arrays):
        assert arrays[3].nbytes == self.room
        owners = [weakref.ref(owner(a)) for a in arrays]
        self.run = partial(self.compute, *map(without_owner, arrays))
        if LateBranch.open is None:
            self.run()
        else:
            LateBranch.open.append(Later(owners, self.run))

    def compute(self, x, w, y, room):
        of = self.of
        x, w, y = (
            a.reshape(n, *size, c).transpose(0, 3, 1, 2)
            for a, (n, c, *size) in zip((x, w, y), (of.x, of.w, of.y), strict=True)
        )
        assert {a.dtype for a in (x, w, y)} == {np.dtype(np.float16 if of.half else np.float32)}
        wide = {uid: a.astype(np.float64) for uid, a in ((X, x), (W, w), (Y, y)) if uid != of.result}
        wide = {of.result: np.zeros((x, w, y)[of.result - 1].shape)} | wide
        made, saved = conv2d_forward(wide[X], wide[W], None, stride=of.stride, padding=of.padding)
        if of.result == Y:
            y[...] = made
        elif of.result == X:
            x[...] = conv2d_backward(wide[Y], saved, (True, False))[0]
        else:
            w[...] = conv2d_backward(wide[Y], saved, (False, True))[1]


class Later:
    """What a branch runs when it is waited for."""

    def __init__(self, owners, run):
        self.owners, self.then = owners, run

    def run(self):
        assert all(held() is not None for held in self.owners), "its memory was given back"
        self.then()


@pytest.fixture
def stand_in(monkeypatch):
    """cuDNN as if it were installed."""
    made = []
    monkeypatch.setattr(cuda_cudnn, "maker", lambda of: (made.append(of), StandIn(of))[1])
    monkeypatch.setattr(cuda_cudnn, "ready", lambda: None)
    monkeypatch.setattr(cuda_cudnn, "installed", lambda: True)
    monkeypatch.setattr(cuda_cudnn, "chosen", "auto")
    for name in ("plans", "problems"):
        monkeypatch.setattr(cuda_cudnn, name, {})
    return made


on_cpu = pytest.mark.skipif(WHY_NOT is not None, reason=WHY_NOT or "")
SHAPES = pytest.mark.parametrize(
    ("x", "w", "stride", "padding"),
    [
        ((2, 8, 8, 8), (16, 8, 3, 3), 1, 1),
        ((3, 5, 9, 7), (4, 5, 3, 3), 2, 1),
        ((2, 8, 6, 6), (8, 8, 1, 1), 2, 0),
    ],
)


def close(found, expected, exact):
    for a, b in zip(found, expected, strict=True):
        assert np.abs(backend.to_numpy(a) - b).max() <= exact * np.abs(b).max()


@on_cpu
@TYPES
@SHAPES
def test_results_are_the_references(stand_in, x, w, stride, padding, dtype):
    rng = np.random.default_rng(0)
    inputs = maps(rng, *x, dtype=dtype), weights(rng, *w, dtype=dtype)
    options = {"stride": stride, "padding": padding}
    cuda_cudnn.choose("cudnn")
    with cuda_on_cpu():
        found = results(conv2d, inputs, options, None)
    with backend.use_backend("reference"):
        close(found, results(conv2d, inputs, options, np.float64), EXACT[dtype])
    assert sorted(of.result for of in stand_in) == [X, W, Y]
    assert found[0].dtype == found[1].dtype == dtype
    assert found[2].dtype == np.float32


@pytest.mark.gpu
@TYPES
@SHAPES
def test_cudnn_computes_what_the_reference_does(x, w, stride, padding, dtype, monkeypatch):
    if not cuda_cudnn.installed():
        pytest.skip("needs cuDNN: pip install 'minise[cudnn13]'")
    rng = np.random.default_rng(0)
    inputs, options = (
        (maps(rng, *x, dtype=dtype), weights(rng, *w, dtype=dtype)),
        {"stride": stride, "padding": padding},
    )
    monkeypatch.setattr(cuda_cudnn, "chosen", "cudnn")
    with OnGpu.context():
        found = results(conv2d, inputs, options, None, OnGpu.put)
    with backend.use_backend("reference"):
        close(found, results(conv2d, inputs, options, np.float64), EXACT[dtype])
    assert not cuda_cudnn.problems


@pytest.mark.gpu
@pytest.mark.parametrize("half", [False, True])
def test_a_captured_step_with_cudnn_is_the_step_bit_for_bit(half, monkeypatch):
    if not cuda_cudnn.installed():
        pytest.skip("needs cuDNN: pip install 'minise[cudnn13]'")
    monkeypatch.setattr(cuda_cudnn, "chosen", "cudnn")
    runs = [
        losses("resnet8", "sgd", steps=20, images=64, half=half, device="cuda", graph=graph)
        for graph in (False, True)
    ]
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(p, runs[1][1][name]) for name, p in runs[0][1].items())


@on_cpu
def test_a_training_step_with_all_convolutions_left_to_it(stand_in, monkeypatch):
    """Gradients of weights beside the rest, where nothing that they need is given back."""
    monkeypatch.setattr(cuda_aside, "capturing", lambda: True)
    cuda_cudnn.choose("cudnn")
    with cuda_on_cpu():
        found, _ = losses("resnet8", "sgd", steps=2, images=2, device="cuda")
    with backend.use_backend("reference"):
        expected, _ = losses("resnet8", "sgd", steps=2, images=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    made = [of for of in stand_in if of.result == Y]
    assert len({of.w for of in made}) == len(
        {p.shape for p in NETWORKS["resnet8"]().parameters() if p.ndim == 4}
    )
    assert len(set(stand_in)) == len(stand_in)  # each is planned once


def convolution(channels, half):
    return Convolution(Y, (2, channels, 8, 8), (128, channels, 3, 3), (2, 128, 8, 8), 1, 1, half)


def test_auto_leaves_wide_layers_in_float16_to_it(stand_in):
    for how, expected in (
        ("auto", [True, False, False]),
        ("own", [False] * 3),
        ("cudnn", [True] * 3),
    ):
        cuda_cudnn.choose(how)
        asked = convolution(128, True), convolution(64, True), convolution(128, False)
        assert [cuda_cudnn.plan_of(of) is not None for of in asked] == expected


@on_cpu
def test_what_it_has_no_kernel_for_is_ours(stand_in, monkeypatch):
    def none(of):
        raise LookupError("no kernel\nat all")  # of a kind of its own

    monkeypatch.setattr(cuda_cudnn, "maker", none)
    cuda_cudnn.choose("cudnn")
    rng = np.random.default_rng(0)
    inputs = maps(rng, 2, 4, 6, 6, dtype=np.float32), weights(rng, 8, 4, 3, 3)
    with cuda_on_cpu():
        found = results(conv2d, inputs, {"padding": 1}, None)
    with backend.use_backend("reference"):
        close(found, results(conv2d, inputs, {"padding": 1}, np.float64), EXACT[np.float32])
    assert set(cuda_cudnn.problems.values()) == {"no kernel at all"}
    assert len(cuda_cudnn.problems) == 3


def test_without_cudnn_auto_is_ours_and_asking_for_it_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", None)
    monkeypatch.setattr(cuda_cudnn, "chosen", "auto")
    for cached in (cuda_cudnn.frontend, cuda_cudnn.installed):
        cached.cache_clear()
    try:
        assert cuda_cudnn.plan_of(convolution(128, True)) is None
        with pytest.raises(
            ConfigError, match=r"cuDNN is not installed; expected pip install 'minise\[cudnn13\]'"
        ):
            cuda_cudnn.choose("cudnn")
        assert cuda_cudnn.chosen == "auto"
        with pytest.raises(ConfigError, match="conv: found 'mine', expected one of auto, own, cudnn"):
            cuda_cudnn.choose("mine")
    finally:
        cuda_cudnn.installed.cache_clear()


class Broken:
    """A frontend whose library cannot be used."""

    def __getattr__(self, name):
        raise OSError("libcudnn.so.9:\ncannot open")


def test_a_cudnn_that_is_broken_is_told_in_one_line_and_auto_does_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "cudnn", Broken())
    monkeypatch.setattr(cuda_cudnn, "chosen", "auto")
    for cached in (cuda_cudnn.frontend, cuda_cudnn.installed):
        cached.cache_clear()
    try:
        assert cuda_cudnn.plan_of(convolution(128, True)) is None
        with pytest.raises(ConfigError, match=r"cuDNN cannot be used \(.*\); expected pip install") as raised:
            cuda_cudnn.choose("cudnn")
        assert "\n" not in str(raised.value)
    finally:
        cuda_cudnn.installed.cache_clear()


def test_the_command_refuses_cudnn_on_the_cpu(tmp_path):
    options = ("--dataset", "shapes10", "--device", "cpu", "--conv", "cudnn", "--run", tmp_path / "run")
    failed(minise("train", *options), 2, "conv", "cudnn on the CPU", "--device cuda")
    assert not (tmp_path / "run").exists()
