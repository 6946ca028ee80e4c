"""Test-time augmentation: the views of an image whose logits are averaged, as a table of functions.

Each takes images x (n, c, h, w) and returns pairs (weight, view), the weights adding up to 1.
"""

from __future__ import annotations

from collections.abc import Callable

from minise.backend import Array
from minise.data.augment import reflect

Views = list[tuple[float, Array]]


def itself(x: Array) -> Views:
    """The image as it is."""
    return [(1.0, x)]


def flip(x: Array) -> Views:
    """The image and its mirror image."""
    return [(0.5, x), (0.5, x[..., ::-1])]


def shift(x: Array) -> Views:
    """`flip`, at half the weight, and `flip` of the image moved by a pixel to either end of its diagonal.

    What comes in at the edges is reflected. Source: Jordan, 2024, arXiv:2404.00498.
    """
    h, w = x.shape[2:]
    border = reflect(x, 1)
    places = ((0.5, x), (0.25, border[:, :, :h, :w]), (0.25, border[:, :, 2:, 2:]))
    return [(weight * share, view) for weight, place in places for share, view in flip(place)]


VIEWS: dict[str, Callable[[Array], Views]] = {"none": itself, "flip": flip, "shift": shift}
