"""Far out, next to nothing and in short floats: what leaves the range on the way must not cost the result."""

import numpy as np
import pytest

from minise import backend
from minise.ops import ACTIVATIONS, OPS
from minise.tape import Tensor

TYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


def run(name, *arrays, gy=1.0, **options):
    """y and the gradients, with one number for all of gy."""
    with np.errstate(over="ignore", under="ignore"):
        y, saved = OPS[name].forward(*arrays, **options)
        gradients = OPS[name].backward(np.full(y.shape, gy, y.dtype), saved, (True,) * OPS[name].takes)
    assert all(g is None or g.dtype == y.dtype == arrays[0].dtype for g in gradients)
    return y, *gradients


def near(found, expected, digits=32):
    """Equal but for the last digits of found's type."""
    about = np.finfo(found.dtype)
    expected = np.asarray(expected, np.float64)
    with np.errstate(over="ignore"):
        assert np.allclose(
            found.astype(np.float64),
            expected,
            rtol=digits * about.eps,
            atol=2 * float(about.smallest_subnormal),
        ), (found, expected)


# --- slopes ----------------------------------------------------------------------------------------------------

TAILS = np.array(
    [-1e4, -80, -40, -17, -12, -7.5, -4, -1, -0.01, 0, 0.01, 1, 3.9, 4.1, 7.5, 12, 17, 40, 80, 1e4]
)
SLOPES = {
    "felu": lambda x: np.exp(np.minimum(x, 0)),
    "elu": lambda x: np.exp(np.minimum(x, 0)),
    "sigmoid": lambda x: np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2,
    "tanh": lambda x: (2 * np.exp(-np.abs(x)) / (1 + np.exp(-2 * np.abs(x)))) ** 2,
}


@TYPES
@pytest.mark.parametrize("act", SLOPES)
def test_a_slope_keeps_its_digits_where_it_is_small(act, dtype):
    x = TAILS.reshape(1, -1).astype(dtype)
    inputs = [np.ones((), dtype)] if ACTIVATIONS[act].start is not None else []
    near(run(act, x, *inputs)[1], SLOPES[act](x.astype(np.float64)))


@pytest.mark.parametrize(("x", "slope"), [(-12, 6.144212353328210e-06), (-17, 4.139937718785167e-08)])
def test_felus_slope_far_below_zero(x, slope):
    gx = run("felu", np.full((1, 1), x, np.float32), np.ones((), np.float32))[1]
    assert gx.item() == pytest.approx(slope, rel=1e-6)


@TYPES
def test_an_open_gate_still_learns(dtype):
    """The slope of an SE block's sigmoid where its gate is next to 1."""
    u, one = np.ones((1, 1, 1, 1), dtype), np.ones((1, 1), dtype)
    gb2 = run("se", u, one, np.zeros(1, dtype), one, np.full(1, 8, dtype))[5]
    near(gb2, [np.exp(-9.0) / (1 + np.exp(-9.0)) ** 2])


@TYPES
def test_gelu_far_out(dtype):
    far = np.finfo(dtype).max
    x = np.array([-np.inf, -far, -far / 3, -1e4, -100, 100, 1e4, far / 3, far, np.inf, np.nan], dtype)
    y, gx = run("gelu", x)
    assert np.array_equal(y, np.maximum(x, 0), equal_nan=True)
    assert np.array_equal(gx, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, np.nan], equal_nan=True)


# --- products and quotients ------------------------------------------------------------------------------------


@TYPES
def test_divide_squares_nothing(dtype):
    large = float(np.sqrt(np.finfo(dtype).max)) * 1.5
    for b in (300.0, large, -large):
        a, b = np.array([b], dtype), np.array([b], dtype)
        _, ga, gb = run("divide", a, b)
        near(ga, 1 / b.astype(float))
        near(gb, -1 / b.astype(float))


@TYPES
@pytest.mark.parametrize("exponent", [-1, -2, -1.5, 0.5, 1, 2, 3])
def test_power_multiplies_in_an_order_that_stays_in_range(exponent, dtype):
    x, gy = (300.0, 1e3) if dtype == np.float16 else (1e10, 1e10)
    x = np.array([x if exponent < 2 else 1 / 300], dtype)
    wide, gy = x.astype(np.float64), float(dtype(gy))
    near(run("power", x, exponent=exponent, gy=gy)[1], gy * exponent * wide ** (exponent - 1), digits=300)


# --- the loss --------------------------------------------------------------------------------------------------


@TYPES
@pytest.mark.parametrize(
    ("logits", "label", "loss", "gradient"),
    [
        ([1, 2, -np.inf], 1, 0.3132617, [0.2689414, -0.2689414, 0]),
        ([3e38, -3e38], 0, 0, [0, 0]),
        ([6e4, -6e4], 0, 0, [0, 0]),
        ([-np.inf, 0], 0, np.inf, [-1, 1]),
    ],
)
def test_a_class_of_probability_zero_counts_only_if_it_is_the_target(logits, label, loss, gradient, dtype):
    if np.abs(logits[1]) > np.finfo(dtype).max:
        logits = [6e4, -6e4]
    x = np.array([logits], dtype)
    y, gx, _ = run("softmax_cross_entropy", x, np.array([label]))
    assert y == pytest.approx(loss, rel=2e-3)
    assert np.signbit(y) == False  # noqa: E712
    assert np.allclose(gx, [gradient], atol=1e-3)
    assert (
        run("softmax_cross_entropy", np.array([[1, -np.inf]], dtype), np.array([0]), smoothing=0.1)[0]
        == np.inf
    )


