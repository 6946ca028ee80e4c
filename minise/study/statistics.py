"""The statistics of a verdict, on accuracies and differences in points: intervals, tests and power, by SciPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minise._util.optional import optional

NOISE = 1e-9
"""Points: accuracies are fractions of images, so what is smaller comes of rounding."""
LEVEL, POWER, MOST_SEEDS = 0.05, 0.8, 1000
FEWEST_PAIRS = 3
"""For how many seeds are needed: the deviation of two pairs says next to nothing."""
MOST_EXACT = 16
"""Up to so many pairs, the permutation test tries all signs; from then on, 100,000 at random."""


def mean_and_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float, float, float]:
    """(mean, standard deviation, low, high): the 1 - level interval of Student's t for the mean; NaN if unknown."""
    n, mean = len(values), mean_of(values)
    if n < 2:
        return mean, math.nan, math.nan, math.nan
    sd = float(np.std(values, ddof=1))
    if sd < NOISE:  # values that are all the same say nothing of how they spread
        return mean, 0.0, math.nan, math.nan
    low, high = stats().t.interval(1 - level, n - 1, loc=mean, scale=sd / math.sqrt(n))
    return mean, sd, float(low), float(high)


def interval_of_pairs(d: Sequence[float], level: float = LEVEL) -> tuple[float, float, float, float]:
    """`mean_and_interval` of differences; of two or more that are all the same, the interval is their mean."""
    mean, sd, low, high = mean_and_interval(d, level)
    return (mean, sd, mean, mean) if sd == 0 else (mean, sd, low, high)


def t_test(d: Sequence[float]) -> float:
    """The two-sided p of the paired t test on differences; NaN for fewer than two, or where all are the same."""
    if len(d) < 2 or np.ptp(d) < NOISE:
        return math.nan
    return float(stats().ttest_1samp(d, 0.0).pvalue)


def permutation_test(d: Sequence[float]) -> float:
    """The two-sided p of the sign permutation test on differences: exact up to 16 pairs. NaN for fewer than two.

    An exact one can never be below 2 / 2^n: with five seeds, not below 0.0625.
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


def seeds_needed(effect: float, sd: float, level: float = LEVEL) -> int | None:
    """The smallest number of pairs for which a two-sided t test at `level` sees `effect` with a power of 0.8."""
    if not (math.isfinite(effect) and math.isfinite(sd) and sd > 0):
        return None
    n = np.arange(2, MOST_SEEDS + 1)
    critical = stats().t.ppf(1 - level / 2, n - 1)
    shown = stats().nct.sf(critical, n - 1, effect / sd * np.sqrt(n)) >= POWER
    return int(n[shown.argmax()]) if shown.any() else None


def stats() -> Any:
    """scipy.stats, imported when it is needed. Raises ConfigError where it is not installed."""
    return optional("scipy.stats", "verdict", "report")


def mean_of(values: Sequence[float]) -> float:
    """The mean, NaN of nothing."""
    return float(np.mean(values)) if len(values) else math.nan
