"""What a classifier's answers are worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.backend import Array


@dataclass(frozen=True)
class Pair:
    """How often images of the class `truth`, of which there are `of`, were taken for those of the class `answer`."""

    truth: int
    answer: int
    times: int
    of: int

    @property
    def share(self) -> float:
        return self.times / self.of


@dataclass(frozen=True)
class Evaluation:
    """loss: mean cross-entropy, without smoothing. top1, top5: fractions of the images whose label is the first,
    or among the first five, of the answers (ties go to the lower class; top5 is 1 with five classes or fewer).
    confusion: (k, k) counts, a row for each true class, a column for each answer.
    """

    loss: float
    top1: float
    top5: float
    confusion: Array

    @property
    def images(self) -> int:
        return int(self.confusion.sum())

    @property
    def per_class(self) -> Array:
        """(k,) the fraction of each class that was right; NaN for a class without images."""
        seen = self.confusion.sum(axis=1)
        right = np.diag(self.confusion).astype(float)
        return np.divide(right, seen, out=np.full(len(right), np.nan), where=seen > 0)

    @property
    def confused_pairs(self) -> list[Pair]:
        """Every mistake that was made, the most frequent first."""
        seen = self.confusion.sum(axis=1)
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        pairs = [Pair(int(i), int(j), int(wrong[i, j]), int(seen[i])) for i, j in np.argwhere(wrong)]
        return sorted(pairs, key=lambda pair: (-pair.times, pair.truth, pair.answer))


def score(logits: Array, labels: Array) -> Evaluation:
    """Evaluate logits (n, k) against labels (n,)."""
    n, k = logits.shape
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    answers = np.argsort(-x, axis=1, kind="stable")[:, :5]
    confusion = np.bincount(labels * k + answers[:, 0], minlength=k * k).reshape(k, k)
    loss = float(-log_p[np.arange(n), labels].mean())
    top5 = float((answers == labels[:, None]).any(axis=1).mean())
    return Evaluation(loss, float(np.trace(confusion)) / n, top5, confusion)
