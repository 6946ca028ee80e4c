"""Lessons: one op walked through with numbers, line by line of minise's own source, beside what the tape says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from minise.backend import use_backend
from minise.errors import ConfigError
from minise.ops import ACTIVATIONS
from minise.teach.explain import batch_norm, conv, dead, felu, se, tape
from minise.teach.explain.lesson import Lesson, Step, as_data
from minise.teach.explain.script import Script


@dataclass(frozen=True)
class Topic:
    """What prepares a lesson's names, and what it is about in one line; the rest is in its file in `lessons/`."""

    prepare: Callable[..., dict[str, Any]]
    words: str


TOPICS = {
    "se": Topic(se.prepare, "One SE block, forward and backward: both paths of its gradient, term by term."),
    "felu": Topic(felu.prepare, "FeLU and its derivative, and why 2^(x / ln 2) is e^x."),
    "dead": Topic(dead.prepare, "Four neurons in a row, live: how one dead unit stops all before it."),
    "conv": Topic(conv.prepare, "A convolution of one small picture, and its three gradients."),
    "batchnorm": Topic(batch_norm.prepare, "Batch norm, the three terms of its gradient, and a blind test."),
    "tape": Topic(tape.prepare, "What the tape records, and how it is walked back, node by node."),
}
"""Name -> what prepares the lesson; its keyword arguments are the lesson's options."""


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
    file = files(__package__).joinpath("lessons", f"{topic}.toml")
    with use_backend("reference"):
        return Script(topic, file.read_text(encoding="utf-8"), TOPICS[topic].prepare, **options).lesson()


__all__ = ["TOPICS", "Lesson", "Step", "Topic", "as_data", "explain"]
