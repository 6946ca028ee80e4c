"""The microscope against a block computed by hand, and the chain of four neurons."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import TINY, failed, lines, minise, succeeded
from hypothesis import given
from hypothesis import strategies as st

from minise.analysis.dying_chain import CHAIN_CASES, case_costs, run_chain, train_chain
from minise.analysis.microscope import BINS, look
from minise.backend import use_backend
from minise.errors import ConfigError
from minise.models import MODELS, build
from minise.nn import SE, Module
from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative
from minise.runs.run import METRICS, MICROSCOPE, Run
from minise.tape import Tensor
from minise.teach.explain import explain


class OneBlock(Module):
    """A model that is an SE block."""

    def __init__(self, act="relu", channels=6, reduction=2):
        self.se = SE(channels, reduction=reduction, act=act, rng=np.random.default_rng(0))

    def forward(self, x):
        return self.se(x)


def some(n=12, channels=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, channels, 3, 3)).astype(np.float32), rng.integers(0, 3, n)


def by_hand(model, x):
    se = model.se
    q = x.mean(axis=(2, 3)) @ se.weight1.data.T + se.bias1.data
    a = {"relu": np.maximum(q, 0), "felu": np.where(q > 0, q, np.expm1(np.minimum(q, 0)))}[se.act]
    return q, 1 / (1 + np.exp(-(a @ se.weight2.data.T + se.bias2.data)))


@pytest.mark.parametrize("act", ["relu", "felu"])
def test_a_block_by_hand(act):
    model, (x, y) = OneBlock(act), some()
    model.se.bias1.data[:] = [-5, 0.1, 5]  # never active, sometimes, always
    q, gates = by_hand(model, x)
    (view,) = look(model, [(x[:5], y[:5]), (x[5:], y[5:])], classes=4)
    assert (view.block, view.act, view.channels, view.hidden, view.images) == ("se", act, 6, 3, 12)
    assert (view.silent, view.dead) == ((1, 1) if act == "relu" else (1, 0))  # FeLU's silent unit learns
    np.testing.assert_allclose(view.active, (q > 0).mean(axis=0))
    np.testing.assert_allclose(view.gate_mean, gates.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(view.gate_std, gates.std(axis=0), rtol=1e-4, atol=1e-7)
    assert view.histogram == np.histogram(gates, BINS, (0, 1))[0].tolist()
    means = np.array([gates[y == k].mean(axis=0) for k in range(3)])
    np.testing.assert_allclose(view.class_gates[:3], means, rtol=1e-5)
    assert np.isnan(view.class_gates[3]).all()
    between = (np.bincount(y)[:, None] / len(y) * (means - gates.mean(axis=0)) ** 2).sum(axis=0)
    within = sum(((gates[y == k] - means[k]) ** 2).sum(axis=0) for k in range(3)) / (len(y) - 3)
    expected = max(0, (between - within * (3 - 1) / len(y)).mean())
    np.testing.assert_allclose(view.between_classes, expected, rtol=1e-4, atol=1e-12)
    assert view.between_classes <= view.between_images
    slopes = (q > 0) if act == "relu" else np.where(q > 0, 1, np.exp(np.minimum(q, 0)))
    np.testing.assert_allclose(view.slope, slopes.mean(axis=0), rtol=1e-5)
    assert view.slope[0] == 0 if act == "relu" else view.slope[0] > 0  # what the paper is about
    assert view.alpha == ([] if act == "relu" else [1.0])


def test_classes_that_do_not_differ_show_no_variance_between_them():
    """The means of few images differ by chance; what chance explains is taken off."""
    x, _ = some(n=400)
    found = []
    for seed in range(20):
        y = np.random.default_rng(seed).integers(0, 40, 400)
        (view,) = look(OneBlock("felu"), [(x, y)], classes=40)
        found.append(view.between_classes / view.between_images)
    assert np.mean(found) < 0.02  # uncorrected: a tenth


def test_collapsed_gates_are_counted():
    model, (x, y) = OneBlock("relu"), some()
    model.se.bias1.data[:] = -100  # every unit dead: every gate a constant
    (view,) = look(model, [(x, y)], classes=3)
    assert (view.dead, view.collapsed, view.between_images) == (3, 6, 0)


@pytest.mark.parametrize(
    "name", [name for name in MODELS if name in ("se-resnet20", "se-fastnet-slim", "se-convnet")]
)
def test_every_backend_sees_the_same(name):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 3, 32, 32)).astype(np.float32), np.arange(4)
    model = build(name, act="felu")
    model(Tensor(x))  # running statistics that are not 0 and 1
    seen = []
    for backend in ("reference", "numpy", "numba"):
        with use_backend(backend):
            seen.append(look(model, [(x, y)], classes=4))
    assert len(seen[0]) == sum(isinstance(m, SE) for _, m in model.named_modules())
    for other, (a, b) in itertools.product(seen[1:], zip(seen[0], seen[1], strict=True)):
        assert len(other) == len(seen[0])
        np.testing.assert_allclose(a.gate_mean, b.gate_mean, rtol=1e-4)
    assert model.training


def test_a_plain_model_has_no_blocks_and_no_images_are_an_error():
    assert look(build("convnet"), [], classes=10) == []
    with pytest.raises(ConfigError, match="found no images, expected at least one"):
        look(OneBlock(), [], classes=3)


def test_a_training_is_recorded(tmp_path):
    more = ("--epochs", 2, "--microscope", 50, "--act", "relu")
    succeeded(minise("train", *TINY, *more, "--run", tmp_path / "r"))
    recorded = [json.loads(line) for line in (tmp_path / "r" / "microscope.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in recorded] == [1, 2]
    assert [block["block"] for block in recorded[0]["blocks"]] == [f"groups.{i}.se" for i in range(3)]
    assert recorded[0]["blocks"][0]["images"] == 50
    assert "class_gates" not in recorded[0]["blocks"][0]
    run = Run.open(tmp_path / "r")
    run.keep_lines(1)  # as a resumed run does, which writes the second anew
    assert [len(run.lines(name)) for name in (METRICS, MICROSCOPE)] == [1, 1]


def test_inspect_shows_and_gives_json(tmp_path):
    succeeded(minise("train", *TINY, "--microscope", 20, "--run", tmp_path / "r"))
    shown = succeeded(minise("inspect", tmp_path / "r", "--images", 30))
    assert "groups.2.se" in shown
    assert "dead by epoch" in shown
    blocks = lines(minise("inspect", tmp_path / "r", "--images", 30, "--json"))
    assert [block["images"] for block in blocks] == [30] * 3
    assert len(blocks[0]["class_gates"]) == 10


def test_inspect_refuses(tmp_path):
    failed(minise("inspect"), 2, "expected either RUN or --chain")
    failed(minise("inspect", tmp_path / "none"), 1, "is not a folder")
    plain = [*TINY, "--model", "convnet", "--run", tmp_path / "plain"]
    succeeded(minise("train", *plain))
    failed(minise("inspect", tmp_path / "plain"), 2, "has no SE blocks")


# ---- the chain ---------------------------------------------------------------------------------------------


def test_one_dead_neuron_stops_all_before_it():
    relu, felu = run_chain("relu"), run_chain("felu")
    assert relu.dead == (3,)
    assert relu.db[:3] == relu.tape[:3] == (0, 0, 0)
    assert relu.db[3] != 0
    assert felu.dead == ()
    assert all(felu.db)


@given(
    act=st.sampled_from(sorted(ACTIVATIONS)),
    numbers=st.lists(st.floats(-2, 2), min_size=8, max_size=8),
)
def test_the_product_is_what_the_tape_says(act, numbers):
    chain = run_chain(act, weights=tuple(numbers[:4]), biases=tuple(numbers[4:]))
    np.testing.assert_allclose(chain.db, chain.tape, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_the_derivative_of_an_activation(act):
    x = np.array([-2.0, -0.3, 0.4, 1.7])
    parameters = () if ACTIVATIONS[act].start is None else (np.asarray(0.7),)
    forward = ACTIVATIONS[act].op.forward
    slope = (forward(x + 1e-6, *parameters)[0] - forward(x - 1e-6, *parameters)[0]) / 2e-6
    np.testing.assert_allclose(derivative(act, x, *parameters), slope, rtol=1e-7)


def test_where_the_paper_is_right_about_the_chain_and_where_it_is_not():
    right, wrong, shipped = CHAIN_CASES
    stuck, learns = case_costs(right).values()
    assert stuck == (0.5, 0.5)
    assert not any(run_chain("relu", weights=right.weights, biases=right.biases).db)
    assert learns[1] < 1e-6 < learns[0]
    assert "The paper is right" in right.words
    spared, carried_off = case_costs(wrong).values()
    assert run_chain("relu", weights=wrong.weights, biases=wrong.biases).dead == (3,)
    assert spared[0] < carried_off[0]
    assert spared[1] < 1e-5 < 1.9 < carried_off[1]
    assert "The paper is not right" in wrong.words
    relu, felu = case_costs(shipped).values()
    assert relu[0] == pytest.approx(0.02)
    assert felu[0] == pytest.approx(0.345, abs=1e-3)
    assert max(relu[1], felu[1]) < 1e-5


def test_every_place_shows_which_case_is_which():
    shown = " ".join(succeeded(minise("inspect", "--chain")).split())
    explained = " ".join(explain("dead").ending)
    page = (Path(__file__).parents[2] / "docs" / "claim.md").read_text(encoding="utf-8")
    for case in CHAIN_CASES:
        assert case.words in shown
        assert case.words in explained
        for before, after in case_costs(case).values():
            assert f"{before:.4f} → {after:.4f}" in shown
            assert f"from {before:.4f} to {after:.4f}" in explained
            assert f"{before:.4f} → {after:.4f}" in page
    costs = {c["act"]: c["costs_in_training"] for c in lines(minise("inspect", "--chain", "--json"))}
    assert costs["relu"]["b4 = -0.5"] == [0.5, 0.5]


def test_training_goes_down_the_gradient_of_weights_and_biases():
    for act in ("relu", "felu"):
        assert train_chain(act).cost < 0.01 * run_chain(act).cost


def test_the_chain_in_the_terminal():
    shown = succeeded(minise("inspect", "--chain"))
    assert "neuron 3 is dead: nothing before it learns" in shown
    assert next(c for c in lines(minise("inspect", "--chain", "--json")) if c["act"] == "relu")["dead"] == [3]
