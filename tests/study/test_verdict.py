"""The statistics against other ways to them, and the rule."""

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minise.study import Outcome, Study, claim_dict, judge, study_from_dict
from minise.study import verdict as v

points = st.lists(st.floats(-3, 3).map(lambda x: round(x, 2)), min_size=2, max_size=7)


def study_of(accuracies, **changes):
    """A study on cifar10 with the accuracies (in per cent) of each arm by seed, None for a run that failed."""
    values = claim_dict() | {"datasets": ["cifar10"], "seeds": len(next(iter(accuracies.values())))} | changes
    values["arms"] = {arm: values["arms"][arm] for arm in accuracies}
    values["against"] = [arm for arm in values["against"] if arm in accuracies]
    config = study_from_dict(values)
    outcomes = []
    for planned in config.runs():
        acc = accuracies[planned.arm][planned.seed]
        state = (
            {"state": "failed", "reason": "diverged"}
            if acc is None
            else {"state": "done", "test_acc": acc / 100}
        )
        outcomes.append(Outcome(planned, Path("x"), **state))
    return Study(Path("x"), config, tuple(outcomes))


@given(points)
def test_the_permutation_test_is_the_count_of_all_signs(d):
    sums = [abs(np.dot(signs, d)) for signs in itertools.product((1, -1), repeat=len(d))]
    share = np.mean(np.array(sums) >= abs(sum(d)) - 1e-9)
    assert v.permutation_test(d) == pytest.approx(share)


@given(points.filter(lambda d: np.ptp(d) > 0.1))
def test_the_interval_holds_0_just_when_the_t_test_says_so(d):
    _, _, low, high = v.mean_and_interval(d)
    assert (low <= 0 <= high) == (v.t_test(d) >= v.LEVEL)


def test_the_interval_by_the_book():
    mean, sd, low, high = v.mean_and_interval([1, 2, 3, 4])
    assert (mean, sd) == (2.5, pytest.approx(1.2909944487))
    assert (low, high) == (pytest.approx(2.5 - 3.182446305 * 0.6454972244), pytest.approx(4.5542602540))


@pytest.mark.parametrize(("size", "n"), [(0.5, 34), (0.8, 15), (1.0, 10), (2.0, 5)])
def test_seeds_needed_are_those_of_power_tables(size, n):
    """Paired t test, two-sided, 0.05, power 0.8: as G*Power has them."""
    assert v.seeds_needed(size, 1.0) == n
    assert v.seeds_needed(10 * size, 10.0) == n


def test_seeds_needed_are_those_of_the_corrected_test():
    needed = v.seeds_needed(1.3, 0.7, v.LEVEL / 4)
    assert (needed, v.seeds_needed(1.3, 0.7)) == (7, 5)
    d = np.random.default_rng(0).normal(1.3, 0.7, (2000, needed))
    assert 0.8 <= np.mean(4 * v.stats().ttest_1samp(d, 0.0, axis=1).pvalue < v.LEVEL) < 0.9
    base = np.array([90.0, 90.4, 89.8])
    arms = {"plain": base, "se-relu": base[::-1], "se-felu": base**2 / 90 + 1}
    for c in judge(study_of(arms)).comparisons:
        assert c.needed == v.seeds_needed(c.effect, c.sd, v.LEVEL / 2)
    pairs = {arm: values[:2] for arm, values in arms.items()}
    assert [c.needed for c in judge(study_of(pairs)).comparisons] == [None, None]  # of too few


def test_what_is_unknown_is_nan_or_none():
    assert all(map(math.isnan, v.mean_and_interval([1.0])[1:]))
    assert math.isnan(v.t_test([1.0]))
    assert math.isnan(v.permutation_test([1.0]))
    assert math.isnan(v.t_test([1.0, 1.0]))
    mean, sd, *ends = v.mean_and_interval([2.0, 2.0])
    assert (mean, sd) == (2.0, 0.0)
    assert all(map(math.isnan, ends))
    assert v.seeds_needed(1.3, math.nan) is v.seeds_needed(1.3, 0.0) is v.seeds_needed(0.01, 5.0) is None


