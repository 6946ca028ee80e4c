"""Images as characters of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from minise_cli.render.console import console
from numpy.typing import NDArray

SMALLEST = 4
"""Pixels of the side of an image."""


def draw_images(images: NDArray[np.uint8], captions: Sequence[str], columns: int) -> None:
    """Images (n, 3, 32, 32) in rows over their captions: two pixels per character, shrunk to fit the width."""
    out = console()
    columns = max(1, min(columns, (out.width + 1) // (SMALLEST + 1)))
    side = min(32, max(SMALLEST, (out.width + 1) // columns - 1))
    for start in range(0, len(images), columns):
        row = [shrink(image, side) for image in images[start : start + columns]]
        for line in range(0, side, 2):
            lines = (_half_blocks(image[:, line], image[:, min(line + 1, side - 1)]) for image in row)
            out.print(" ".join(lines), no_wrap=True, crop=True)
        names = "".join(f"{name[:side]:<{side + 1}}" for name in captions[start : start + columns])
        out.print(names, style="dim", markup=False, no_wrap=True)


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image (3, 32, 32) as (3, side, side): each pixel the mean of those it stands for."""
    edges = [round(i * image.shape[1] / side) for i in range(side)]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), edges, axis=1), edges, axis=2)
    sizes = np.diff([*edges, image.shape[1]])
    small: NDArray[np.uint8] = np.round(sums / (sizes[:, None] * sizes)).astype(np.uint8)
    return small


def _half_blocks(upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> str:
    """Characters, as markup, whose upper half is one row of pixels (3, side), the lower another."""
    colors = (map("rgb({},{},{})".format, *half.tolist()) for half in (upper, lower))
    return "".join(f"[{over} on {under}]▀[/]" for over, under in zip(*colors, strict=True))
