"""How long a study will take, from a few steps of each of its models that are timed here and now."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.backend import resolve_device, usable_backend
from minise.data import DATASETS
from minise.kernels.threads import set_threads
from minise.study.outcome import Outcome
from minise.study.plan import PlannedRun
from minise.train.profile import time_steps
from minise.train.tta import VIEWS

STEPS = 3
FORWARD = 1 / 3
"""What evaluating an image takes of the time of training on it."""


@dataclass(frozen=True)
class Estimate:
    """images_per_second of training, by (model, batch size), on all threads; seconds: of every open run, by name."""

    images_per_second: dict[tuple[str, int], float]
    seconds: dict[str, float]

    @property
    def total(self) -> float:
        """Seconds for all of it, one run after the other."""
        return sum(self.seconds.values())


def estimate(outcomes: list[Outcome], *, threads: int | None = None, device: str = "auto") -> Estimate:
    """Time a few steps of every model that is still to be trained. Runs that are begun count for what is left."""
    set_threads(threads)
    backend = usable_backend(resolve_device(device)).name
    speed: dict[tuple[str, int], float] = {}
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        planned = outcome.planned
        key = (planned.config.model, planned.config.batch_size)
        if key not in speed:
            options = {k: v for k, v in planned.config.model_options().items() if k != "seed"}
            (times,) = time_steps(key[0], [backend], batch_size=key[1], steps=STEPS, **options)
            speed[key] = times.images_per_second
        done = 0 if outcome.state == "failed" else outcome.epochs  # that one is begun anew
        left = 1 - done / planned.config.epochs
        seconds[planned.name] = left * _images(planned) / speed[key]
    return Estimate(speed, seconds)


def _images(planned: PlannedRun) -> float:
    """How many images are trained on, with what is only evaluated counted for what it takes."""
    config, spec = planned.config, DATASETS[planned.dataset]
    train = min(config.limit_train or spec.train, spec.train)
    val = train // 10 if config.val_size is None else config.val_size
    test = min(config.limit_test or spec.test, spec.test)
    views = len(VIEWS[config.tta](np.zeros((1, 1, 4, 4))))
    evaluated = views * (config.epochs * val + test) + config.epochs * config.microscope
    return config.epochs * (train - val) + FORWARD * evaluated
