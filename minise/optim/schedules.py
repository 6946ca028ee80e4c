"""Learning-rate schedules: functions of the step, from 0 to total - 1, each with a linear warm-up.

During the first `warmup` steps the rate climbs to its peak, (step + 1) / warmup of it; then the schedule runs
over the steps that are left.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minise.errors import ConfigError

Schedule = Callable[[int], float]


def constant(peak: float, total: int) -> Schedule:
    """The same rate throughout."""
    return lambda step: peak


def linear(peak: float, total: int) -> Schedule:
    """peak (1 - step / total): down in a line towards 0."""
    return lambda step: peak * (1 - step / total)


def cosine(peak: float, total: int) -> Schedule:
    """peak (1 + cos(π step / total)) / 2. Source: Loshchilov and Hutter, 2016, arXiv:1608.03983."""
    return lambda step: peak * (1 + math.cos(math.pi * step / total)) / 2


def multistep(peak: float, total: int) -> Schedule:
    """A tenth of the rate after half of the steps, a hundredth after three quarters, as the ResNet paper."""
    return lambda step: peak * (0.1 if 2 * step >= total else 1) * (0.1 if 4 * step >= 3 * total else 1)


def one_cycle(peak: float, total: int) -> Schedule:
    """Up in a line for the first 30 % of the steps, from a tenth of the peak, then down in a line towards 0.

    Source: Smith and Topin, 2017, arXiv:1708.07120, with straight lines.
    """
    top = 0.3 * total

    def rate(step: int) -> float:
        return peak * (0.1 + 0.9 * step / top if step < top else (total - step) / (total - top))

    return rate


SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    f.__name__: f for f in (constant, linear, cosine, multistep, one_cycle)
}


def make_schedule(name: str, peak: float, total: int, *, warmup: int = 0) -> Schedule:
    """The schedule `name` after a linear warm-up; `total` counts all steps, warm-up included."""
    if name not in SCHEDULES:
        raise ConfigError(f"schedule: {name!r} is unknown, expected one of {', '.join(SCHEDULES)}")
    if total < 1 or not 0 <= warmup < total:
        raise ConfigError(f"warmup: found {warmup} of {total} steps, expected fewer than all")
    after = SCHEDULES[name](peak, total - warmup)
    return lambda step: peak * (step + 1) / warmup if step < warmup else after(step - warmup)
