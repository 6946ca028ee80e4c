"""Is the claim true? Statistics of a study, by SciPy, and a verdict by a rule that is written down here.

For each data set and model, the arm of the claim is compared with every other arm, seed by seed: d is the mean of
the differences of their test accuracies (last epoch), in points, with a 95 % interval of Student's t for pairs.
p is of the paired t test, two-sided. Beside it stands a permutation test (signs of the differences).

Comparisons with an arm in `against`, on a data set for which an effect is claimed, are judged; the others are
controls. Judging m comparisons, each gets m times its p and an interval of 1 - 0.05 / m (Bonferroni): so all of
them are right together in 95 of 100 studies. The rule, where `effect` is the gain that is claimed:
    supported                  corrected p < 0.05, d > 0, and the corrected interval reaches up to the effect
    not supported              the corrected interval lies below the effect: so much is not gained, though less may be
    not enough seeds to tell   anything else, and wherever a run of either arm failed or is not done yet
The pairs that a failed run leaves, or a look before the end, are chosen by luck. Where all differences are the same,
the interval is their value, and the permutation test's p stands for that of the t test.
Of the whole study: supported if every judged comparison is,
not supported if one is not, and nothing is claimed if none is judged.

The rule is for one look, at a number of seeds that was fixed before. Who looks after every seed and stops when the
verdict suits finds an effect that is not there several times as often.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minise.study.outcome import Outcome, Study
from minise.study.statistics import (
    FEWEST_PAIRS,
    LEVEL,
    NOISE,
    interval_of_pairs,
    mean_and_interval,
    mean_of,
    permutation_test,
    seeds_needed,
    stats,
    t_test,
)

SUPPORTED, NOT_SUPPORTED, OPEN = "supported", "not supported", "not enough seeds to tell"
UNCLAIMED = "nothing is claimed"


@dataclass(frozen=True)
class ArmResult:
    """Test accuracy of an arm in per cent, over its n runs that are done; failed: how many were not to be.

    mean; sd: standard deviation (n - 1), low, high: 95 % interval of the mean; NaN for fewer than two runs.
    best_val: mean of the best held-out accuracy, last_val: of the last; NaN where there is none.
    dead_share: mean share of dead excitation units, NaN without a microscope or SE blocks.
    """

    dataset: str
    model: str
    arm: str
    n: int
    failed: int
    mean: float
    sd: float
    low: float
    high: float
    last_val: float
    best_val: float
    dead_share: float


@dataclass(frozen=True)
class Comparison:
    """The claim's arm against another, in points over n of the planned pairs; failed: runs of either that failed.

    differences: by seed; mean, sd, low, high: of them, with the 95 % interval; p: paired t test; corrected_p,
    corrected_low, corrected_high: for as many comparisons as are judged, or as there are controls; permutation_p:
    of the permutation test that flips their signs; effect_size: mean / sd (Cohen's d of pairs); effect: the gain
    that is claimed; needed: how many seeds would tell it from 0 in this comparison, corrected, with a power of 0.8
    at the sd seen, None where more than 1000 or where fewer than three pairs show an sd. NaN where n is too small.
    verdict: by the rule above; "" for a control.
    """

    dataset: str
    model: str
    claim: str
    other: str
    n: int
    planned: int
    failed: int
    differences: tuple[float, ...]
    seeds: tuple[int, ...]
    mean: float
    sd: float
    low: float
    high: float
    p: float
    corrected_p: float
    corrected_low: float
    corrected_high: float
    permutation_p: float
    effect_size: float
    effect: float
    needed: int | None
    verdict: str

    @property
    def identical(self) -> bool:
        """Whether both arms had the same accuracy with every seed, as arms that do not differ have."""
        return self.n > 1 and self.mean == self.sd == 0


@dataclass(frozen=True)
class Verdict:
    """verdict: of the whole study; arms, comparisons: what it rests on; done, failed, planned: numbers of runs.

    dead_correlation: Spearman's rank correlation of the share of dead units with the accuracy, both less the mean of
    the run's data set, model and arm, so that it says nothing of how arms differ; NaN where it cannot be had.
    """

    verdict: str
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    done: int
    failed: int
    planned: int
    dead_correlation: float


def judge(study: Study) -> Verdict:
    """The verdict on a study as it stands. Raises ConfigError without SciPy."""
    stats()
    config = study.config
    groups = [(d, m) for d in config.datasets for m in config.models]
    pairs = [(d, m, arm) for d, m in groups for arm in config.arms if arm != config.claim]
    claimed = [arm in config.against and d in config.effect for d, _, arm in pairs]
    comparisons = [
        compare(study, *pair, judged=judged, among=claimed.count(judged))
        for pair, judged in zip(pairs, claimed, strict=True)
    ]
    states = [o.state for o in study.outcomes]
    return Verdict(
        verdict=overall([c.verdict for c in comparisons if c.verdict]),
        arms=tuple(arm_result(study, d, m, arm) for d, m in groups for arm in config.arms),
        comparisons=tuple(comparisons),
        done=states.count("done"),
        failed=states.count("failed"),
        planned=len(states),
        dead_correlation=dead_units_and_accuracy(study),
    )


def overall(verdicts: Sequence[str]) -> str:
    """The verdict on the whole of a study, from those on the judged comparisons."""
    if not verdicts:
        return UNCLAIMED
    if NOT_SUPPORTED in verdicts:
        return NOT_SUPPORTED
    return SUPPORTED if set(verdicts) == {SUPPORTED} else OPEN


def rule(c: Comparison) -> str:
    """The verdict on one comparison."""
    if c.failed or c.n < c.planned:
        return OPEN
    if c.corrected_high < c.effect:
        return NOT_SUPPORTED
    return SUPPORTED if c.mean > 0 and c.corrected_p < LEVEL else OPEN


def arm_result(study: Study, dataset: str, model: str, arm: str) -> ArmResult:
    """What an arm's runs have come to."""
    outcomes = study.of(dataset, model, arm)
    done = [o for o in outcomes if o.state == "done"]
    values = [100 * o.test_acc for o in done if o.test_acc is not None]
    mean, sd, low, high = mean_and_interval(values)
    return ArmResult(
        dataset=dataset,
        model=model,
        arm=arm,
        n=len(values),
        failed=_failed(outcomes),
        mean=mean,
        sd=sd,
        low=low,
        high=high,
        last_val=mean_of([100 * o.val_acc for o in done if o.val_acc is not None]),
        best_val=mean_of([100 * o.best_val_acc for o in done if o.best_val_acc is not None]),
        dead_share=mean_of([o.dead_share for o in done if o.dead_share is not None]),
    )


def compare(study: Study, dataset: str, model: str, other: str, *, judged: bool, among: int) -> Comparison:
    """The claim's arm against `other`, over the seeds for which both are done, corrected for `among` comparisons."""
    claim = study.config.claim
    mine, theirs = (study.of(dataset, model, arm) for arm in (claim, other))
    pairs = {
        a.planned.seed: round(100 * (a.test_acc - b.test_acc), 9)
        for a, b in zip(mine, theirs, strict=True)
        if a.test_acc is not None and b.test_acc is not None and math.isfinite(a.test_acc - b.test_acc)
    }
    seeds = tuple(sorted(pairs))
    d = tuple(pairs[seed] for seed in seeds)
    mean, sd, low, high = interval_of_pairs(d)
    _, _, corrected_low, corrected_high = interval_of_pairs(d, LEVEL / among)
    effect, p, signs = study.config.effect.get(dataset, math.nan), t_test(d), permutation_test(d)
    comparison = Comparison(
        dataset=dataset,
        model=model,
        claim=claim,
        other=other,
        n=len(d),
        planned=len(mine),
        failed=_failed([*mine, *theirs]),
        differences=d,
        seeds=seeds,
        mean=mean,
        sd=sd,
        low=low,
        high=high,
        p=p,
        corrected_p=float(np.minimum(1.0, among * (signs if sd == 0 else p))),
        corrected_low=corrected_low,
        corrected_high=corrected_high,
        permutation_p=signs,
        effect_size=mean / sd if sd > 0 else math.nan,
        effect=effect,
        needed=seeds_needed(effect, sd, LEVEL / among) if len(d) >= FEWEST_PAIRS else None,
        verdict="",
    )
    return replace(comparison, verdict=rule(comparison)) if judged else comparison


def dead_units_and_accuracy(study: Study) -> float:
    """Spearman's rank correlation within arms, over the runs that are done and have a microscope."""
    groups: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for o in study.outcomes:
        if o.dead_share is not None and o.test_acc is not None:
            groups.setdefault(o.planned.group, []).append((o.dead_share, o.test_acc))
    centred = [np.array(rows) - np.mean(rows, axis=0) for rows in groups.values()]
    dead, accuracy = np.concatenate(centred).T if centred else np.zeros((2, 0))
    if len(dead) < 3 or np.ptp(dead) < NOISE or np.ptp(accuracy) < NOISE:
        return math.nan
    return float(stats().spearmanr(dead, accuracy).statistic)


def _failed(outcomes: Sequence[Outcome]) -> int:
    return sum(o.state == "failed" for o in outcomes)
