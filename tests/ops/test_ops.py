"""Values against slow and independent definitions, kinks and ties on purpose, and what bad shapes get."""

import math

import numpy as np
import pytest

from minise import backend
from minise.errors import ConfigError, ShapeError
from minise.ops import ACTIVATIONS, OPS, batch_norm_act
from minise.tape import Tensor

ONE = (True,)


def forward(name, *arrays, **options):
    return OPS[name].forward(*arrays, **options)[0]


def gradients(name, gy, *arrays, **options):
    _, saved = OPS[name].forward(*arrays, **options)
    return OPS[name].backward(np.asarray(gy), saved, (True,) * len(arrays))


# --- activations: kinks, signs, precision ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "at_zero"),
    [("relu", 0.0), ("felu", -0.7), ("elu", 1.0), ("leaky_relu", 0.01), ("prelu", -0.7)],
)
def test_derivative_at_zero_is_that_of_the_left_branch(name, at_zero):
    x = np.zeros((1, 1))
    inputs = [np.asarray(-0.7)] if ACTIVATIONS[name].start is not None else []
    assert forward(name, x, *inputs) == 0
    assert gradients(name, [[1.0]], x, *inputs)[0].item() == at_zero


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_the_formulas_of_a_row_are_what_the_op_computes(act):
    row, alpha = ACTIVATIONS[act], -0.7
    x = np.array([[*np.linspace(-6, 6, 49), -1e200, -1e20, -1e13, -100, -30, 30, 100, 1e13, 1e20, 1e200]])
    form, inputs = row.formula, [] if row.start is None else [np.asarray(alpha)]
    names = {
        "sqrt": np.sqrt,
        "pi": np.pi,
        "exp": np.exp,
        "expm1": np.expm1,
        "tanh": np.tanh,
        "a": row.fixed if row.start is None else alpha,
    }

    def by(below, above):
        """The formulas of the two sides, at x."""
        y = forward(act, x, *inputs)
        with np.errstate(over="ignore"):
            return np.where(x > 0, *(eval(text, names, {"x": x, "y": y}) for text in (above, below)))

    def close(found, expected):
        return np.allclose(found, expected, rtol=1e-12, atol=0)

    gx, *galpha = gradients(act, np.ones_like(x), x, *inputs)
    assert close(forward(act, x, *inputs), by(form.below, form.above))
    assert close(gx, by(form.slope, form.slope_above))
    assert [close(g, by(form.learns, "0").sum()) for g in galpha] == [True] * len(inputs)


def test_felu_is_the_published_formula_and_elu_at_alpha_one():
    x = np.linspace(-5, 5, 101).reshape(1, -1)
    published = np.where(x > 0, x, 1.3 * (2 ** (x / math.log(2)) - 1))
    assert np.allclose(forward("felu", x, np.asarray(1.3)), published, rtol=1e-13, atol=1e-15)
    assert np.array_equal(forward("felu", x, np.asarray(1.0)), forward("elu", x))


def test_felu_keeps_float32_precision_near_zero():
    """2^(x / ln 2) - 1 is off by 19 % at -1e-7 in float32."""
    x = np.array([[-1e-6, -1e-7, -1e-8]], np.float32)
    assert np.allclose(forward("felu", x, np.float32(1)), x, rtol=1e-5, atol=0)


def test_felu_with_a_negative_alpha_goes_by_the_sign_of_x():
    x = np.array([[-1.0, 2.0]])
    e = math.expm1(-1)
    assert np.allclose(forward("felu", x, np.asarray(-0.5)), [[-0.5 * e, 2.0]])
    gx, galpha = gradients("felu", [[3.0, 5.0]], x, np.asarray(-0.5))
    assert np.allclose(gx, [[3 * -0.5 * math.exp(-1), 5.0]])
    assert galpha == pytest.approx(3 * e)


def test_a_parameter_per_channel_collects_per_channel():
    x = -np.ones((2, 3, 2, 2))
    gy = np.arange(24.0).reshape(2, 3, 2, 2)
    assert np.allclose(gradients("prelu", gy, x, np.zeros(3))[1], -gy.sum(axis=(0, 2, 3)))