# --- maxima ----------------------------------------------------------------------------------------------------


@TYPES
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 1, 1), (2, 2, 0), (4, 3, 2)])
def test_padding_takes_no_gradient_from_minus_infinity(kernel, stride, padding, dtype):
    x = np.full((2, 2, 5, 6), -np.inf, dtype)
    y, gx = run("max_pool2d", x, kernel=kernel, stride=stride, padding=padding)
    assert (y == -np.inf).all()
    assert gx.sum() == y.size
    assert gx[0, 0, 0, 0] >= 1  # of the first window, the first pixel in reading order


@TYPES
def test_the_first_nan_of_a_window_takes_its_gradient(dtype):
    x = np.array([[[[9, 1, np.nan], [np.inf, 5, 6], [7, np.nan, np.nan]]]], dtype)
    y, gx = run("max_pool2d", x, kernel=3, padding=0)
    assert np.isnan(y).all()
    assert np.array_equal(np.argwhere(gx), [[0, 0, 0, 2]])
    _, gx = run("max_pool2d", x, kernel=2, stride=1)
    assert np.array_equal(gx[0, 0], [[0, 0, 1], [1, 0, 0], [0, 2, 0]])


@TYPES
def test_an_infinite_gradient_goes_to_the_winner_alone(dtype):
    x = np.array([[[[1, 2], [3, 4]]]], dtype)
    for name, options in (("max_pool2d", {"kernel": 2}), ("max", {})):
        assert np.array_equal(run(name, x, gy=np.inf, **options)[1], [[[[0, 0], [0, np.inf]]]])


@TYPES
def test_a_reduction_to_the_maximum_gives_the_gradient_to_nan(dtype):
    x = np.array([[1, np.nan, np.inf], [1, 3, 3], [-np.inf, -np.inf, -np.inf]], dtype)
    y, gx = run("max", x, axis=1)
    assert np.array_equal(y, [np.nan, 3, -np.inf], equal_nan=True)
    near(gx, [[0, 1, 0], [0, 0.5, 0.5], [1 / 3] * 3])
    near(run("max", np.zeros(5000, dtype))[1], np.full(5000, 1 / 5000))


# --- batch norm ------------------------------------------------------------------------------------------------

SPREADS = [
    (np.float16, 1000, 300),
    (np.float16, 0, 2e4),
    (np.float16, 5e-3, 1e-2),
    *[(np.float32, 0, size) for size in (1e15, 1e18, 1e20, 1e30, 1e36)],
    (np.float32, 3e20, 1e20),
    (np.float64, 0, 1e200),
]


@pytest.mark.parametrize("name", ["reference", "numpy", "numba"])
@pytest.mark.parametrize(("dtype", "mean", "deviation"), SPREADS)
def test_batch_norm_of_large_numbers(name, dtype, mean, deviation):
    """x̂ and the gradient of numbers of size 1 that are multiplied, beside a channel of ordinary ones."""
    rng = np.random.default_rng(0)
    x, gy = rng.standard_normal((2, 6, 2, 4, 4)).clip(-2.5, 2.5)
    x[:, 1] = x[:, 1] * deviation + mean
    x, gy = x.astype(dtype), gy.astype(dtype)
    w, b = np.array([0.5, 2], dtype), np.array([1, -1], dtype)
    with backend.use_backend(name):
        tensors = [Tensor(a, requires_grad=True) for a in (x, w, b)]
        with np.errstate(over="ignore"):
            y = OPS["batch_norm"](*tensors)
        y.backward(gy)
        found = [y.data, *(t.grad for t in tensors)]
    unit = np.array([1, deviation]).reshape(-1, 1, 1)
    scaled, eps = x.astype(np.longdouble) / unit, 1e-5 / unit.astype(np.longdouble) ** 2
    centred = scaled - scaled.mean(axis=(0, 2, 3), keepdims=True)
    inv = 1 / np.sqrt((centred**2).mean(axis=(0, 2, 3), keepdims=True) + eps)
    x_hat, column, g = centred * inv, (-1, 1, 1), gy.astype(np.longdouble)
    means = [a.mean(axis=(0, 2, 3), keepdims=True) for a in (g, g * x_hat)]
    gx = w.reshape(column) * inv / unit * (g - means[0] - x_hat * means[1])
    expected = (
        w.reshape(column) * x_hat + b.reshape(column),
        gx,
        (g * x_hat).sum(axis=(0, 2, 3)),
        g.sum(axis=(0, 2, 3)),
    )
    for a, right in zip(found, expected, strict=True):
        assert a.dtype == dtype
        own = (0, 2, 3) if a.ndim == 4 else ()
        error = np.abs(a - right).max(axis=own) / np.abs(right).max(axis=own)
        assert (error < 20 * np.finfo(dtype).eps + 1e-7 * (dtype == np.float16)).all()
