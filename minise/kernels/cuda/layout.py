"""Ops on maps whose results CuPy would lay out by images, channels, rows and columns.

Here their channels lie side by side, as all other kernels read them; those would have to make a copy otherwise.
"""

from __future__ import annotations

from typing import Any

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import is_map_type, nhwc
from minise.ops.basic import Gradients, Needs, add_backward
from minise.ops.shape import check_pad, pad_backward, slice_forward


def placed(x: Array, shape: tuple[int, ...], index: tuple[slice, ...]) -> Array:
    """Maps of the shape (n, c, h, w) that are x at `index` and 0 elsewhere."""
    n, c, h, w = shape
    y = array_module(x).zeros((n, h, w, c), x.dtype).transpose(0, 3, 1, 2)
    y[index] = x
    return y


def supports_add(a: Any, b: Any) -> bool:
    """Two maps of one shape and type."""
    return all(getattr(x, "ndim", 0) == 4 for x in (a, b)) and a.shape == b.shape and is_map_type(a, b)


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """`minise.ops.basic.add_forward`."""
    return (nhwc(a) + nhwc(b)).transpose(0, 3, 1, 2), (a.shape, b.shape)


def supports_maps(x: Array, **options: Any) -> bool:
    """Maps of any type."""
    return x.ndim == 4


def pad_forward(x: Array, *, widths: tuple[tuple[int, int], ...]) -> tuple[Array, Any]:
    """`minise.ops.shape.pad_forward`."""
    shape, inner = check_pad(x, widths)
    return placed(x, shape, inner), inner


def slice_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.shape.slice_backward`."""
    return (placed(gy, *saved),)


ADD = Kernel(add_forward, add_backward, supports_add)
PAD = Kernel(pad_forward, pad_backward, supports_maps)
SLICE = Kernel(slice_forward, slice_backward, supports_maps)
