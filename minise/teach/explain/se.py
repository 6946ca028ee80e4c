"""What the SE lesson works on, three pictures and a block with weights of one decimal, and its evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops import ACTIVATIONS
from minise.ops.activation import derivative
from minise.ops.conv2d import conv2d_forward
from minise.ops.se import se, se_composed
from minise.tape import Call
from minise.teach.explain.evidence import evidence, on_tape
from minise.teach.explain.lesson import Cell, difference
from minise.teach.explain.pictures import decimals, drawn, thumbnails
from minise.teach.explain.rules import RULES

N, C, D = 3, 4, 2
SEED = 13
"""A draw in which both paths are large enough to see, and one unit is positive for every image."""
KINK = 0.1
"""How far a hidden unit's input stays from 0, so that small steps do not cross it."""
INPUTS = ("u", "w1", "b1", "w2", "b2", "alpha")


def prepare(*, act: str = "relu", seed: int = SEED) -> dict[str, Any]:
    """One block with three images, four channels and two hidden units; act: a name of `ACTIVATIONS`."""
    block = draw_block(act, seed)
    inputs = {name: block[name] for name in INPUTS if block[name] is not None}
    fused, steps = evidence(partial(se, act=act), inputs, block["gy"])
    y, calls, gradients = on_tape(partial(se_composed, act=act), list(inputs.values()), block["gy"])
    tape = seen(calls) | {"y": y} | {f"g{name}": g for name, g in zip(inputs, gradients, strict=True)}
    parameters = [] if block["alpha"] is None else [block["alpha"]]

    def slope(q: Array | float) -> Array:
        return derivative(act, np.asarray(q), *parameters)

    given = {"act": act, "rule": RULES[act], "op": ACTIVATIONS[act].op, "h": 2, "w": 2}
    given |= {"needs": (True,) * len(inputs), "slope": slope, "act'": slope}
    others = partial(compared, (tape, fused, steps))
    return block | given | {"tape": tape, "steps": steps, "compared": others}


def draw_block(act: str, seed: int) -> dict[str, Any]:
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
            alpha = None if start is None else np.asarray(start)
            block = {"u": u, "w1": w1, "b1": b1, "w2": w2, "b2": b2, "alpha": alpha}
            return block | {"gy": gy, "pictures": pictures}


def _teaches(q: Array) -> bool:
    """Both signs in image 0, and in unit 1; nothing near the kink, or so large that a gate is shut."""
    signs = bool(q[0, 0] > 0 > q[0, 1] and q[1:, 1].max() > 0)
    return signs and bool(np.abs(q).min() > KINK and np.abs(q).max() < 2)


def seen(calls: list[Call]) -> dict[str, Any]:
    """What the tape sees on the way through `se_composed`, forward and backward, by name."""
    forward, backward = ([call for call in calls if call.backward is back] for back in (False, True))
    found = dict(zip(("z", "q", "a", "v", "s"), (call.results[0] for call in forward), strict=False))
    upstream = [call.inputs[0] for call in backward]  # of the product, a reshape, the gate, …, the squeeze
    found |= zip(("gs", "gv", "ga", "gq", "gz"), upstream[2:], strict=True)
    (direct, *_), (through_gate,) = backward[0].results, backward[-1].results
    assert through_gate is not None
    # the same in every pixel of a map; the line of the lesson leaves axes of size 1
    return found | {"direct": direct, "through_gate": through_gate[:, :, :1, :1]}


def ways_of(gs: Array, s: Array, w2: Array, slopes: Array, w1: Array) -> list[tuple[int | float, ...]]:
    """(unit, gate, factors…, their product) for every way from a channel's mean through the gates of its image."""
    rows = []
    for j, k in product(range(len(slopes)), range(len(gs))):
        factors = [float(x) for x in (gs[k], s[k] * (1 - s[k]), w2[k, j], slopes[j], w1[j])]
        rows.append((j, k, *factors, math.prod(factors)))
    return rows


def compared(others: Sequence[dict[str, Array]], **ours: Any) -> list[tuple[Cell, ...]]:
    """(gradient, shape, its largest differences from all others); galpha is a list of none or one."""
    rows: list[tuple[Cell, ...]] = []
    for name, found in ours.items():
        for gradient in found if isinstance(found, list) else [found]:
            rows.append((name, str(gradient.shape), *(difference(gradient, other[name]) for other in others)))
    return rows
