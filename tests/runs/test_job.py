"""What the main job makes of its options, and the figures that it reports."""

import dataclasses

import numpy as np
import pytest

from minise.data import Split, load
from minise.data.augment import normalise
from minise.errors import ConfigError, RunError
from minise.models import build
from minise.nn import Module
from minise.runs import job
from minise.runs.reopen import evaluate_run
from minise.runs.run import Run
from minise.tape import Tensor
from minise.train import EpochDone, StepDone, evaluate
from minise.train.config import TrainConfig
from minise.train.metrics import score
from minise.train.tta import VIEWS


@pytest.fixture(scope="module")
def shapes():
    return load("shapes10", limit_train=300, limit_test=20)


def events(path, **options):
    config = TrainConfig(
        **{
            **{
                "dataset": "shapes10",
                "model": "convnet",
                "limit_train": 300,
                "limit_test": 20,
                "val_size": 0,
            },
            **{"batch_size": 50, "epochs": 3, "lr": 0.1, "threads": 1},
            **options,
        }
    )
    return list(job.train(config, path))


def test_the_learning_rate_warms_up_over_epochs_and_then_falls(tmp_path):
    rates = [e.lr for e in events(tmp_path / "r", warmup=1.0, schedule="cosine") if isinstance(e, StepDone)]
    assert len(rates) == 18
    assert rates[:6] == pytest.approx([0.1 * (i + 1) / 6 for i in range(6)])
    assert rates[6:] == sorted(rates[6:], reverse=True)
    assert rates[-1] < 0.01


def test_training_loss_and_accuracy_are_means_over_the_epoch(tmp_path):
    found = events(tmp_path / "r", epochs=1)
    steps = [e for e in found if isinstance(e, StepDone)]
    (epoch,) = (e for e in found if isinstance(e, EpochDone))
    assert epoch.train_loss == pytest.approx(np.mean([step.loss for step in steps]))
    assert epoch.train_acc == pytest.approx(np.mean([step.accuracy for step in steps]))


def test_a_run_is_resumed_by_the_configuration_it_was_begun_with_and_by_no_other(tmp_path):
    config = TrainConfig(dataset="shapes10", model="se-convnet", limit_train=300, limit_test=50, epochs=2)
    begun = job.train(config, tmp_path / "run")
    next(event for event in begun if isinstance(event, EpochDone))
    begun.close()
    with pytest.raises(ConfigError, match=r"epochs: found 3, expected 2 as .* was begun"):
        next(job.train(dataclasses.replace(config, epochs=3), tmp_path / "run", resume=True))
    with pytest.raises(
        ConfigError, match=r"dataset: found 'cifar10', expected 'shapes10'"
    ):  # nothing is fetched
        next(job.train(dataclasses.replace(config, dataset="cifar10"), tmp_path / "run", resume=True))
    with pytest.raises(ConfigError, match=r"limit_train: found None, expected 300 as .* was begun"):
        next(job.train(dataclasses.replace(config, limit_train=None), tmp_path / "run", resume=True))
    *_, done = job.train(config, tmp_path / "run", resume=True)
    assert isinstance(done, job.Finished)
    epochs = Run.open(tmp_path / "run").metrics()
    assert done.seconds == sum(line["seconds"] for line in epochs)  # with those before it stopped
    assert len(epochs) == 2


@pytest.mark.parametrize("conv", ["own", "auto", "cudnn"])
def test_a_run_with_an_option_of_an_earlier_version_opens_and_goes_on(tmp_path, conv):
    options = {"model": "convnet", "limit_train": 20, "limit_test": 10, "val_size": 0, "batch_size": 10}
    config = TrainConfig(dataset="shapes10", epochs=2, **options)
    begun = job.train(config, tmp_path / "run")
    next(event for event in begun if isinstance(event, EpochDone))
    begun.close()
    file = tmp_path / "run/config.toml"
    file.write_text(f'{file.read_text()}conv = "{conv}"\n')
    *_, done = job.train(Run.open(tmp_path / "run").config, tmp_path / "run", resume=True)
    assert evaluate_run(tmp_path / "run").test.loss == pytest.approx(done.test.loss)
    file.write_text(file.read_text().replace(f'"{conv}"', '"fast"'))
    with pytest.raises(RunError, match="unknown key 'conv'"):
        Run.open(tmp_path / "run")


def test_other_seeds_see_other_batches(shapes):
    orders = []
    for seed in (0, 0, 1):
        batches = job.training_batches(TrainConfig(seed=seed), shapes, shapes.train)
        orders.append(batches.order(1).tolist())
    assert orders[0] == orders[1] != orders[2]


def test_images_are_normalised_with_the_data_sets_statistics(shapes):
    (x, y), *_ = job.evaluation_batches(shapes, shapes.train).epoch(0)
    expected = (shapes.train.images[:250] / 255.0 - shapes.mean[:, None, None]) / shapes.std[:, None, None]
    assert np.allclose(x, expected, atol=1e-5)
    assert (y == shapes.train.labels[:250]).all()


