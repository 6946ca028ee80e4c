"""What the batch norm lesson works on: one pixel of four pictures, in two colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.backend import Array
from minise.ops.batch_norm import batch_norm_forward
from minise.teach.explain.arithmetic import Factor
from minise.teach.explain.evidence import small_steps
from minise.teach.explain.pictures import decimals, drawn, thumbnails

M, C = 4, 2
SEED = 0
EPS, MOMENTUM = 1e-5, 0.1
AT = (0, 1)
"""The image and the channel whose numbers are written out."""


@dataclass(frozen=True)
class Case:
    """x: (4, 2), w, b: (2,), gy: like x."""

    x: Array
    w: Array
    b: Array
    gy: Array

    @property
    def inputs(self) -> tuple[Array, Array, Array]:
        """What batch norm takes."""
        return self.x, self.w, self.b


def draw_case(seed: int) -> Case:
    """Two channels of one pixel of four pictures, with different values, none of them 0."""
    rng = np.random.default_rng(seed)
    small, _ = thumbnails()
    while True:
        x = decimals(small[rng.choice(len(small), M, replace=False), :C, 1, 1])
        distinct = all(len(set(channel)) == M for channel in x.T.tolist())
        if distinct and x.all() and x.std(axis=0).min() > 0.4:
            return Case(x, np.abs(drawn(rng, C)), drawn(rng, C), drawn(rng, M, C))


def by_steps(case: Case, gy: Array) -> list[Array]:
    """The gradients of x, w and b by small steps."""
    return small_steps(lambda *inputs: batch_norm_forward(*inputs)[0], case.inputs, gy)


def factor(name: str, array: Array, *at: int) -> Factor:
    """An element with its name, to be written out."""
    return f"{name}[{','.join(map(str, at))}]", float(array[at])
