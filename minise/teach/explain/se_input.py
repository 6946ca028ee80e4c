"""What the SE lesson works on: three pictures, one small convolution, and weights of one decimal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minise.backend import Array
from minise.ops import ACTIVATIONS
from minise.ops.conv2d import conv2d_forward
from minise.teach.explain.pictures import decimals, drawn, thumbnails

N, C, D = 3, 4, 2
SEED = 13
"""A draw in which both paths are large enough to see, and one unit is positive for every image."""
KINK = 0.1
"""How far a hidden unit's input stays from 0, so that small steps do not cross it."""


@dataclass(frozen=True)
class Block:
    """u: (3, 4, 2, 2), and the block's weights; gy: like u; pictures: what the three images show."""

    u: Array
    w1: Array
    b1: Array
    w2: Array
    b2: Array
    alpha: Array | None
    gy: Array
    pictures: tuple[str, ...]

    @property
    def inputs(self) -> tuple[Array, ...]:
        """What `se` takes, alpha where there is one."""
        return (self.u, self.w1, self.b1, self.w2, self.b2, *(() if self.alpha is None else (self.alpha,)))


NAMES = ("u", "w1", "b1", "w2", "b2", "alpha")


def draw_block(act: str, seed: int) -> Block:
    """The first draw with something to see: in image 0, hidden unit 0 is positive and unit 1 negative."""
    rng = np.random.default_rng(seed)
    small, names = thumbnails()
    start = ACTIVATIONS[act].start
    while True:
        chosen = rng.choice(len(small), N, replace=False)
        pictures = tuple(names[i] for i in chosen)
        u = decimals(conv2d_forward(small[chosen], drawn(rng, C, 3, 3, 3, scale=1 / 3))[0])
        w1, w2 = (drawn(rng, *shape, scale=0.7) for shape in ((D, C), (C, D)))
        b1, b2 = (drawn(rng, size, scale=0.3) for size in (D, C))
        gy = drawn(rng, *u.shape)
        if len(set(pictures)) == N and _teaches(u.mean(axis=(2, 3)) @ w1.T + b1):
            return Block(u, w1, b1, w2, b2, None if start is None else np.asarray(start), gy, pictures)


def _teaches(q: Array) -> bool:
    """Both signs in image 0, and in unit 1; nothing near the kink, or so large that a gate is shut."""
    signs = bool(q[0, 0] > 0 > q[0, 1] and q[1:, 1].max() > 0)
    return signs and bool(np.abs(q).min() > KINK and np.abs(q).max() < 2)
