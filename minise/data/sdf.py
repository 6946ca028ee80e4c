"""The ten shapes of shapes10 as signed distance fields.

A field takes the coordinates u (to the right) and v (upwards) of every pixel, float32 arrays of one shape, in
units of the figure's size, and gives how far the pixel lies outside the figure (negative inside). All figures
cover about the same area, 1.6 to 2.0, and none reaches further than 1.2 from the origin: neither size nor
brightness tells them apart. Only +, -, ·, /, |x|, min, max and the square root are used, which IEEE 754 rounds
the same everywhere: every machine draws the same pixels.

Source of the formulas: Inigo Quilez, "2D distance functions", https://iquilezles.org/articles/distfunctions2d/
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

F = np.float32  # constants as float32 scalars: nothing is promoted to float64


def length(u: Field, v: Field) -> Field:
    """The distance of (u, v) from the origin."""
    return np.sqrt(u * u + v * v)


def box(u: Field, v: Field, half_width: float, half_height: float) -> Field:
    """A rectangle around the origin (by the larger overshoot: exact but beyond its corners)."""
    return np.maximum(np.abs(u) - F(half_width), np.abs(v) - F(half_height))


def disc(u: Field, v: Field) -> Field:
    return length(u, v) - F(0.76)


def ring(u: Field, v: Field) -> Field:
    return np.abs(length(u, v) - F(0.72)) - F(0.2)


def square(u: Field, v: Field) -> Field:
    return box(u, v, 0.67, 0.67)


def triangle(u: Field, v: Field) -> Field:
    """Three half planes at 120 degrees, 0.58 from the origin."""
    return np.maximum(np.abs(u) * F(0.8660254) + v * F(0.5), -v) - F(0.58)


def star(u: Field, v: Field) -> Field:
    """Five points: folded by its mirror axes onto one edge, then the distance to that segment."""
    x1, y1 = F(0.809016994), F(-0.587785252)  # the normals of two mirror axes
    x2, y2 = F(-0.809016994), F(-0.587785252)
    u = np.abs(u)
    fold = np.maximum(u * x1 + v * y1, F(0)) * F(2)
    u, v = u - fold * x1, v - fold * y1
    fold = np.maximum(u * x2 + v * y2, F(0)) * F(2)
    u, v = np.abs(u - fold * x2), v - fold * y2 - F(1.15)
    edge_u, edge_v = F(0.55 * 0.587785252), F(0.55 * 0.809016994 - 1)
    along = (u * edge_u + v * edge_v) / (edge_u * edge_u + edge_v * edge_v)
    along = np.minimum(np.maximum(along, F(0)), F(1.15))
    return np.copysign(length(u - along * edge_u, v - along * edge_v), v * edge_u - u * edge_v)


def cross(u: Field, v: Field) -> Field:
    return np.minimum(box(u, v, 0.95, 0.28), box(u, v, 0.28, 0.95))


def crescent(u: Field, v: Field) -> Field:
    """A disc from which another one has bitten."""
    return np.maximum(length(u, v) - F(0.98), F(0.72) - length(u - F(0.5), v))


def heart(u: Field, v: Field) -> Field:
    """A square on its corner with half discs on its two upper sides."""
    a = F(0.5)
    p, q = (u + v + F(0.15)) * F(0.70710678), (u - v - F(0.15)) * F(0.70710678)
    lobes = np.minimum(length(p - a, q), length(p, q + a)) - a
    return np.minimum(box(p, q, 0.5, 0.5), lobes)


def ell(u: Field, v: Field) -> Field:
    """The letter L: a tall box and a flat one."""
    return np.minimum(box(u + F(0.4), v, 0.28, 0.95), box(u - F(0.12), v + F(0.67), 0.8, 0.28))


def bars(u: Field, v: Field) -> Field:
    """Two parallel bars."""
    return box(np.abs(u) - F(0.5), v, 0.25, 0.9)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": disc,
    "ring": ring,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
    "crescent": crescent,
    "heart": heart,
    "ell": ell,
    "bars": bars,
}
