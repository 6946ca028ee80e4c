"""What the SE blocks did over a training, as a run's microscope recorded it epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minise.errors import RunError

Rows = tuple[tuple[float, ...], ...]
"""(blocks, epochs)."""


@dataclass(frozen=True)
class History:
    """A row for each block, a column for each epoch.

    dead: the share of a block's hidden units that are dead, see `BlockView`; alpha: the mean of the activation's
    learnable parameter, NaN where it has none; variance: of a gate over the images, mean over the channels.
    """

    blocks: tuple[str, ...]
    epochs: tuple[int, ...]
    dead: Rows
    alpha: Rows
    variance: Rows

    @property
    def has_alpha(self) -> bool:
        return bool(np.isfinite(self.alpha).any())


def history(lines: Sequence[dict[str, Any]]) -> History | None:
    """From the lines of microscope.jsonl; None without SE blocks. Raises RunError for other lines than those."""
    try:
        table = [line["blocks"] for line in lines]
        if not table or not table[0]:
            return None
        rows = {
            "dead": [[b["dead"] / b["hidden"] for b in blocks] for blocks in table],
            "alpha": [[mean(b["alpha"]) for b in blocks] for blocks in table],
            "variance": [[b["between_images"] for b in blocks] for blocks in table],
        }
        names = tuple(str(b["block"]) for b in table[0])
        return History(
            names,
            tuple(int(line["epoch"]) for line in lines),
            **{key: _rows(np.array(a, float).T) for key, a in rows.items()},
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise RunError(f"report: microscope.jsonl is not what a training writes ({error!r})") from error


def mean_history(histories: Sequence[History]) -> History | None:
    """The mean over runs, of those that have the blocks and epochs of the first."""
    if not histories:
        return None
    first = histories[0]
    same = [h for h in histories if (h.blocks, h.epochs) == (first.blocks, first.epochs)]

    dead, alpha, variance = (
        _rows(np.mean([getattr(h, name) for h in same], axis=0)) for name in ("dead", "alpha", "variance")
    )
    return replace(first, dead=dead, alpha=alpha, variance=variance)


def mean(values: Sequence[float] | None) -> float:
    """The mean, NaN without any values."""
    return float(np.mean(values)) if values else float("nan")


def _rows(a: Any) -> Rows:
    return tuple(tuple(float(x) for x in row) for row in a)
