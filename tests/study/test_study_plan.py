"""What a study plans: paired runs, equal sizes, and one line for what cannot be."""

import tomllib

import numpy as np
import pytest

from minise.data import holdout
from minise.data.shapes10 import generate
from minise.data.split import Split
from minise.errors import ConfigError
from minise.models import build
from minise.study import StudyConfig, claim_dict, claim_text, sizes, study_from_dict, unequal, with_recipe
from minise.train.recipes import recipes


def changed(**changes):
    return study_from_dict(claim_dict() | changes)


def test_the_papers_study():
    study = study_from_dict(claim_dict())
    assert list(study.arms) == ["plain", "se-relu", "se-felu", "se-elu", "se-prelu"]
    assert study.effect == {"cifar10": 1.3, "cifar100": 1.4}
    runs = study.runs()
    assert len({run.name for run in runs}) == len(runs) == 5 * 5 * 2
    assert {run.config.val_size for run in runs} == {5000}
    plain = next(run for run in runs if run.arm == "plain")
    assert (plain.config.model, plain.config.act) == ("resnet20", None)
    assert [run.seed for run in runs] == sorted(
        run.seed for run in runs
    )  # what stops early is complete so far


def test_toml_there_and_back():
    study = changed(
        arms=claim_dict()["arms"] | {"wide": {"act": "felu", "reduction": 4, "lr": 0.05}}, seeds=[3, 7]
    )
    assert study_from_dict(tomllib.loads(study.to_toml())) == study
    assert study_from_dict(tomllib.loads(claim_text())) == study_from_dict(claim_dict())


def test_arms_of_a_seed_start_from_the_same_trunk():
    study = changed(models=["se-convnet"])
    runs = [run for run in study.runs() if run.seed == 1 and run.dataset == "cifar10"]
    trunks = []
    for run in runs:
        parameters = build(run.config.model, **run.config.model_options()).named_parameters()
        trunks.append({name: p.data.tobytes() for name, p in parameters if ".se." not in name})
    assert len(trunks) == 5
    assert all(trunk == trunks[0] for trunk in trunks)
    shared = {
        (r.config.seed, r.config.val_size, r.config.batch_size, r.config.crop, r.config.flip) for r in runs
    }
    assert len(shared) == 1


def test_the_same_images_are_held_out():
    split = Split(*(getattr(generate("train", 200, 0), name) for name in ("images", "labels")))
    first, again = (holdout(split, 50, (1,))[1].images for _ in range(2))
    assert np.array_equal(first, again)


def test_sizes_are_checked():
    found = {s.arm: s for s in sizes(changed(datasets=["cifar10"], models=["se-convnet"]))}
    assert found["se-felu"].parameters_more == 0
    assert found["se-relu"].info.parameters == found["se-felu"].info.parameters - 3  # an alpha a block
    assert found["plain"].info.se_widths == ()
    with pytest.raises(ConfigError, match=r"plain has 24,346 parameters .* differ by at most 1.0%"):
        sizes(changed(datasets=["cifar10"], models=["se-convnet"], parity=0.01))


def test_arms_that_are_trained_otherwise_are_told():
    assert unequal(study_from_dict(claim_dict())) == {}
    arms = claim_dict()["arms"]
    longer = {"act": "relu", "reduction": 4, "gate_bias": 2.0, "epochs": 12, "lr": 0.2}
    found = unequal(changed(arms=arms | {"longer": longer, "alike": {"act": "relu", "lr": 0.1}}))
    assert found == {"longer": {"epochs": (12, 10), "lr": (0.2, 0.1)}}


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_trains_every_arm(name):
    study = study_from_dict(with_recipe(claim_dict(), name))
    (config,) = {r.config.model: r.config for r in study.runs() if r.arm == "se-felu"}.values()
    assert config.optimizer == "muon"
    assert (config.val_size, config.limit_train, config.microscope) == (5000, None, 1000)


