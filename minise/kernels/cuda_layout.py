"""Ops on maps that CuPy computes well, but whose results it lays out by images, channels, rows and columns.

Here their channels lie side by side, as all other kernels want them, who would have to make a copy otherwise.
"""

from __future__ import annotations

from typing import Any

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda_launch import is_map_type, nhwc
from minise.ops.basic import Gradients, Needs, add_backward
from minise.ops.shape import check_pad, pad_backward, slice_forward


def zero_maps(like: Array, shape: tuple[int, ...]) -> Array:
    """Maps of the shape (n, c, h, w) full of zeros, in the type of `like`."""
    n, c, h, w = shape
    return array_module(like).zeros((n, h, w, c), like.dtype).transpose(0, 3, 1, 2)


def supports_add(a: Any, b: Any) -> bool:
    """Two maps of one shape and type."""
    return all(getattr(x, "ndim", 0) == 4 for x in (a, b)) and a.shape == b.shape and is_map_type(a, b)


def add_forward(a: Array, b: Array) -> tuple[Array, Any]:
    """`minise.ops.basic.add_forward`."""
    return (nhwc(a) + nhwc(b)).transpose(0, 3, 1, 2), (a.shape, b.shape)


def supports_maps(x: Array, **options: Any) -> bool:
    """Maps."""
    return x.ndim == 4 and is_map_type(x)


def pad_forward(x: Array, *, widths: tuple[tuple[int, int], ...]) -> tuple[Array, Any]:
    """`minise.ops.shape.pad_forward`."""
    shape, inner = check_pad(x, widths)
    y = zero_maps(x, shape)
    y[inner] = x
    return y, inner


def slice_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    """`minise.ops.shape.slice_backward`."""
    shape, index = saved
    gx = zero_maps(gy, shape)
    gx[index] = gy
    return (gx,)


ADD = Kernel(add_forward, add_backward, supports_add)
PAD = Kernel(pad_forward, pad_backward, supports_maps)
SLICE = Kernel(slice_forward, slice_backward, supports_maps)
