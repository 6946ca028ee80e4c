"""Lessons: one op walked through with numbers, line by line of minise's own source, beside what the tape says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minise.backend import use_backend
from minise.errors import ConfigError
from minise.ops import ACTIVATIONS
from minise.teach.explain.batch_norm import explain_batch_norm
from minise.teach.explain.conv import explain_conv
from minise.teach.explain.dead import explain_dead
from minise.teach.explain.felu import explain_felu
from minise.teach.explain.lesson import Lesson, Step, as_data
from minise.teach.explain.se import explain_se
from minise.teach.explain.tape import explain_tape


@dataclass(frozen=True)
class Topic:
    """What makes a lesson, and what it is about in one line."""

    make: Callable[..., Lesson]
    words: str


TOPICS = {
    "se": Topic(explain_se, "One SE block, forward and backward: both paths of its gradient, term by term."),
    "felu": Topic(explain_felu, "FeLU and its derivative, and why 2^(x / ln 2) is e^x."),
    "dead": Topic(explain_dead, "Four neurons in a row, live: how one dead unit stops all before it."),
    "conv": Topic(explain_conv, "A convolution of one small picture, and its three gradients."),
    "batchnorm": Topic(explain_batch_norm, "Batch norm, the three terms of its gradient, and a blind test."),
    "tape": Topic(explain_tape, "What the tape records, and how it is walked back, node by node."),
}
"""Name -> what makes the lesson; its keyword arguments are the lesson's options."""


def explain(topic: str, **options: Any) -> Lesson:
    """The lesson on a topic of `TOPICS`, computed now, by the reference ops in float64.

    Raises ConfigError for an unknown topic, activation or number.
    """
    if topic not in TOPICS:
        raise ConfigError(f"explain: found the topic {topic!r}, expected one of {', '.join(TOPICS)}")
    if "act" in options and options["act"] not in ACTIVATIONS:
        raise ConfigError(f"explain: found act {options['act']!r}, expected one of {', '.join(ACTIVATIONS)}")
    if options.get("seed", 0) < 0:
        raise ConfigError(f"explain: found seed {options['seed']}, expected a number >= 0")
    with use_backend("reference"):
        return TOPICS[topic].make(**options)


__all__ = ["TOPICS", "Lesson", "Step", "Topic", "as_data", "explain"]
