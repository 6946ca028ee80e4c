"""The moments of a map's planes that its maker has gathered on the way, kept for whoever needs them next.

A convolution has every number of its output in its registers once, which is when mean and squares cost least; the
batch norm behind it asks for them here. They are forgotten with the map.
"""

from __future__ import annotations

import weakref
from typing import Any

from minise.backend import Array

_kept: dict[int, tuple[Any, Array]] = {}


def remember(maps: Array, parts: Array) -> None:
    """Keep `parts` (n, pieces, 2, c) as long as `maps` (n, c, h, w) is there: of each piece of each plane the
    mean, and the sum of squares about it.
    """
    key = id(maps)
    _kept[key] = (weakref.ref(maps, lambda _: _kept.pop(key, None)), parts)


def recall(maps: Array) -> Array | None:
    """What was kept for this very array, or None."""
    found = _kept.get(id(maps))
    return found[1] if found is not None and found[0]() is maps else None
