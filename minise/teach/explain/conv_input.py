"""What the convolution lesson works on: a thumbnail in grey and one small kernel."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from minise.backend import Array
from minise.ops.conv2d import output_size
from minise.teach.explain.arithmetic import Factor
from minise.teach.explain.pictures import decimals, drawn, thumbnails

K = 3
"""The kernel's size."""
MAP = ("n", "c", "h", "w")
KERNEL = ("k", "c", "kh", "kw")


@dataclass(frozen=True)
class Case:
    """x: (1, 1, 4, 4), w: (1, 1, 3, 3), b: (1,), gy: like y, and the options."""

    x: Array
    w: Array
    b: Array
    gy: Array
    stride: int
    padding: int

    def taps(self) -> list[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
        """(output pixel, tap, input pixel) wherever a tap falls into the picture and not on its border."""
        ho, wo = self.gy.shape[2:]
        found = []
        for i, j, p, q in product(range(ho), range(wo), range(K), range(K)):
            r, s = i * self.stride + p - self.padding, j * self.stride + q - self.padding
            if 0 <= r < self.x.shape[2] and 0 <= s < self.x.shape[3]:
                found.append(((i, j), (p, q), (r, s)))
        return found

    @property
    def options(self) -> dict[str, int]:
        """What conv2d is called with."""
        return {"stride": self.stride, "padding": self.padding}

    @property
    def at(self) -> tuple[int, int]:
        """The output pixel that is written out: in the first row, so that padding shows."""
        return 0, min(1, self.gy.shape[3] - 1)

    def weight(self, tap: tuple[int, int]) -> Factor:
        """An element of w, to be written out."""
        return f"w[{tap[0]},{tap[1]}]", float(self.w[0, 0][tap])

    def pixel(self, at: tuple[int, int]) -> Factor:
        """An element of x."""
        return f"x[{at[0]},{at[1]}]", float(self.x[0, 0][at])

    def gradient(self, out: tuple[int, ...]) -> Factor:
        """An element of gy."""
        return f"gy[{out[0]},{out[1]}]", float(self.gy[0, 0][out])


def draw_case(stride: int, padding: int, seed: int) -> Case:
    """A picture and random numbers, by seed."""
    rng = np.random.default_rng(seed)
    small, _ = thumbnails()
    picture = small[rng.integers(len(small))].mean(axis=0)
    x = decimals(2 * (picture - picture.mean()))[None, None]
    size = output_size("conv2d", x.shape[2], K, stride, padding)
    w, b, gy = drawn(rng, 1, 1, K, K), drawn(rng, 1), drawn(rng, 1, 1, size, size)
    return Case(x, w, b, gy, stride, padding)
