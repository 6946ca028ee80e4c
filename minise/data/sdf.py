"""The ten shapes of shapes10 as signed distance fields.

A field takes the coordinates u (to the right) and v (upwards) of every pixel, float32 arrays of one shape, in
units of the figure's size, and gives how far the pixel lies outside the figure (negative inside). All
figures cover about the same area, 1.6 to 2.0, and none reaches further than 1.25 from the origin: neither
size nor brightness tells them apart. Only +, -, ·, /, |x|, min, max and the square root are used, which IEEE
754 rounds the same everywhere: every machine draws the same pixels.

Source of the formulas: Inigo Quilez, "2D distance functions", https://iquilezles.org/articles/distfunctions2d/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Field = Any  # a float32 array; NumPy's stubs take it for float64 as soon as a Python float touches it


def length(u: Field, v: Field) -> Field:
    """The distance of (u, v) from the origin."""
    return np.sqrt(u * u + v * v)


def box(u: Field, v: Field, half_width: float, half_height: float) -> Field:
    """A rectangle around the origin (by the larger overshoot: exact but beyond its corners)."""
    return np.maximum(np.abs(u) - half_width, np.abs(v) - half_height)


def disc(u: Field, v: Field) -> Field:
    """A disc of radius 0.76."""
    return length(u, v) - 0.76


def ring(u: Field, v: Field) -> Field:
    """An annulus of radius 0.72, 0.4 thick."""
    return np.abs(length(u, v) - 0.72) - 0.2


def square(u: Field, v: Field) -> Field:
    """A square of side 1.34."""
    return box(u, v, 0.67, 0.67)


def triangle(u: Field, v: Field) -> Field:
    """Three half planes at 120 degrees, 0.58 from the origin."""
    return np.maximum(np.abs(u) * 0.8660254 + v * 0.5, -v) - 0.58


def star(u: Field, v: Field) -> Field:
    """Five points: folded by its mirror axes onto one edge, then the distance to that segment."""
    x1, y1 = 0.809016994, -0.587785252  # Python floats promote nothing; the normals of two mirror axes
    x2, y2 = -0.809016994, -0.587785252
    u = np.abs(u)
    fold = np.maximum(u * x1 + v * y1, 0) * 2
    u, v = u - fold * x1, v - fold * y1
    fold = np.maximum(u * x2 + v * y2, 0) * 2
    u, v = np.abs(u - fold * x2), v - fold * y2 - 1.06
    edge_u, edge_v = 0.55 * 0.587785252, 0.55 * 0.809016994 - 1
    along = (u * edge_u + v * edge_v) / (edge_u * edge_u + edge_v * edge_v)
    along = np.minimum(np.maximum(along, 0), 1.06)
    return np.copysign(length(u - along * edge_u, v - along * edge_v), v * edge_u - u * edge_v)


def cross(u: Field, v: Field) -> Field:
    """Two bars, 1.9 by 0.56, across each other."""
    return np.minimum(box(u, v, 0.95, 0.28), box(u, v, 0.28, 0.95))


def crescent(u: Field, v: Field) -> Field:
    """A disc from which another one has bitten."""
    return np.maximum(length(u, v) - 0.98, 0.72 - length(u - 0.5, v))


def heart(u: Field, v: Field) -> Field:
    """A square on its corner with half discs on its two upper sides."""
    a = 0.5
    p, q = (u + v + 0.15) * 0.70710678, (u - v - 0.15) * 0.70710678
    lobes = np.minimum(length(p - a, q), length(p, q + a)) - a
    return np.minimum(box(p, q, 0.5, 0.5), lobes)


def ell(u: Field, v: Field) -> Field:
    """The letter L: a tall box and a flat one."""
    return np.minimum(box(u + 0.38, v, 0.3, 0.95), box(u - 0.06, v + 0.65, 0.74, 0.3))


def bars(u: Field, v: Field) -> Field:
    """Two parallel bars."""
    return box(np.abs(u) - 0.5, v, 0.25, 0.9)


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    f.__name__: f for f in (disc, ring, square, triangle, star, cross, crescent, heart, ell, bars)
}