@pytest.mark.parametrize(("decay", "spared"), [("weights", {"bias", "norm", "alpha"}), ("all", set())])
def test_decay_spares_what_the_option_says(decay, spared):
    model = build("se-convnet", act="felu")
    optimizer = job.optimizer_for(TrainConfig(weight_decay=0.5, decay=decay, lr=0.1).resolved(100), model)
    before = {name: p.data.copy() for name, p in model.named_parameters()}
    for p in model.parameters():
        p.data += 1
        p.grad = np.zeros_like(p.data)
    optimizer.step()
    kinds = {"kept": set(), "shrunk": set()}
    for name, p in model.named_parameters():
        kinds["kept" if (p.data == before[name] + 1).all() else "shrunk"].add(p.kind)
    assert kinds["kept"] == spared
    assert kinds["shrunk"] == {"weight", "bias", "norm", "alpha"} - spared


def test_gates_and_norms_are_as_the_options_say():
    config = TrainConfig(model="se-convnet", gate_bias=2.0, optimizer="muon", norm_rate=8.0).resolved(100)
    model = build(config.model, **config.model_options())
    assert all((group.se.bias2.data == 2).all() for group in model.groups)
    assert job.optimizer_for(config, model).norm_rate == 8
    for option, value in (("gate_bias", float("nan")), ("gate_bias", -21.0), ("norm_rate", 0.0)):
        with pytest.raises(ConfigError, match=f"{option}: found {value}, expected "):
            TrainConfig(**{option: value})


def test_score_counts_the_first_and_the_first_five():
    logits = np.zeros((4, 7))
    logits[:] = -np.arange(7)  # the answers are 0, 1, 2, … in this order
    found = score(logits, np.array([0, 4, 5, 0]))
    assert (found.top1, found.top5) == (0.5, 0.75)
    assert found.confusion[:, 0].tolist() == [2, 0, 0, 0, 1, 1, 0]
    p = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert found.loss == pytest.approx(-np.log(p[[0, 4, 5, 0]]).mean())


def test_evaluation_leaves_the_mode_as_it_was():
    class Watched(Module):
        def forward(self, x):
            modes.append(self.training)
            return Tensor(x.data[:, :, 0, 0])

    modes, model = [], Watched()
    batch = [(np.zeros((2, 3, 4, 4), np.float32), np.array([0, 1]))]
    for training in (True, False):
        model.train(training)
        evaluate(model, batch)
        assert model.training is training
    assert modes == [False, False]


def test_every_batch_is_augmented_in_its_own_way(shapes):
    same = Split(np.repeat(shapes.train.images[:1], 64, axis=0), np.zeros(64, np.int64))
    batches = job.training_batches(TrainConfig(batch_size=32, crop=4), shapes, same)
    (one, _), (two, _) = batches.epoch(1)
    assert (one != two).any()


def test_a_fastnets_whitening_comes_from_the_training_images_and_stays(tmp_path, shapes):
    options = {"model": "fastnet", "epochs": 1, "seed": 3}
    events(tmp_path / "r", **options)
    trained = Run.open(tmp_path / "r").load_model(10)
    fresh = build("fastnet", seed=3)
    fresh.calibrate(normalise(shapes.train.images, shapes.mean, shapes.std))
    assert np.array_equal(trained.whitening.weight.data, fresh.whitening.weight.data)
    assert not np.array_equal(trained.groups[0].conv1.weight.data, fresh.groups[0].conv1.weight.data)


def test_tta_takes_the_mean_over_an_image_and_its_mirror_image(shapes):
    class Left(Module):
        """Logits from the left half of the image."""

        def forward(self, x):
            return Tensor(
                np.repeat(x.data[..., :16].mean(axis=(1, 2, 3))[:, None], 10, axis=1) * np.arange(10)
            )

    x, y = shapes.test.images.astype(np.float32), shapes.test.labels
    both = (x[..., :16].mean(axis=(1, 2, 3)) + x[..., 16:].mean(axis=(1, 2, 3))) / 2
    expected = score(np.repeat(both[:, None], 10, axis=1) * np.arange(10), y)
    assert evaluate(Left(), [(x, y)], tta="flip").loss == pytest.approx(expected.loss)
    assert evaluate(Left(), [(x, y)]).loss != pytest.approx(expected.loss)


@pytest.mark.parametrize("name", VIEWS)
def test_the_views_are_the_image_its_mirror_image_and_shifts_of_both(name):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    near = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    moved = [near[:, :, i : i + 5, i : i + 6] for i in (0, 2)]
    expected = {
        "none": [(1, x)],
        "flip": [(0.5, x), (0.5, x[..., ::-1])],
        "shift": [
            *((0.25, view) for view in (x, x[..., ::-1])),
            *((0.125, view) for place in moved for view in (place, place[..., ::-1])),
        ],
    }[name]
    views = VIEWS[name](x)
    assert len(views) == len(expected)
    for (weight, view), (wanted, other) in zip(views, expected, strict=True):
        assert weight == wanted
        np.testing.assert_array_equal(view, other)
