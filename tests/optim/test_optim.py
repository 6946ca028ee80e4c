"""Optimisers and schedules, step for step against their formulas."""

import math

import numpy as np
import pytest

from minise.errors import ConfigError, ShapeError
from minise.nn import Parameter
from minise.optim import OPTIMIZERS, SGD, AdamW, Muon, make_optimizer
from minise.optim.optimizers import orthogonalise
from minise.optim.schedules import SCHEDULES, make_schedule


def one(value=1.0, kind="weight"):
    return [("p", Parameter(np.array([value]), kind))]


def walk(optimizer, gradients):
    p = optimizer.parameters["p"]
    for g in gradients:
        p.grad = np.array([g])
        optimizer.step()
    return p.data.item()


def test_plain_sgd():
    assert walk(SGD(one(), lr=0.1), [2.0, -1.0]) == pytest.approx(1 - 0.2 + 0.1)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_and_decay(nesterov):
    p, v = 1.0, 0.0
    for g in (2.0, -1.0, 0.5):
        g += 0.01 * p
        v = 0.9 * v + g
        p -= 0.1 * (g + 0.9 * v if nesterov else v)
    found = walk(SGD(one(), lr=0.1, momentum=0.9, nesterov=nesterov, weight_decay=0.01), [2.0, -1.0, 0.5])
    assert found == pytest.approx(p, rel=1e-12)


def test_adamw():
    p, m, v = 1.0, 0.0, 0.0
    for t, g in enumerate((2.0, -1.0, 0.5), start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        p -= 0.1 * 0.01 * p
        p -= 0.1 * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    assert walk(AdamW(one(), lr=0.1, weight_decay=0.01), [2.0, -1.0, 0.5]) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (16, 1, 3, 3), (5, 5), (1, 7)])
def test_orthogonalise_keeps_the_singular_vectors_and_brings_the_values_near_1(shape):
    u = np.random.default_rng(0).standard_normal(shape)
    left, values, right = np.linalg.svd(u.reshape(shape[0], -1), full_matrices=False)
    found = orthogonalise(u, steps=5)
    assert found.shape == shape
    inside = left.T @ found.reshape(shape[0], -1) @ right.T
    assert np.allclose(inside, np.diag(np.diag(inside)), atol=1e-12)
    assert ((np.diag(inside) > 0.6) & (np.diag(inside) < 1.3)).all()
    x = values[0] / np.linalg.norm(values)
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    assert inside[0, 0] == pytest.approx(x)
    assert not orthogonalise(np.zeros(shape)).any()


@pytest.mark.parametrize(("kind", "factor"), [("norm", 8.0), ("bias", 1.0)])
def test_muons_norm_rate_is_of_batch_norms_alone_and_leaves_decay_as_it_is(kind, factor):
    for gradient, decay in ((1.0, 0.0), (0.0, 0.5)):
        muon = Muon(one(kind=kind), lr=0.1, norm_rate=8.0, weight_decay=decay)
        plain = Muon(one(kind=kind), lr=0.1, weight_decay=decay)
        far, near = (1 - walk(optimizer, [gradient]) for optimizer in (muon, plain))
        assert far == pytest.approx(near * (factor if gradient else 1.0))
    with pytest.raises(ConfigError, match="norm_rate: found 0, expected a number above 0"):
        Muon(one(), lr=0.1, norm_rate=0)