def test_dead_relu_gets_exactly_no_gradient():
    assert np.array_equal(gradients("relu", [[1.0, 1.0]], np.array([[-1.0, -1e-30]]))[0], [[0, 0]])


def test_sigmoid_neither_overflows_nor_loses_its_tail():
    x = np.array([-1000.0, -30.0, 0.0, 30.0, 1000.0])
    assert np.allclose(forward("sigmoid", x), [0, 9.357622968839299e-14, 0.5, 1, 1], rtol=1e-12, atol=0)


def test_gelu_is_close_to_x_times_the_normal_distribution():
    x = np.array([-1e4, -3.0, -1.0, 0.0, 1.0, 3.0, 1e4])
    y = [0, -0.00404970, -0.15865525, 0, 0.84134475, 2.99595030, 1e4]
    assert np.allclose(forward("gelu", x), y, rtol=0, atol=5e-4)
    gx = gradients("gelu", np.ones(7), x)[0]
    assert np.allclose(gx, [0, -0.01194565, -0.08331547, 0.5, 1.08331547, 1.01194565, 1], rtol=0, atol=1e-3)


# --- ties ------------------------------------------------------------------------------------------------------


def test_max_shares_its_gradient_between_ties():
    assert np.allclose(gradients("max", [6.0], np.array([[1.0, 1.0, 0.0]]), axis=1)[0], [[3, 3, 0]])


def test_max_pool_gives_ties_to_the_first():
    gx = gradients("max_pool2d", np.full((1, 1, 1, 1), 5.0), np.zeros((1, 1, 2, 2)), kernel=2)[0]
    assert np.array_equal(gx[0, 0], [[5, 0], [0, 0]])


def test_padding_never_wins_a_maximum():
    assert forward("max_pool2d", np.full((1, 1, 2, 2), -3.0), kernel=3, padding=1).max() == -3


# --- definitions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("name", ["reference", "numpy"])
def test_conv2d_is_its_sum(name, stride, padding):
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((2, 3, 3, 2)), rng.standard_normal(2)
    with backend.use_backend(name):
        y = OPS["conv2d"](x, w, b, stride=stride, padding=padding).data
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    for n, k, i, j in np.ndindex(y.shape):
        window = padded[n, :, i * stride : i * stride + 3, j * stride : j * stride + 2]
        assert y[n, k, i, j] == pytest.approx((window * w[k]).sum() + b[k])


@pytest.mark.parametrize("name", ["reference", "numpy"])
def test_batch_norm_normalises_and_follows_the_statistics(name):
    x = 3 * np.random.default_rng(0).standard_normal((6, 2, 3, 3)) + 1000
    mean, var = np.zeros(2), np.ones(2)
    with backend.use_backend(name):
        y = OPS["batch_norm"](x, np.ones(2), np.zeros(2), running=(mean, var), momentum=0.25, eps=0.0).data
    assert np.allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-10)
    assert np.allclose(y.var(axis=(0, 2, 3)), 1, atol=1e-10)
    assert np.allclose(mean, 0.25 * x.mean(axis=(0, 2, 3)))
    assert np.allclose(var, 0.75 + 0.25 * x.var(axis=(0, 2, 3), ddof=1))


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
def test_batch_norm_keeps_float32_precision_far_from_zero(name):
    x = (np.random.default_rng(0).standard_normal((64, 1, 8, 8)) + 1000).astype(np.float32)
    with backend.use_backend(name):
        y = OPS["batch_norm"](x, np.ones(1, np.float32), np.zeros(1, np.float32)).data
    wide = x.astype(np.float64)
    assert np.allclose(y, (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5), atol=2e-3)


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
def test_batch_norm_outside_training_keeps_the_statistics_that_it_used(name):
    """What moves the running statistics between forward and backward must not move the gradient."""
    rng = np.random.default_rng(0)
    x, gy = (rng.standard_normal((4, 2, 3, 3)).astype(np.float32) for _ in range(2))
    w, b = np.ones(2, np.float32), np.zeros(2, np.float32)
    running = np.array([1, -1], np.float32), np.array([4, 9], np.float32)
    expected = (gy * (x - running[0][:, None, None])).sum(axis=(0, 2, 3)) / np.sqrt(running[1] + 1e-5)
    with backend.use_backend(name):
        y = OPS["batch_norm"](
            Tensor(x), weight := Tensor(w, requires_grad=True), Tensor(b), running=running, train=False
        )
        for a in running:
            a += 100
        y.backward(gy)
    assert np.allclose(weight.grad, expected, rtol=1e-4)