BAD = {
    "seeds: found 0 entries, expected at least 1": {"seeds": []},
    "seeds names one twice: 1, 1": {"seeds": [1, 1]},
    "seeds[0]: found -1, expected at least 0": {"seeds": [-1]},
    "seeds: found 'five', expected a list": {"seeds": "five"},
    "found the model 'resnet20', expected one with SE blocks": {"models": ["resnet20"]},
    "found the data set 'mnist'": {"datasets": ["mnist"]},
    "there is no arm 'se-x'": {"claim": "se-x"},
    "expected other arms than the claim's": {"against": ["se-felu"]},
    "found the arm 'a/b', expected a name": {"arms": {"se-felu": {}, "a/b": {}}, "against": []},
    "arms.x: found 3, expected keys and values": {"arms": {"se-felu": {}, "x": 3}, "against": []},
    "arms.se-felu.se: found 'no', expected true or false": {"arms": {"se-felu": {"se": "no"}}, "against": []},
    "study, arm se-felu: unknown key 'atc'": {"arms": {"se-felu": {"atc": "felu"}}, "against": []},
    "act: found 'swish'": {"arms": {"se-felu": {"act": "swish"}}, "against": []},
    "train sets seed": {"train": {"seed": 1}},
    "found the arm 'se.felu'": {"arms": claim_dict()["arms"] | {"se.felu": {}}},
    "arms.se-felu sets device": {"arms": {"se-felu": {"device": "cpu"}}, "against": []},
    "effect.cifar10: found 0, expected a number above 0": {"effect": {"cifar10": 0}},
    "effect.cifar10: found 'much', expected a number": {"effect": {"cifar10": "much"}},
    "effect.cifar10: found inf, expected at most 100": {"effect": {"cifar10": float("inf")}},
    "effect: found the data set 'foo', expected some of": {"effect": {"foo": 2}},
    "claim: found ['x'], expected text": {"claim": ["x"]},
    "models[0]: found {'a': 1}, expected text": {"models": [{"a": 1}]},
    "seeds[0]: found [0], expected a whole number": {"seeds": [[0]]},
    "seeds: found 1001 entries, expected at most 1000": {"seeds": 100_000_000},
    "arms.se-felu sets limit_train": {"arms": {"se-felu": {"limit_train": 9}}, "against": []},
    "parity: found 2, expected at most 1": {"parity": 2},
    "unknown key 'sedes'": {"sedes": 3},
}


@pytest.mark.parametrize(("words", "changes"), BAD.items(), ids=BAD)
def test_what_cannot_be_is_one_line(words, changes):
    with pytest.raises(ConfigError) as error:
        changed(**changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named():
    values = claim_dict()
    del values["claim"]
    with pytest.raises(ConfigError, match="study: claim is missing"):
        study_from_dict(values)


def test_a_study_is_extended_but_not_changed():
    study = changed(seeds=2, datasets=["cifar10"])
    more: StudyConfig = study.extended(changed(seeds=[5], datasets=["cifar100"]))
    assert (more.seeds, more.datasets) == ((0, 1, 5), ("cifar10", "cifar100"))
    with pytest.raises(
        ConfigError, match=r"train\.epochs is 99, expected 10 as it was begun; choose another folder"
    ):
        study.extended(changed(train=claim_dict()["train"] | {"epochs": 99}))
    fewer = changed(effect={"cifar10": 1.3}, against=["plain"], datasets=["cifar10"])
    more = fewer.extended(changed())
    assert (more.effect, more.against) == ({"cifar10": 1.3, "cifar100": 1.4}, ("plain", "se-relu"))
    with pytest.raises(ConfigError, match=r"effect.cifar10 is 2.0, expected 1.3 as it was begun"):
        study.extended(changed(effect={"cifar10": 2}))
    with pytest.raises(ConfigError, match=r"arms\.se-relu is"):
        study.extended(changed(arms=claim_dict()["arms"] | {"se-relu": {"act": "relu", "lr": 1.0}}))
