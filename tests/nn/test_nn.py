"""Modules, their state, and the table of models."""

import numpy as np
import pytest

from minise import ops
from minise.errors import ConfigError, ShapeError
from minise.gradcheck import check_gradients
from minise.models import MODELS, build, describe
from minise.nn import SE, Activation, BatchNorm, Conv2d, Dropout, Linear, Sequential, norm_act
from minise.nn.init import kaiming_normal, lecun_normal
from minise.nn.module import evaluating
from minise.tape import Tensor, no_grad, watch

RNG = np.random.default_rng


def small():
    rng = RNG(0)
    return Sequential(
        Conv2d(3, 4, 3, padding=1, bias=False, rng=rng),
        BatchNorm(4),
        Activation("prelu", 4),
        SE(4, reduction=2, rng=rng),
    )


def test_names_follow_the_attributes():
    assert [name for name, _ in small().named_parameters()] == [
        "steps.0.weight",
        "steps.1.weight",
        "steps.1.bias",
        "steps.2.alpha",
        "steps.3.weight1",
        "steps.3.bias1",
        "steps.3.weight2",
        "steps.3.bias2",
        "steps.3.alpha",
    ]
    assert [name for name, _ in small().named_buffers()] == ["steps.1.running_mean", "steps.1.running_var"]
    kinds = {p.kind for p in small().parameters()}
    assert kinds == {"weight", "bias", "norm", "alpha"}


def test_state_goes_round():
    model, other = build("se-convnet", seed=1), build("se-convnet", seed=2)
    x = Tensor(RNG(0).standard_normal((2, 3, 8, 8)).astype(np.float32))
    model(x)
    other.load_state_dict(model.state_dict())
    assert np.array_equal(model.eval()(x).data, other.eval()(x).data)
    state = model.state_dict()
    state["classifier.weight"][...] = 0
    assert model.state_dict()["classifier.weight"].any()


def test_state_is_contiguous_whatever_the_model_holds():
    model = Linear(4, 3, rng=RNG(0))
    model.weight.data = np.asfortranarray(model.weight.data)
    assert model.state_dict()["weight"].flags.c_contiguous


def test_state_that_does_not_fit_changes_nothing():
    model = small()
    before = model.state_dict()
    good = small().state_dict()
    for state, message in (
        ({k: v for k, v in good.items() if k != "steps.1.bias"}, "lacks 1 of .* steps.1.bias"),
        (good | {"extra": np.zeros(1)}, "has unknown 1 of .* extra"),
        (good | {"steps.3.alpha": np.zeros(2)}, r"steps.3.alpha has shape \(2,\), expected \(\)"),
    ):
        with pytest.raises(ShapeError, match=message):
            model.load_state_dict(state)
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())


def test_loading_keeps_the_dtype():
    model = small().to(dtype=np.float64)
    model.load_state_dict(small().state_dict())
    assert {a.dtype for a in model.state_dict().values()} == {np.dtype(np.float64)}


def test_batch_norm_tracks_in_training_and_uses_it_after():
    bn = BatchNorm(2)
    x = Tensor(RNG(0).standard_normal((8, 2, 3, 3)).astype(np.float32) + 5)
    for _ in range(200):
        bn(x)
    assert np.allclose(bn.running_mean.data, x.data.mean(axis=(0, 2, 3)), atol=1e-4)
    y = bn.eval()(x)
    assert np.allclose(y.data.mean(), 0, atol=0.1)
    assert bn.running_mean.data.dtype == np.float32


def test_batch_norm_without_scale_and_shift_has_nothing_that_learns():
    x = Tensor(RNG(0).standard_normal((4, 3, 5, 5)))
    plain, other = BatchNorm(3), BatchNorm(3, scale=False, shift=False)
    assert other.parameters() == []
    assert [name for name, _ in BatchNorm(3, scale=False).named_parameters()] == ["bias"]
    assert other.state_dict().keys() == plain.state_dict().keys()
    for apply in (lambda norm: norm(x), lambda norm: norm_act(x, norm)):
        assert np.array_equal(apply(other).data, apply(plain).data)
        assert apply(other).node is None


def test_a_fastnet_learns_nothing_before_its_first_group():
    """So that the first convolution that learns is spared its gradient of x."""
    seen = []
    model = build("se-fastnet")
    with watch(lambda call: seen.append(call) if call.backward and call.op == "conv2d" else None):
        model(Tensor(np.ones((2, 3, 8, 8), np.float32))).backward(np.ones((2, 10), np.float32))
    assert len(seen) == 6
    assert [call.results[0] is None for call in seen] == [False] * 5 + [True]


