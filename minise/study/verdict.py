"""Is the claim true? Statistics of a study, by SciPy, and a verdict by a rule that is written down here.

For each data set and model, the arm of the claim is compared with every other arm, seed by seed: d is the mean of
the differences of their test accuracies (last epoch), in points, with a 95 % confidence interval of Student's t for
pairs. p is of the paired t test, two-sided, corrected for the number of comparisons in the study by the
procedure of Benjamini and Hochberg. Beside it stands an exact permutation test (signs of the differences).

The rule, where `effect` is the gain that is claimed:
    supported                  corrected p < 0.05, d > 0, and the interval reaches up to the effect
    not supported              the interval lies below the effect: so much is not gained, though less may be
    not enough seeds to tell   anything else: the interval holds the effect, and 0 as well
Of the whole study: supported if every comparison with an arm in `against` is, not supported if one is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minise.errors import ConfigError
from minise.study.outcome import Outcome, Study

SUPPORTED, NOT_SUPPORTED, OPEN = "supported", "not supported", "not enough seeds to tell"
LEVEL, POWER, MOST_SEEDS = 0.05, 0.8, 1000
MOST_EXACT = 16
"""Up to so many pairs, the permutation test tries all signs; from then on, 100,000 at random."""


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
    """The claim's arm against another, in points over n pairs.

    differences: by seed; mean, sd, low, high: of them; p, corrected_p: paired t test; permutation_p: the sign test;
    effect_size: mean / sd (Cohen's d of pairs); effect: the gain that is claimed; needed: how many seeds would show
    it with a power of 0.8 at the sd seen, None where more than 1000 or the sd is unknown. NaN where n is too small.
    verdict: by the rule above; "" for a control.
    """

    dataset: str
    model: str
    claim: str
    other: str
    n: int
    differences: tuple[float, ...]
    seeds: tuple[int, ...]
    mean: float
    sd: float
    low: float
    high: float
    p: float
    corrected_p: float
    permutation_p: float
    effect_size: float
    effect: float
    needed: int | None
    verdict: str


@dataclass(frozen=True)
class Verdict:
    """verdict: of the whole study; arms, comparisons: what it rests on; done, failed, planned: numbers of runs.

    dead_correlation, dead_p: Spearman's rank correlation of the share of dead units with the difference of a run's
    accuracy from the mean of its data set and model, over all runs that have one; NaN where it cannot be had.
    """

    verdict: str
    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    done: int
    failed: int
    planned: int
    dead_correlation: float
    dead_p: float


def judge(study: Study) -> Verdict:
    """The verdict on a study as it stands. Raises ConfigError without SciPy."""
    stats()
    config = study.config
    groups = [(d, m) for d in config.datasets for m in config.models]
    arms = [arm_result(d, m, arm, study.of(d, m, arm)) for d, m in groups for arm in config.arms]
    comparisons = [
        compare(study, d, m, other) for d, m in groups for other in config.arms if other != config.claim
    ]
    comparisons = corrected(comparisons, config.against)
    states = [o.state for o in study.outcomes]
    correlation, p = dead_units_and_accuracy(study)
    return Verdict(
        overall([c.verdict for c in comparisons if c.verdict]),
        tuple(arms),
        tuple(comparisons),
        states.count("done"),
        states.count("failed"),
        len(states),
        correlation,
        p,
    )


def overall(verdicts: Sequence[str]) -> str:
    """The verdict on the whole of a study."""
    if NOT_SUPPORTED in verdicts:
        return NOT_SUPPORTED
    return SUPPORTED if verdicts and set(verdicts) == {SUPPORTED} else OPEN


def rule(mean: float, low: float, high: float, corrected_p: float, effect: float) -> str:
    """The verdict on one comparison, all in points."""
    if high < effect:
        return NOT_SUPPORTED
    return SUPPORTED if mean > 0 and corrected_p < LEVEL else OPEN


def arm_result(dataset: str, model: str, arm: str, outcomes: Sequence[Outcome]) -> ArmResult:
    """What an arm's runs have come to."""
    done = [o for o in outcomes if o.state == "done"]
    values = [100 * o.test_acc for o in done if o.test_acc is not None]
    mean, sd, low, high = mean_and_interval(values)
    return ArmResult(
        dataset,
        model,
        arm,
        len(values),
        sum(o.state == "failed" for o in outcomes),
        mean,
        sd,
        low,
        high,
        _mean([100 * o.val_acc for o in done if o.val_acc is not None]),
        _mean([100 * o.best_val_acc for o in done if o.best_val_acc is not None]),
        _mean([o.dead_share for o in done if o.dead_share is not None]),
    )


def mean_and_interval(values: Sequence[float]) -> tuple[float, float, float, float]:
    """(mean, standard deviation, low, high): the 95 % interval of Student's t for the mean. NaN where unknown."""
    n, mean = len(values), _mean(values)
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    sd = float(np.std(values, ddof=1))
    if sd == 0:
        return mean, 0.0, mean, mean
    low, high = stats().t.interval(1 - LEVEL, n - 1, loc=mean, scale=sd / math.sqrt(n))
    return mean, sd, float(low), float(high)


def compare(study: Study, dataset: str, model: str, other: str) -> Comparison:
    """The claim's arm against `other`, over the seeds for which both are done; not corrected yet, and no verdict."""
    config = study.config
    mine = {o.planned.seed: o.test_acc for o in study.of(dataset, model, config.claim)}
    theirs = {o.planned.seed: o.test_acc for o in study.of(dataset, model, other)}
    pairs = {
        seed: 100 * (a - b)
        for seed in mine.keys() & theirs.keys()
        if (a := mine[seed]) is not None and (b := theirs[seed]) is not None
    }
    seeds = tuple(sorted(pairs))
    d = [pairs[seed] for seed in seeds]
    mean, sd, low, high = mean_and_interval(d)
    effect = config.effect.get(dataset, math.nan)
    return Comparison(
        dataset,
        model,
        config.claim,
        other,
        len(d),
        tuple(d),
        seeds,
        mean,
        sd,
        low,
        high,
        t_test(d),
        math.nan,
        permutation_test(d),
        mean / sd if sd > 0 else math.nan,
        effect,
        seeds_needed(effect, sd),
        "",
    )


def corrected(comparisons: Sequence[Comparison], against: Sequence[str]) -> list[Comparison]:
    """The comparisons with their corrected p, and a verdict on those with an arm in `against`."""
    known = [i for i, c in enumerate(comparisons) if math.isfinite(c.p)]
    adjusted = stats().false_discovery_control([comparisons[i].p for i in known]) if known else []
    p = dict(zip(known, map(float, adjusted), strict=True))
    made = []
    for i, c in enumerate(comparisons):
        c = replace(c, corrected_p=p.get(i, math.nan))
        if c.other in against and math.isfinite(c.effect):
            verdict = rule(c.mean, c.low, c.high, c.corrected_p, c.effect) if i in p else OPEN
            c = replace(c, verdict=verdict)
        made.append(c)
    return made


def t_test(d: Sequence[float]) -> float:
    """The two-sided p of the paired t test on differences; NaN for fewer than two, or where all are the same."""
    if len(d) < 2 or np.ptp(d) == 0:
        return math.nan
    return float(stats().ttest_1samp(d, 0.0).pvalue)


def permutation_test(d: Sequence[float]) -> float:
    """The two-sided p of the sign permutation test on differences: exact up to 16 pairs. NaN for fewer than two.

    It can never be below 2 / 2^n: with five seeds, not below 0.0625.
    """
    if len(d) < 2:
        return math.nan
    resamples = math.inf if len(d) <= MOST_EXACT else 100_000
    test = stats().permutation_test(
        (np.asarray(d),),
        np.mean,
        permutation_type="samples",
        n_resamples=resamples,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue)


def seeds_needed(effect: float, sd: float) -> int | None:
    """The smallest number of pairs for which a two-sided t test at 0.05 sees `effect` with a power of 0.8."""
    if not (math.isfinite(effect) and math.isfinite(sd) and sd > 0):
        return None
    n = np.arange(2, MOST_SEEDS + 1)
    critical = stats().t.ppf(1 - LEVEL / 2, n - 1)
    shown = stats().nct.sf(critical, n - 1, effect / sd * np.sqrt(n)) >= POWER
    return int(n[shown.argmax()]) if shown.any() else None


def dead_units_and_accuracy(study: Study) -> tuple[float, float]:
    """Spearman's rank correlation and its p, over the runs that are done and have a microscope."""
    rows = [
        (o.dead_share, o.test_acc, (o.planned.dataset, o.planned.model))
        for o in study.outcomes
        if o.dead_share is not None and o.test_acc is not None
    ]
    means = {group: _mean([acc for _, acc, g in rows if g == group]) for _, _, group in rows}
    dead = [share for share, _, _ in rows]
    accuracy = [acc - means[group] for _, acc, group in rows]
    if len(rows) < 3 or np.ptp(dead) == 0 or np.ptp(accuracy) == 0:
        return math.nan, math.nan
    found = stats().spearmanr(dead, accuracy)
    return float(found.statistic), float(found.pvalue)


def stats() -> Any:
    """scipy.stats, imported when it is needed. Raises ConfigError where it is not installed."""
    try:
        import scipy.stats
    except ImportError as error:
        raise ConfigError(f"verdict: needs SciPy ({error}); pip install 'minise[report]'") from error
    return scipy.stats


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