def comparison(mean, low, high, p, *, effect=1.3, failed=0):
    study = study_of({"se-relu": [90, 90.2], "se-felu": [91, 92]}, against=["se-relu"])
    (c,) = judge(study).comparisons
    return replace(
        c, mean=mean, corrected_low=low, corrected_high=high, corrected_p=p, effect=effect, failed=failed
    )


@pytest.mark.parametrize(
    ("mean", "low", "high", "p", "verdict"),
    [
        (1.4, 1.0, 1.8, 0.001, v.SUPPORTED),
        (1.4, -0.2, 3.0, 0.08, v.OPEN),
        (0.4, 0.2, 0.6, 0.001, v.NOT_SUPPORTED),  # a gain, but not the one that is claimed
        (-0.1, -0.5, 0.3, 0.5, v.NOT_SUPPORTED),
        (-2.0, -3.0, -1.0, 0.001, v.NOT_SUPPORTED),
        (-0.5, -3.0, 2.0, 0.5, v.OPEN),
        (1.4, math.nan, math.nan, math.nan, v.OPEN),
    ],
)
def test_the_rule(mean, low, high, p, verdict):
    assert v.rule(comparison(mean, low, high, p)) == verdict


def test_an_arm_of_which_runs_failed_decides_nothing():
    assert v.rule(comparison(1.4, 1.0, 1.8, 0.001, failed=1)) == v.OPEN
    assert v.rule(comparison(0.4, 0.2, 0.6, 0.001, failed=1)) == v.OPEN


def test_the_whole_study():
    assert v.overall([v.SUPPORTED, v.SUPPORTED]) == v.SUPPORTED
    assert v.overall([v.SUPPORTED, v.OPEN]) == v.OPEN
    assert v.overall([v.SUPPORTED, v.OPEN, v.NOT_SUPPORTED]) == v.NOT_SUPPORTED
    assert v.overall([]) == v.UNCLAIMED