def test_dropout_only_in_training():
    layer = Dropout(0.5, rng=RNG(0))
    x = Tensor(np.ones((4, 4)))
    assert (layer(x).data == 0).any()
    assert layer.eval()(x) is x


@pytest.mark.parametrize(
    ("channels", "reduction", "hidden"), [(16, 16, 1), (64, 16, 4), (20, 16, 1), (8, 16, 1), (16, 1, 16)]
)
def test_the_effective_width_of_an_excitation(channels, reduction, hidden):
    assert SE(channels, reduction=reduction, rng=RNG(0)).hidden == hidden


def test_gates_start_where_they_are_told():
    u = Tensor(np.ones((2, 16, 3, 3), np.float32))
    for gate_bias, expected in ((0.0, 0.5), (2.0, 1 / (1 + np.exp(-2)))):
        layer = SE(16, gate_bias=gate_bias, rng=RNG(0))
        assert (layer.bias2.data == gate_bias).all()
        layer.weight2.data[:] = 0
        assert np.allclose(layer(u).data, expected)


def test_layers_refuse_what_they_cannot_use():
    for make, message in (
        (lambda: SE(4, reduction=0, rng=RNG(0)), "reduction: found 0"),
        (lambda: SE(4, act="swash", rng=RNG(0)), "act: 'swash' is unknown, expected one of relu, felu"),
        (lambda: SE(4, alpha="image", rng=RNG(0)), "alpha: 'image' is unknown"),
        (lambda: SE(4, bias=False, gate_bias=2.0, rng=RNG(0)), "gate_bias: found 2.0, but the block has no"),
    ):
        with pytest.raises(ConfigError, match=message):
            make()


def test_linear_layer_with_and_without_bias():
    x = Tensor(np.ones((2, 3), np.float32))
    assert Linear(3, 4, rng=RNG(0))(x).shape == (2, 4)
    assert Linear(3, 4, bias=False, rng=RNG(0)).bias is None


# --- models ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "millions_of_multiply_adds"),
    [("resnet20", 269_722, 40.6), ("resnet56", 853_018, 125.5), ("resnet110", 1_727_962, 252.9)],
)
def test_resnets_have_the_published_size(name, parameters, millions_of_multiply_adds):
    info = describe(build(name))
    assert info.parameters == parameters
    assert info.flops / 2e6 == pytest.approx(millions_of_multiply_adds, abs=0.3)
    assert info.se_widths == ()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_runs_and_every_parameter_learns(name):
    model = build(name, classes=7)
    x = RNG(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    y = model(Tensor(x))
    assert y.shape == (2, 7)
    assert y.dtype == np.float32
    ops.softmax_cross_entropy(y, np.array([0, 6])).backward()
    assert all(p.grad is not None and p.grad.dtype == np.float32 for p in model.parameters())


def test_initial_weights_have_the_variance_of_their_rule():
    rng = np.random.default_rng(0)
    assert np.std(kaiming_normal((200, 50, 3, 3), rng)) == pytest.approx(np.sqrt(2 / (200 * 9)), rel=0.02)
    assert np.std(kaiming_normal((200, 50, 3, 3), rng, fan="in")) == pytest.approx(
        np.sqrt(2 / (50 * 9)), rel=0.02
    )
    assert np.std(lecun_normal((200, 500), rng)) == pytest.approx(np.sqrt(1 / 500), rel=0.02)


def test_a_residual_block_is_its_formula():
    """The shortcut takes every other pixel, with new channels of zeros on both sides; ReLU comes after the sum."""
    block = build("resnet20").blocks[3].to(dtype=np.float64).eval()
    x = np.random.default_rng(0).standard_normal((2, 16, 8, 8))
    r = block.bn2(block.conv2(block.act1(block.bn1(block.conv1(Tensor(x)))))).data
    shortcut = np.zeros((2, 32, 4, 4))
    shortcut[:, 8:24] = x[:, :, ::2, ::2]
    assert np.allclose(block(Tensor(x)).data, np.maximum(r + shortcut, 0))


def test_alpha_of_the_trunk_is_one_a_layer_or_one_a_channel():
    for alpha, shapes in (("layer", {()}), ("channel", {(16,), (32,), (64,)})):
        model = build("convnet", trunk_act="felu", alpha=alpha)
        assert {p.shape for p in model.parameters() if p.kind == "alpha"} == shapes


def test_describe_shows_the_bottlenecks_and_leaves_the_model_alone():
    model = build("se-resnet20", reduction=16)
    before = model.state_dict()
    info = describe(model)
    assert info.se_widths == (1, 1, 1, 2, 2, 2, 4, 4, 4)
    assert model.training
    assert all(np.array_equal(before[k], v) for k, v in model.state_dict().items())


def test_arms_of_one_seed_share_their_trunk():
    arms = [build("resnet20", seed=3), *(build("se-resnet20", act=act, seed=3) for act in ("relu", "felu"))]
    states = [arm.state_dict() for arm in arms]
    trunk = set(states[0])
    assert all(np.array_equal(states[0][k], s[k]) for s in states for k in trunk)
    se = set(states[1]) - trunk
    assert all(np.array_equal(states[1][k], states[2][k]) for k in se)
    assert set(states[2]) - set(states[1]) == {f"blocks.{i}.se.alpha" for i in range(9)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet21"}, "model: 'resnet21' is unknown, expected one of"),
        ({"name": "resnet20", "act": "felu"}, "act: resnet20 has no SE blocks"),
        ({"name": "resnet20", "reduction": 4}, "reduction: resnet20 has no SE blocks"),
        ({"name": "se-resnet20", "act": "swosh"}, "act: 'swosh' is unknown"),
        ({"name": "convnet", "classes": 1}, "classes: found 1"),
    ],
)
def test_models_refuse_what_they_cannot_use(options, message):
    with pytest.raises(ConfigError, match=message):
        build(**options)


