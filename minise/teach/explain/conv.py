"""What the convolution lesson works on, a thumbnail in gray and one small kernel, and its evidence."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minise.backend import Array
from minise.errors import ConfigError
from minise.ops.conv2d import conv2d, output_size
from minise.teach.explain.evidence import evidence
from minise.teach.explain.pictures import decimals, drawn, thumbnails

K = 3
"""The kernel's size."""


def prepare(*, stride: int = 1, padding: int = 1, seed: int = 0) -> dict[str, Any]:
    """One image, one channel, one kernel. stride: 1 to 3, padding: 0 to 2, else ConfigError."""
    for name, found, expected in (("stride", stride, range(1, K + 1)), ("padding", padding, range(K))):
        if found not in expected:
            raise ConfigError(f"conv: found {name} {found}, expected {expected[0]} to {expected[-1]}")
    rng = np.random.default_rng(seed)
    small, _ = thumbnails()
    picture = small[rng.integers(len(small))].mean(axis=0)
    x = decimals(2 * (picture - picture.mean()))[None, None]
    h, ho = x.shape[2], output_size("conv2d", x.shape[2], K, stride, padding)
    w, b, gy = drawn(rng, 1, 1, K, K), drawn(rng, 1), drawn(rng, 1, 1, ho, ho)

    tape, steps = evidence(partial(conv2d, stride=stride, padding=padding), {"x": x, "w": w, "b": b}, gy)
    tape["ho"] = np.asarray(tape["y"].shape[2])
    for found_by in (tape, steps):
        found_by["conv2d(gy among zeros, w turned)"] = found_by["gx"]
    zeros = np.zeros((1, 1, h + K - 1, h + K - 1))
    zeros[:, :, K - 1 - padding :: stride, K - 1 - padding :: stride][:, :, :ho, :ho] = gy

    given = {"stride": stride, "padding": padding, "x": x, "w": w, "b": b, "gy": gy, "h": h}
    given |= {
        "i": 0,
        "j": min(1, ho - 1),
    }  # the pixel that is written out: in the first row, so that padding shows
    counts = partial(products, ho, h, stride, padding)
    return given | {"gy_among_zeros": zeros, "tape": tape, "steps": steps, "products": counts}


def products(ho: int, h: int, stride: int, padding: int, **wanted: tuple[int, int]) -> int:
    """How many products read the picture and not its border: those of an output pixel `out`, a `tap` or a `pixel`."""
    count = 0
    for i, j, p, q in product(range(ho), range(ho), range(K), range(K)):
        r, s = i * stride + p - padding, j * stride + q - padding
        found = {"out": (i, j), "tap": (p, q), "pixel": (r, s)}
        count += 0 <= r < h and 0 <= s < h and all(found[name] == at for name, at in wanted.items())
    return count


def most_different(a: Array, b: Array) -> str:
    """The pixel in which two pictures differ most, as an index."""
    r, s = np.unravel_index(np.abs(a - b).argmax(), a.shape)[2:]
    return f"{r},{s}"
