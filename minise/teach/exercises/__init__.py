"""The exercises of the lessons, and what checks an answer: `check` in a notebook, `check_file` for a file.

Each of `EXERCISES` asks for one function, or an op's two. An answer is called with random float64 arrays; a wrong one
is compared with what the classic mistakes would give. Hints have three levels, and none has the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from minise.errors import ConfigError
from minise.teach.exercises.accumulate import ACCUMULATE
from minise.teach.exercises.avg_pool import AVG_POOL
from minise.teach.exercises.chain import CHAIN
from minise.teach.exercises.conv_gw import CONV_GW
from minise.teach.exercises.conv_stride import CONV_STRIDE
from minise.teach.exercises.dead_units import DEAD_UNITS
from minise.teach.exercises.exercise import LEVELS, Check, Exercise, Mistake, Result
from minise.teach.exercises.felu import FELU
from minise.teach.exercises.judge import judge
from minise.teach.exercises.mish import MISH
from minise.teach.exercises.se_backward import SE_BACKWARD
from minise.teach.exercises.se_excite import SE_EXCITE
from minise.teach.exercises.se_scale import SE_SCALE
from minise.teach.exercises.source import SourceError, load_functions
from minise.teach.exercises.swish_channels import SWISH_CHANNELS
from minise.teach.exercises.tanh import TANH
from minise.teach.exercises.unbroadcast import UNBROADCAST

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for exercise in (
        *(TANH, ACCUMULATE, UNBROADCAST),
        *(CONV_GW, CONV_STRIDE, AVG_POOL),
        *(SE_SCALE, SE_EXCITE, SE_BACKWARD),
        *(CHAIN, DEAD_UNITS, FELU),
        *(MISH, SWISH_CHANNELS),
    )
}


def check(name: str, *functions: Callable[..., Any], hint: int = 1) -> Result:
    """Check an answer to the exercise `name`: the functions that it asks for, in order. hint: a level from 1 to 3.

    Whatever the functions do, the result tells it. Raises ConfigError for an exercise, a level or a number of
    functions that cannot be.
    """
    if name not in EXERCISES:
        raise ConfigError(f"exercise: {name!r} is unknown, expected one of {', '.join(EXERCISES)}")
    if hint not in range(1, LEVELS + 1):
        raise ConfigError(f"hint: found {hint!r}, expected a level from 1 to {LEVELS}")
    exercise = EXERCISES[name]
    if len(functions) != len(exercise.functions) or not all(map(callable, functions)):
        raise ConfigError(
            f"{name}: found {len([f for f in functions if callable(f)])} functions in {len(functions)} arguments,"
            f" expected {', '.join(exercise.functions)}"
        )
    return judge(exercise, exercise.calling(*functions), hint)


def check_file(name: str, path: str | os.PathLike[str], *, hint: int = 1) -> Result:
    """Check the answer in a .py or .ipynb file (see `source`). Raises SourceError besides what `check` raises."""
    if name not in EXERCISES:
        raise ConfigError(f"exercise: {name!r} is unknown, expected one of {', '.join(EXERCISES)}")
    return check(name, *load_functions(path, EXERCISES[name].functions), hint=hint)


__all__ = ["EXERCISES", "Check", "Exercise", "Mistake", "Result", "SourceError", "check", "check_file"]