@pytest.mark.parametrize("act", ["relu", "felu", "elu"])
def test_the_gradient_of_a_whole_model(act):
    """A few random directions through a small SE convnet, in float64, in training mode.

    The trunk is smooth (tanh) so that small steps cross no kink but those of the excitation and the pooling.
    """
    model = build("se-convnet", act=act, trunk_act="tanh", reduction=4, classes=3).to(dtype=np.float64)
    rng = RNG(0)
    x, labels = rng.standard_normal((4, 3, 8, 8)), np.array([0, 1, 2, 0])
    parameters = model.parameters()

    def loss(*values):
        for p, value in zip(parameters, values, strict=True):
            p.data = value.data
        y = ops.softmax_cross_entropy(model(Tensor(x)), labels)
        if y.node is None:
            return y
        y.backward()
        grads = [p.grad for p in parameters]
        model.zero_grad()
        # hand the gradients over to the checker's own leaves
        total = Tensor(y.data)
        for value, grad in zip(values, grads, strict=True):
            total = total + ops.sum_((value - value.data) * grad)
        return total

    worst = check_gradients(loss, [p.data for p in parameters], rng, directions=2, tolerance=1e-5)
    assert worst.error <= 1e-5
    with no_grad():
        assert np.isfinite(loss(*[Tensor(p.data) for p in parameters]).data)


@pytest.mark.parametrize(("name", "side"), [("fastnet", 3), ("fastnet-wide", 2)])
def test_whitening_makes_patches_independent_of_variance_1(name, side):
    rng = RNG(0)
    rough = rng.standard_normal((200, 3, 16, 16))
    images = (
        rough + np.roll(rough, 1, axis=2) + 0.5 * np.roll(rough, 1, axis=3) + rough.sum(axis=1, keepdims=True)
    )
    model = build(name)
    model.calibrate(images.astype(np.float32))
    weight = model.whitening.weight.data
    assert not weight[..., side:, :].any()
    assert not weight[..., side:].any()
    with no_grad():
        y = ops.conv2d(Tensor(images.astype(np.float32)), weight[..., :side, :side]).data
    flat = y.transpose(1, 0, 2, 3).reshape(24, -1)
    assert np.abs(np.cov(flat[:12]) - np.eye(12)).max() < 0.01
    assert np.allclose(flat[:12], -flat[12:], atol=1e-5)


def test_a_fastnets_convolutions_start_as_the_identity():
    weight = build("fastnet").groups[1].conv1.weight.data
    x = RNG(0).standard_normal((2, 64, 6, 6)).astype(np.float32)
    assert np.allclose(ops.conv2d(Tensor(x), weight, padding=1).data[:, :64], x, atol=1e-6)
    assert weight[64:].std() > 0


def test_evaluating_gives_each_module_its_mode_back():
    model = small()
    model.steps[1].eval()
    modes = [m.training for _, m in model.named_modules()]
    assert modes == [True, True, False, True, True, *modes[5:]]
    with evaluating(model):
        assert not any(m.training for _, m in model.named_modules())
    with pytest.raises(TypeError), evaluating(model):
        model()
    assert [m.training for _, m in model.named_modules()] == modes