@pytest.mark.parametrize(("gain", "wrong"), [(0.0, v.SUPPORTED), (1.3, v.NOT_SUPPORTED)])
def test_the_rule_is_seldom_wrong(gain, wrong):
    """Of studies with four judged comparisons, at most 5 % say what is not so (here, with room for chance: 8 %)."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        made = [90 + rng.normal(0, 0.5, 4) for _ in range(2)]
        study = study_of({"plain": made[0], "se-relu": made[1], "se-felu": 90 + gain + rng.normal(0, 0.5, 4)})
        found += judge(study).verdict == wrong
    assert found <= 16


def test_a_claim_that_holds_and_one_that_does_not():
    base = np.array([90.0, 90.4, 89.8, 90.1, 90.2])
    gain = base + np.array([1.5, 1.4, 1.6, 1.3, 1.5])
    assert judge(study_of({"plain": base, "se-relu": base, "se-felu": gain})).verdict == v.SUPPORTED
    verdict = judge(study_of({"plain": base, "se-relu": gain - 0.1, "se-felu": gain}))
    assert [c.verdict for c in verdict.comparisons] == [
        v.SUPPORTED,
        v.NOT_SUPPORTED,
    ]  # 0.1 without any spread is not 1.3
    verdict = judge(
        study_of({"plain": base, "se-relu": gain - np.array([0.1, 0.2, 0, 0.1, 0.1]), "se-felu": gain})
    )
    assert [c.verdict for c in verdict.comparisons] == [v.SUPPORTED, v.NOT_SUPPORTED]
    assert verdict.verdict == v.NOT_SUPPORTED
    assert (verdict.done, verdict.failed, verdict.planned) == (15, 0, 15)


def test_pairs_are_by_seed_and_failed_runs_have_none():
    study = study_of({"se-relu": [90, None, 88, 91], "se-felu": [91, 95, None, 93]}, against=["se-relu"])
    (c,) = judge(study).comparisons
    assert (c.n, c.seeds) == (2, (0, 3))
    np.testing.assert_allclose(c.differences, [1, 2])
    relu, felu = judge(study).arms
    assert (relu.n, relu.failed, felu.n, felu.failed) == (3, 1, 3, 1)
    assert relu.mean == pytest.approx(89.6667, abs=1e-4)


def test_correction_counts_the_comparisons_of_a_kind():
    rng = np.random.default_rng(0)
    arms = {
        name: 90 + rng.normal(0, 0.3, 6) for name in ("plain", "se-relu", "se-felu", "se-elu", "se-prelu")
    }
    comparisons = judge(study_of(arms)).comparisons
    assert [bool(c.verdict) for c in comparisons] == [True, True, False, False]  # controls have none
    for c in comparisons:
        assert c.corrected_p == pytest.approx(min(1, 2 * c.p))
        assert c.corrected_low < c.low < c.high < c.corrected_high
    fewer = {arm: values for arm, values in arms.items() if arm != "se-elu"}
    assert judge(study_of(fewer)).comparisons[0] == comparisons[0]  # a control changes no verdict


def test_rounding_is_not_taken_for_a_difference():
    study = study_of({"se-relu": [54, 2], "se-felu": [55, 3]}, against=["se-relu"], effect={"cifar10": 1.0})
    (c,) = judge(study).comparisons
    assert (c.differences, c.sd, c.verdict) == ((1.0, 1.0), 0.0, v.OPEN)


def test_a_data_set_of_which_nothing_is_claimed_has_no_verdict():
    study = study_of({"se-relu": [90, 91], "se-felu": [91, 93]}, effect={}, against=["se-relu"])
    verdict = judge(study)
    assert (verdict.verdict, verdict.comparisons[0].verdict) == (v.UNCLAIMED, "")


def test_dead_units_and_accuracy():
    study = study_of({"se-relu": [90, 91, 92], "se-felu": [91, 92, 93]}, against=["se-relu"])

    def with_dead(dead):
        outcomes = [replace(o, microscope=({"hidden": 4, "dead": dead(o)},)) for o in study.outcomes]
        return judge(replace(study, outcomes=tuple(outcomes))).dead_correlation

    assert with_dead(lambda o: 2 - o.planned.seed) == pytest.approx(-1)
    assert math.isnan(with_dead(lambda o: 4 * (o.planned.arm == "se-relu")))  # arms differ: not what is asked
    assert math.isnan(judge(study).dead_correlation)


def test_fewer_pairs_than_planned_give_no_verdict():
    base, gain = [90.0, 90.1, 90.2, 90.0, 90.1], [91.5, 91.7, None, None, None]
    study = study_of({"se-relu": base, "se-felu": [g and g + 0.0 for g in gain]}, against=["se-relu"])
    waiting = tuple(replace(o, state="planned") if o.state == "failed" else o for o in study.outcomes)
    (c,) = judge(replace(study, outcomes=waiting)).comparisons
    assert (c.n, c.planned, c.failed, c.verdict) == (2, 5, 0, v.OPEN)


@pytest.mark.parametrize(
    ("shift", "n", "verdict", "identical"),
    [
        (0.0, 5, v.NOT_SUPPORTED, True),
        (-3.0, 2, v.NOT_SUPPORTED, False),
        (3.0, 5, v.OPEN, False),  # of five pairs, the permutation test's p is 0.0625 at least
        (3.0, 6, v.SUPPORTED, False),
    ],
)
def test_differences_that_are_all_the_same_are_judged(shift, n, verdict, identical):
    base = 90 + np.arange(n) / 8
    (c,) = judge(study_of({"se-relu": base, "se-felu": base + shift}, against=["se-relu"])).comparisons
    assert (c.verdict, c.identical) == (verdict, identical)
    assert c.low == c.high == c.corrected_low == pytest.approx(shift)


def test_an_accuracy_that_is_no_number_is_no_pair():
    study = study_of({"se-relu": [90, 91, 92], "se-felu": [91, math.nan, 93]}, against=["se-relu"])
    (c,) = judge(study).comparisons
    assert (c.n, c.planned, c.verdict) == (2, 3, v.OPEN)
    assert math.isfinite(c.permutation_p)
