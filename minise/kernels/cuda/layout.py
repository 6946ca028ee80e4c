"""Ops on maps whose results CuPy would lay out by images, channels, rows and columns.

Here their channels lie side by side, as all other kernels want them, who would have to make a copy otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minise.backend import Array, Kernel
from minise.kernels.cuda.launch import address, cover, empty_maps, half, is_map_type, launch, nhwc
from minise.ops.basic import Gradients, Needs, add_backward
from minise.ops.shape import check_pad, pad_backward, slice_forward
from minise.ops.shape import slice_backward as reference_slice_backward

THREADS = 256


def placed(x: Array, shape: tuple[int, ...], index: tuple[slice, ...]) -> Array:
    """Maps of the shape (n, c, h, w) that are x at `index` and 0 elsewhere, by `cuda/place.cu`."""
    assert is_map_type(x)
    n, c, h, w = shape
    y = empty_maps(x, (n, c, h, w))
    slices = [*index, *[slice(None)] * (4 - len(index))]
    axes = []
    for axis in (0, 2, 3, 1):
        first, _, step = slices[axis].indices(shape[axis])
        sizes = [np.int32(i) for i in (shape[axis], x.shape[axis], first, step)]
        axes += [*sizes, np.int64(x.strides[axis] // x.itemsize)]
    launch(
        "place.cu", "place", np.uint64(address(x)), nhwc(y), *axes,
        grid=(cover(y.size, THREADS),), block=THREADS, through=(x,), constants={"HALF": half(x)},
    )  # fmt: skip
    return y


def supports_add(a: Any, b: Any) -> bool:
    """Two maps of one shape and type."""
    return all(getattr(x, "ndim", 0) == 4 for x in (a, b)) and a.shape == b.shape and is_map_type(a, b)


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """`minise.ops.basic.add_forward`."""
    return (nhwc(a) + nhwc(b)).transpose(0, 3, 1, 2), (a.shape, b.shape)


def supports_maps(x: Array, **options: Any) -> bool:
    """Maps with at least one pixel."""
    return x.ndim == 4 and x.size > 0 and is_map_type(x)


def pad_forward(x: Array, *, widths: tuple[tuple[int, int], ...]) -> tuple[Array, Any]:
    """`minise.ops.shape.pad_forward`."""
    shape, inner = check_pad(x, widths)
    return placed(x, shape, inner), inner


def slice_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.shape.slice_backward`."""
    if not is_map_type(gy):  # whoever is upstream computes in another type
        return reference_slice_backward(gy, saved, needs)
    return (placed(gy, *saved),)


ADD = Kernel(add_forward, add_backward, supports_add)
PAD = Kernel(pad_forward, pad_backward, supports_maps)
SLICE = Kernel(slice_forward, slice_backward, supports_maps)
