"""The search for a case that fails: hypothesis draws cases, and makes the first that fails as small as it can."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minise.errors import MiniseError
from minise.gradcheck.cases import Case
from minise.gradcheck.compare import TOLERANCE, GradientComparison, Mismatch
from minise.gradcheck.diagnosis import Evidence, likeliest_cause, same

LOOKED_AT, KEPT = 40, 4
"""Of so many more cases, so many that fail are looked at for their cause."""


@dataclass(frozen=True)
class FailingCase:
    """The smallest case that was found to fail. message: what was wrong, in one line.

    mismatch: the worst derivative, where numbers were wrong; cause: what is probably wrong, where that can be told.
    """

    message: str
    inputs: list[Any] = field(repr=False)
    options: dict[str, Any]
    mismatch: Mismatch | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Checked:
    """What became of one thing that was checked. worst: the largest relative error of all cases.

    cases, derivatives, kinks: how many were tried, compared, and found at a kink. seconds: how long it took.
    """

    kind: str
    name: str
    backend: str
    worst: float
    cases: int
    derivatives: int
    kinks: int
    seconds: float
    failure: FailingCase | None = None


class WrongGradientError(MiniseError):
    """A case whose gradient is wrong; what was compared goes with it."""

    def __init__(self, comparison: GradientComparison, tolerance: float) -> None:
        super().__init__(f"the gradient of {comparison.worst.words}, expected at most {tolerance:g}")
        self.comparison = comparison


Wrong = tuple[Case, GradientComparison]
Check = Callable[[Case], GradientComparison]
"""Checks a case, and raises MiniseError for what is wrong other than a number."""


def search(
    strategy: Any,
    check: Check,
    *,
    kind: str,
    name: str,
    backend: str,
    examples: int,
    seed: int,
    tolerance: float = TOLERANCE,
) -> Checked:
    """Check up to `examples` cases of a hypothesis strategy, until one fails; the same seed draws the same cases."""
    from hypothesis.errors import Flaky

    began = time.perf_counter()
    good: list[GradientComparison] = []
    failed: list[tuple[Case, MiniseError]] = []

    def attempt(case: Case) -> GradientComparison:
        with np.errstate(all="ignore"):
            comparison = check(case)
        if not comparison.worst.error <= tolerance:
            raise WrongGradientError(comparison, tolerance)
        return comparison

    def run(case: Case) -> None:
        try:
            comparison = attempt(case)
        except MiniseError as error:
            failed.append((case, error))
            raise
        if not failed:
            good.append(comparison)

    with suppress(MiniseError, Flaky):  # what went wrong is the last in `failed`
        draw_cases(strategy, run, examples, seed, shrink=True)
    failure = describe(*failed[-1], lambda: more_failures(strategy, attempt, seed)) if failed else None
    tried = good + [error.comparison for _, error in failed[:1] if isinstance(error, WrongGradientError)]
    return Checked(
        kind,
        name,
        backend,
        worst=max((c.worst.error for c in tried), default=float("nan")),
        cases=len(good) + bool(failed),
        derivatives=sum(c.compared for c in tried),
        kinks=sum(c.kinks for c in tried),
        seconds=time.perf_counter() - began,
        failure=failure,
    )


def draw_cases(
    strategy: Any, run: Callable[[Case], None], examples: int, seed: int, *, shrink: bool = False
) -> None:
    """Run on up to `examples` cases of the strategy; the first error leaves, of the smallest case with `shrink`."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, settings
    from hypothesis import seed as with_seed

    settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )(with_seed(seed)(given(case=strategy)(lambda case: run(case))))()


def more_failures(strategy: Any, attempt: Check, seed: int) -> list[Wrong]:
    """Cases with a wrong gradient among some more, those with the most sizes of axes and the largest of these first.

    The smallest of all seldom tells the cause.
    """
    found: list[Wrong] = []

    def collect(case: Case) -> None:
        try:
            attempt(case)
        except WrongGradientError as error:
            found.append((case, error.comparison))
        except MiniseError:
            pass

    draw_cases(strategy, collect, LOOKED_AT, seed)
    return sorted(found, key=lambda pair: (-len(sizes_in(pair[0])), -pair[1].compared))[:KEPT]


def sizes_in(case: Case) -> set[int]:
    """The sizes of axes above 1, each once."""
    return {size for x in case.inputs if isinstance(x, np.ndarray) for size in x.shape if size > 1}


def describe(case: Case, error: MiniseError, more: Callable[[], list[Wrong]]) -> FailingCase:
    """The smallest case that fails, with the likeliest cause if it is a wrong gradient."""
    if not isinstance(error, WrongGradientError):
        return FailingCase(str(error), case.inputs, case.options)
    worst = error.comparison.worst
    evidence = [evidence_of(*pair, worst.input) for pair in more() if worst.input in pair[1].analytic]
    cause = likeliest_cause([e for e in evidence if not same(e.a, e.n)])
    return FailingCase(str(error), case.inputs, case.options, worst, cause)


def evidence_of(case: Case, comparison: GradientComparison, i: int) -> Evidence:
    """What a failed case says about what is wrong with the gradient of input i."""
    arrays = [x for x in case.inputs if isinstance(x, np.ndarray)]
    return Evidence(i, comparison.y, comparison.analytic, comparison.numeric, arrays)