@pytest.mark.parametrize("nesterov", [False, True])
def test_muon_turns_convolutions_and_leaves_the_rest_to_sgd(nesterov):
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((4, 2, 3, 3)), rng.standard_normal(4)
    parameters = {"conv": Parameter(w.copy()), "bias": Parameter(b.copy(), "bias")}
    muon = Muon(parameters.items(), lr=0.1, momentum=0.6, nesterov=nesterov, weight_decay=0.01)
    v, velocity = np.zeros_like(w), np.zeros_like(b)
    for _ in range(3):
        gw, gb = rng.standard_normal(w.shape), rng.standard_normal(4)
        parameters["conv"].grad, parameters["bias"].grad = gw, gb
        muon.step()
        v = 0.6 * v + gw
        w = 2 * w / np.linalg.norm(w) - 0.1 * orthogonalise(gw + 0.6 * v if nesterov else v)
        g = gb + 0.01 * b
        velocity = 0.85 * velocity + g
        b = b - 0.4 * (g + 0.85 * velocity)
    assert np.allclose(parameters["conv"].data, w, rtol=1e-6)
    assert np.allclose(parameters["bias"].data, b, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_decay_spares_the_kinds_that_it_is_told_to(name):
    for kind, moved in (("weight", True), ("alpha", False)):
        optimizer = make_optimizer(
            name, one(kind=kind), lr=0.1, weight_decay=0.5, spare=("alpha",), momentum=0.0, nesterov=False
        )
        assert (walk(optimizer, [0.0]) != 1.0) == moved


def test_a_state_of_other_parameters_is_refused_and_changes_nothing():
    optimizer = SGD(one(), lr=0.1, momentum=0.9)
    name = next(iter(optimizer.state_dict()))
    shape = optimizer.state_dict()[name].shape
    state = {name: np.full(shape, 7.0), "velocity/more": np.zeros(3)}
    with pytest.raises(ShapeError, match=r"velocity/more: found \(3,\), but nothing of that name learns"):
        optimizer.load_state_dict(state, 3)
    assert optimizer.steps == 0
    assert not optimizer.state_dict()[name].any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_goes_round(name):
    gradients = [1.0, -0.3, 0.2, 2.0]
    straight = walk(make_optimizer(name, one(), lr=0.1, momentum=0.9), gradients)
    first = make_optimizer(name, one(), lr=0.1, momentum=0.9)
    halfway = walk(first, gradients[:2])
    second = make_optimizer(name, one(halfway), lr=0.1, momentum=0.9)
    second.load_state_dict(first.state_dict(), first.steps)
    assert walk(second, gradients[2:]) == straight
    with pytest.raises(ShapeError, match="found nothing"):
        second.load_state_dict({}, 0)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 3, 3)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_float32_and_grads_are_left_alone(name, shape):
    p = Parameter(np.ones(shape, np.float32))
    p.grad = np.ones(shape, np.float32)
    make_optimizer(name, [("p", p)], lr=0.1, weight_decay=0.1, momentum=0.9).step()
    assert p.data.dtype == np.float32
    assert np.array_equal(p.grad, np.ones(shape))


def test_a_parameter_without_a_gradient_stays():
    parameters = one()
    SGD(parameters, lr=0.1, weight_decay=1.0).step()
    assert parameters[0][1].data == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sgdm", "lr": 0.1}, "optimizer: 'sgdm' is unknown"),
        ({"name": "sgd", "lr": -1.0}, "lr: found -1.0"),
        ({"name": "sgd", "lr": 0.1, "momentum": 1.0}, "momentum: found 1.0"),
        ({"name": "sgd", "lr": 0.1, "nesterov": True}, "nesterov: it needs a momentum"),
        ({"name": "adamw", "lr": float("nan")}, "lr: found nan"),
        ({"name": "muon", "lr": 0.1, "nesterov": True}, "nesterov: it needs a momentum"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ConfigError, match=message):
        make_optimizer(options.pop("name"), one(), **options)


# --- schedules -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 5])
def test_schedules_warm_up_peak_and_stay_positive(name, warmup):
    rate = make_schedule(name, 0.4, 100, warmup=warmup)
    rates = [rate(step) for step in range(100)]
    assert max(rates) == pytest.approx(0.4, rel=0.02)
    assert min(rates) > 0
    assert np.allclose(rates[:warmup], [0.4 * (i + 1) / 5 for i in range(warmup)])


def test_the_shapes_of_the_schedules():
    linear, cosine, multistep, one_cycle = (
        make_schedule(n, 1.0, 100) for n in ("linear", "cosine", "multistep", "one_cycle")
    )
    assert [linear(s) for s in (0, 25, 99)] == pytest.approx([1, 0.75, 0.01])
    assert cosine(50) == pytest.approx(0.5)
    assert [multistep(s) for s in (0, 49, 50, 74, 75)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert [one_cycle(s) for s in (0, 30, 65)] == pytest.approx([0.1, 1.0, 0.5])


@pytest.mark.parametrize(
    ("name", "total", "warmup"),
    [("cosine", 10, 10), ("cosine", 0, 0), ("cosine", 10, -1), ("staircase", 10, 0)],
)
def test_schedules_that_make_no_sense(name, total, warmup):
    with pytest.raises(ConfigError):
        make_schedule(name, 0.1, total, warmup=warmup)
