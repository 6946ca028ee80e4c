"""What the batch norm lesson works on, one pixel of four pictures in two colors, and its evidence."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from minise.backend import Array
from minise.ops.batch_norm import batch_norm, batch_norm_backward
from minise.ops.reduce import mean as mean_
from minise.tape import Tensor
from minise.teach.explain.evidence import evidence, on_tape
from minise.teach.explain.lesson import difference
from minise.teach.explain.pictures import decimals, drawn, thumbnails
from minise.teach.explain.source import Lines, instead

M, C = 4, 2
EPS = 1e-5
UNSEEN = 1e-9
"""An error below this passes a gradient test."""
VARIANTS = {
    "gx = gy - column(gb / m, gy.ndim) - x_hat * column(gw / m, gy.ndim)": "as it is",
    "gx = gy - column(gb / m, gy.ndim)": "no third term: σ² as a constant",
    "gx = gy - column(gb / m, gy.ndim) + x_hat * column(gw / m, gy.ndim)": "the third term's sign",
    "gx = gy - column(gb / m, gy.ndim) - x_hat * column(gw / (m - 1), gy.ndim)": "m - 1 for m in the third term",
    "gx = gy - x_hat * column(gw / m, gy.ndim)": "no second term: μ as a constant",
    "gx = gy": "neither",
}
"""What could stand in place of the line of gx, and what is wrong with it."""


def prepare(*, seed: int = 0) -> dict[str, Any]:
    """Four images, two channels, one value each, so that every sum has four terms."""
    inputs, gy = draw(seed)
    x, w, b = inputs.values()
    ones = np.ones_like(gy)
    tape, steps = evidence(batch_norm, inputs, gy)
    blind_tape, blind_steps = evidence(batch_norm, inputs, ones)
    *_, gradients = on_tape(partial(composed, tape), [x, w, b], gy)
    tape |= dict(zip(("gx", "gw", "gb"), gradients, strict=True))
    statistics = np.zeros(C), np.ones(C)
    batch_norm(x, w, b, running=statistics)
    outside = batch_norm(x, w, b, running=statistics, train=False).data
    tape |= {"running mean": statistics[0], "running var": statistics[1], "y, train=False": outside}
    tape["gx for gy = 1"], steps["gx for gy = 1"] = blind_tape["gx"], blind_steps["gx"]

    def errors_of(saved: Any) -> dict[str, list[float]]:
        pairs = ((ones, blind_steps["gx"]), (gy, steps["gx"]))
        return {line: [error(line, saved, *pair) for pair in pairs] for line in VARIANTS}

    given = {"gy": gy, "ones": ones, "m": M, "eps": EPS, "momentum": 0.1, "train": True}
    given |= {"running": (np.zeros(C), np.ones(C)), "before": np.zeros(C)}
    return inputs | given | {"tape": tape, "steps": steps, "errors_of": errors_of}


def draw(seed: int) -> tuple[dict[str, Array], Array]:
    """x, two channels of one pixel of four pictures, with different values, none of them 0; w, b; then gy."""
    rng = np.random.default_rng(seed)
    small, _ = thumbnails()
    while True:
        x = decimals(small[rng.choice(len(small), M, replace=False), :C, 1, 1])
        distinct = all(len(set(channel)) == M for channel in x.T.tolist())
        if distinct and x.all() and x.std(axis=0).min() > 0.4:
            return {"x": x, "w": np.abs(drawn(rng, C)), "b": drawn(rng, C)}, drawn(rng, M, C)


def composed(kept: dict[str, Array], x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Batch norm from single ops; kept: what the tape sees on the way, by name."""
    mean = mean_(x, axis=0)
    centred = x - mean
    var = mean_(centred * centred, axis=0)
    inv = (var + EPS) ** -0.5
    x_hat = centred * inv
    y = w * x_hat + b
    named = {"mean": mean, "centred": centred, "var": var, "inv": inv, "x_hat": x_hat, "y": y}
    kept.update({name: tensor.data for name, tensor in named.items()})
    return y


def error(line: str, saved: Any, gy: Array, right: Array) -> float:
    """How far gx is from `right` with another line in place of its own."""
    lines = Lines(batch_norm_backward, gy=gy, saved=saved, needs=(True,) * 3)
    lines.run("x_hat, inv", "axes = ", "gw = ", "gb = ", "m = ")
    lines.scope["gx"] = instead(line, "gx", lines.scope)
    lines.run("gx = gx * ")
    return difference(lines["gx"], right)
