"""What the logits of a test set say beyond its accuracy: how sure the answers are, and where they go wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minise.backend import Array
from minise.train.metrics import Evaluation, Pair, score

BINS = 15
"""Of confidence, equally wide over 0 to 1: what ECE is usually given for."""


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies in (low, high]; accuracy and their mean confidence are NaN without any."""

    low: float
    high: float
    images: int
    accuracy: float
    confidence: float


@dataclass(frozen=True)
class Calibration:
    """ece: sum over the bins of images / n · |accuracy - confidence|; confidence: the mean over all answers."""

    ece: float
    confidence: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class WrongAnswer:
    """A wrong answer. index: of the image in the test set; confidence: in the answer; loss: -log p(truth)."""

    index: int
    truth: int
    answer: int
    confidence: float
    loss: float


@dataclass(frozen=True)
class Answers:
    """low, high: the 95 % interval of Wilson for the accuracy on other images of the same kind.

    mistakes: those with the highest loss, the worst first; pairs: every mistake that was made, the most
    frequent first.
    """

    test: Evaluation
    low: float
    high: float
    per_class: tuple[float, ...]
    pairs: tuple[Pair, ...]
    mistakes: tuple[WrongAnswer, ...]
    calibration: Calibration

    @property
    def wrong(self) -> int:
        return self.test.images - int(np.trace(self.test.confusion))

    @property
    def hardest(self) -> list[int]:
        """The classes that have images, those with the lowest accuracy first."""
        return sorted(
            (i for i, x in enumerate(self.per_class) if math.isfinite(x)), key=self.per_class.__getitem__
        )


def read_answers(logits: Array, labels: Array, mistakes: int) -> Answers:
    """Everything above, from logits (n, k) and labels (n,)."""
    test = score(logits, labels)
    p = probabilities(logits)
    return Answers(
        test,
        *wilson(test.top1, test.images),
        tuple(test.per_class.tolist()),
        tuple(test.confused_pairs),
        tuple(worst_mistakes(p, labels, mistakes)),
        calibrate(p, labels),
    )


def probabilities(logits: Array) -> Array:
    """Softmax over the classes, in float64."""
    x = logits.astype(np.float64)
    p = np.exp(x - x.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def calibrate(p: Array, labels: Array) -> Calibration:
    """Expected calibration error with `BINS` bins of p (n, k). Source: Guo et al., ICML 2017."""
    confidence, right = p.max(axis=1), p.argmax(axis=1) == labels
    which = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    bins = []
    for b in range(BINS):
        inside = which == b
        n = int(inside.sum())
        means = (float(right[inside].mean()), float(confidence[inside].mean())) if n else (math.nan, math.nan)
        bins.append(Bin(b / BINS, (b + 1) / BINS, n, *means))
    gaps = [b.images * abs(b.accuracy - b.confidence) for b in bins if b.images]
    return Calibration(sum(gaps) / len(labels), float(confidence.mean()), tuple(bins))


def worst_mistakes(p: Array, labels: Array, most: int) -> list[WrongAnswer]:
    """Up to `most` wrong answers, the highest loss first."""
    truth = p[np.arange(len(labels)), labels]
    answer = p.argmax(axis=1)
    wrong = np.flatnonzero(answer != labels)
    order = wrong[np.argsort(truth[wrong], kind="stable")][:most]
    tiny = np.finfo(np.float64).tiny
    return [
        WrongAnswer(
            int(i),
            int(labels[i]),
            int(answer[i]),
            float(p[i, answer[i]]),
            -math.log(max(float(truth[i]), tiny)),
        )
        for i in order
    ]


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of Wilson for a share of n that was seen. Source: Wilson, JASA 22, 1927."""
    z2 = 1.959964**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return middle - reach, middle + reach
