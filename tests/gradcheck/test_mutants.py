"""The gradient tests must catch every seeded bug: one that survives is a hole in them."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from mutants import MUTANTS, mutated

from minise.backend import use_backend
from minise.gradcheck import GradientError, check_gradients
from minise.gradcheck.cases import as_function, cases
from minise.ops import OPS

FOUND = (GradientError, ValueError, RuntimeWarning)
"""A wrong gradient; one of a wrong shape; one that overflows."""


def check_all(op_name, op):
    """What `test_gradient_agrees_with_small_steps` does, with no time lost on making the failure small."""

    @settings(
        max_examples=20,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(op_name))
    def check(case):
        with use_backend("reference"):
            check_gradients(*as_function(op, case), np.random.default_rng(1), tolerance=1e-6)

    check()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_bug_is_caught(mutant):
    op = mutated(mutant)
    with pytest.raises(FOUND):
        check_all(mutant.op, op)


def test_there_are_enough_of_them_and_no_op_is_spared():
    assert len(MUTANTS) >= 60
    moves_only = {"reshape"}  # a wrong one has the wrong shape, which the tape refuses
    assert {mutant.op for mutant in MUTANTS} == set(OPS) - moves_only


def test_a_mutant_that_does_not_apply_is_an_error():
    from dataclasses import replace

    with pytest.raises(ValueError, match="stands 0 times"):
        mutated(replace(MUTANTS[0], old="not there"))