def test_batch_norm_outside_training_is_affine():
    x = np.random.default_rng(0).standard_normal((4, 2))
    running = (np.array([1.0, 2.0]), np.array([4.0, 9.0]))
    y = forward("batch_norm", x, np.ones(2), np.ones(2), running=running, train=False, eps=0.0)
    assert np.allclose(y, (x - [1, 2]) / [2, 3] + 1)


def test_cross_entropy_against_its_definition():
    x, labels = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    t = 0.8 * np.eye(4)[labels] + 0.2 / 4
    assert forward("softmax_cross_entropy", x, labels, smoothing=0.2) == pytest.approx(
        -(t * np.log(p)).sum(axis=1).mean()
    )
    assert np.isfinite(forward("softmax_cross_entropy", 1e4 * x, labels))


def test_dropout_keeps_the_mean():
    y = forward("dropout", np.ones(100_000), p=0.25, rng=np.random.default_rng(0))
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert y.mean() == pytest.approx(1, abs=0.01)


def test_se_gives_u_a_gradient_through_the_gate():
    """With a zero direct path (s = 0 would do; here gy = 0 at one pixel) the gate still reaches that pixel."""
    rng = np.random.default_rng(0)
    u, gy = rng.standard_normal((1, 2, 3, 3)), np.zeros((1, 2, 3, 3))
    gy[0, 0, 0, 0] = 1.0
    weights = [rng.standard_normal(s) for s in ((2, 2), (2,), (2, 2), (2,))]
    gu = gradients("se", gy, u, *weights, act="sigmoid")[0]
    assert np.all(gu != 0)
    assert np.allclose(gu[0, 1], gu[0, 1, 0, 0])


# --- what bad input gets ---------------------------------------------------------------------------------------

