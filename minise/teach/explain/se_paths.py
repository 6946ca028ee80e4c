"""Both paths of one pixel of the SE block, term by term: through every hidden unit and every gate."""

from __future__ import annotations

import math

from minise.ops.activation import derivative
from minise.teach.explain.arithmetic import number
from minise.teach.explain.lesson import Step, Table, element
from minise.teach.explain.se_walk import CHANNEL, IMAGE, PIXEL, Walk


def path_step(walk: Walk) -> Step:
    """The gradient of one pixel as a sum over all ways to the loss."""
    h, w = walk.block.u.shape[2:]
    rows = _rows(walk)
    total, direct = math.fsum(row[-1] for row in rows), walk.factor("direct", *PIXEL)[1]
    gate = total / (h * w)
    columns = ("unit j", "gate k", "gs[k]", "s·(1-s)", "w2[k,j]", "act'(q[j])", f"w1[j,{CHANNEL}]", "product")
    return Step(
        "backward",
        f"Both paths of one pixel, {element('u', PIXEL)}, term by term",
        (
            f"direct   gy·s[{CHANNEL}]",
            f"gate     Σ_j Σ_k gs[k]·s[k]·(1 - s[k])·w2[k,j]·act'(q[j])·w1[j,{CHANNEL}] / (h·w)",
        ),
        f"The pixel moves the mean of channel {CHANNEL}, that moves the hidden units, each of them moves all"
        " gates, and each gate scales a whole channel: a product for each of these ways, and a sum over the ways.",
        tables=(
            Table(
                f"every way through the gate, in image {IMAGE}",
                columns,
                rows,
                f"sum {number(total)}; / (h·w) = {number(gate)} through the gate;"
                f" with {number(direct)} on the direct path, gu = {number(gate + direct)}",
                stops=True,
            ),
        ),
    )


def _rows(walk: Walk) -> tuple[tuple[int | float, ...], ...]:
    alphas = [walk.block.alpha] if walk.block.alpha is not None else []
    slopes = derivative(walk.act, walk.forward["q"], *alphas)
    rows = []
    for j in range(len(walk.block.b1)):
        for k in range(walk.block.u.shape[1]):
            s = walk.factor("s", IMAGE, k)[1]
            factors = (
                walk.factor("gs", IMAGE, k)[1],
                s * (1 - s),
                walk.factor("w2", k, j)[1],
                float(slopes[IMAGE, j]),
                walk.factor("w1", j, CHANNEL)[1],
            )
            rows.append((j, k, *factors, math.prod(factors)))
    return tuple(rows)