Z = np.zeros
BAD = {
    "conv2d": [
        ((Z((1, 2, 5, 5)), Z((3, 4, 3, 3))), {}, r"x \(1, 2, 5, 5\) and w \(3, 4, 3, 3\) do not fit"),
        ((Z((1, 2, 2, 2)), Z((3, 2, 3, 3))), {}, r"window of 3 does not fit in 2 \+ 2·0"),
        ((Z((1, 2, 5, 5)), Z((3, 2, 3, 3))), {"stride": 0}, "stride 0"),
        ((Z((1, 2, 5, 5)), Z((3, 2, 3, 3)), Z(2)), {}, r"b has shape \(2,\), expected \(3,\)"),
    ],
    "linear": [((Z((2, 3)), Z((4, 5))), {}, r"expected \(n, in\) and \(out, in\)")],
    "matmul": [((Z((2, 3)), Z((4, 5))), {}, "do not fit"), ((Z((2, 1, 3)), Z((4, 3, 5))), {}, "broadcast")],
    "reshape": [((Z((2, 3)),), {"shape": (4, 2)}, r"6 elements, which do not fit \(4, 2\)")],
    "transpose": [((Z((2, 3)),), {"axes": (0, 0)}, "do not permute")],
    "slice": [((Z(3),), {"index": (slice(1), slice(1))}, "at most 1 slices")],
    "pad": [((Z(3),), {"widths": ((1, -1),)}, "not 1 pairs")],
    "max_pool2d": [
        ((Z((1, 1, 4, 4)),), {"kernel": 2, "padding": 2}, "more than half"),
        ((Z(4),), {"kernel": 2}, "x has"),
        ((Z((1, 1, 4, 4)),), {"kernel": 2, "stride": 0}, "stride 0"),
    ],
    "avg_pool2d": [
        ((Z((1, 1, 2, 2)),), {"kernel": 3}, "does not fit"),
        ((Z((1, 1, 2, 2)),), {"kernel": 2, "stride": 0}, "stride 0"),
    ],
    "sum": [((Z((2, 3)),), {"axis": 2}, r"axis is 2, expected axes of x \(2, 3\)")],
    "mean": [((Z((2, 3)),), {"axis": (0, -2)}, "each once")],
    "max": [
        ((Z((2, 3)),), {"axis": (0, 2)}, "expected axes of x"),
        ((Z((2, 0)),), {"axis": 0}, "is empty"),
    ],
    "global_avg_pool": [((Z((2, 3)),), {}, r"expected \(n, c, h, w\)")],
    "batch_norm": [
        ((Z((2, 3)), Z(2), Z(3)), {}, "do not fit"),
        ((Z((1, 3)), Z(3), Z(3)), {}, "1 value a channel in training"),
        ((Z((2, 3)), Z(3), Z(3)), {"train": False}, "running is None"),
    ],
    "softmax_cross_entropy": [
        ((Z((2, 3)), np.array([0, 3])), {}, "labels run from 0 to 3, expected 0 to 2"),
        ((Z((2, 3)), np.array([0.0, 1.0])), {}, "dtype float64, expected integers"),
        ((Z((2, 3)), np.array([0])), {}, "do not fit"),
        ((Z((1, 3)), np.array([0])), {"smoothing": 1.0}, "smoothing is 1.0"),
    ],
    "dropout": [((Z(2),), {"p": 1.0, "rng": np.random.default_rng(0)}, "p is 1.0")],
    "felu": [((Z((2, 3)), Z(2)), {}, r"shape \(2,\), expected \(\) or \(c,\)")],
    "se": [
        ((Z((1, 2, 3, 3)), Z((1, 3)), None, Z((2, 1)), None), {}, "do not fit"),
        ((Z((1, 2, 3, 3)), Z((1, 2)), Z(2), Z((2, 1)), None), {}, r"b1 has shape \(2,\), expected \(1,\)"),
        (
            (Z((1, 2, 3, 3)), Z((1, 2)), None, Z((2, 1)), None),
            {"act": "felu"},
            r"alpha is None, expected \(\)",
        ),
        ((Z((1, 2, 3, 3)), Z((1, 2)), None, Z((2, 1)), None), {"act": "swash"}, "'swash' is unknown"),
    ],
}


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
@pytest.mark.parametrize(
    ("op", "inputs", "options", "message"), [(op, *row) for op, rows in BAD.items() for row in rows]
)
def test_bad_input_gets_one_clear_line(name, op, inputs, options, message):
    with backend.use_backend(name), pytest.raises(ShapeError, match=message) as caught:
        OPS[op](*inputs, **options)
    assert str(caught.value).startswith(f"{op}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["reference", "numba"])
@pytest.mark.parametrize("option", ["act", "se_act"])
def test_an_unknown_activation_behind_a_batch_norm_is_refused(name, option):
    x, w, se = Z((1, 2, 3, 3)), Z(2), (Z((1, 2)), None, Z((2, 1)), None, None)
    inputs = (a if a is None else Tensor(a.astype(np.float32)) for a in (x, w, w, None, None, *se))
    with (
        backend.use_backend(name),
        pytest.raises(ShapeError, match=r"'swash' is unknown, expected one of relu"),
    ):
        batch_norm_act(*inputs, **{option: "swash"})


@pytest.mark.parametrize("name", ["reference", "numpy", "auto"])
def test_batch_norm_of_float16_does_not_overflow(name):
    x = np.random.default_rng(0).standard_normal((128, 2, 32, 32)).astype(np.float16)
    with backend.use_backend(name):
        y = OPS["batch_norm"](x, np.ones(2, np.float16), np.zeros(2, np.float16)).data
    assert abs(y.astype(np.float64).std() - 1) < 0.01


def test_a_maximum_over_a_large_window():
    x = np.arange(190.0**2).reshape(1, 1, 190, 190)
    y, (gx,) = forward("max_pool2d", x, kernel=190), gradients("max_pool2d", [[[[1.0]]]], x, kernel=190)
    assert y.item() == x.max()
    assert gx[0, 0, -1, -1] == gx.sum() == 1


def test_an_unknown_backend_is_refused():
    message = "'cudnn' is unknown, expected one of auto, reference, numpy, numba, cuda"
    with pytest.raises(ConfigError, match=message), backend.use_backend("cudnn"):
        pass
