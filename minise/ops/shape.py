"""Ops that move elements and compute nothing: their gradient moves them back."""

from __future__ import annotations

from typing import Any

from minise.backend import Array, array_module
from minise.errors import ShapeError
from minise.ops.basic import Gradients, Needs
from minise.tape import Op


def reshape_forward(x: Array, *, shape: tuple[int, ...]) -> tuple[Array, Any]:
    """y has the elements of x, in order, in another shape; one size may be -1."""
    try:
        return x.reshape(shape), x.shape
    except ValueError as error:
        raise ShapeError(f"reshape: {x.shape} has {x.size} elements, which do not fit {shape}") from error


def reshape_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy.reshape(saved),)


def transpose_forward(x: Array, *, axes: tuple[int, ...]) -> tuple[Array, Any]:
    """y's axis i is x's axis axes[i]; the gradient goes through the inverse permutation."""
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(f"transpose: axes {axes} do not permute the {x.ndim} axes of {x.shape}")
    return x.transpose(axes), axes


def transpose_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy.transpose([saved.index(i) for i in range(len(saved))]),)


def slice_forward(x: Array, *, index: tuple[slice, ...]) -> tuple[Array, Any]:
    """y = x[index] for slices, one an axis; the gradient is gy there and 0 elsewhere."""
    if len(index) > x.ndim or not all(isinstance(i, slice) for i in index):
        raise ShapeError(f"slice: expected at most {x.ndim} slices for shape {x.shape}, found {index}")
    return x[index], (x.shape, index)


def slice_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    shape, index = saved
    gx = array_module(gy).zeros(shape, gy.dtype)
    gx[index] = gy
    return (gx,)


def pad_forward(x: Array, *, widths: tuple[tuple[int, int], ...]) -> tuple[Array, Any]:
    """y is x with zeros around it, (before, after) for each axis; the gradient is gy without the border."""
    shape, inner = check_pad(x, widths)
    y = array_module(x).zeros(shape, x.dtype)
    y[inner] = x
    return y, inner


def pad_backward(gy: Array, saved: Any, needs: Needs) -> Gradients:
    return (gy[saved],)


def check_pad(x: Array, widths: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], tuple[slice, ...]]:
    """The shape with the border, and where x lies in it; or ShapeError."""
    if len(widths) != x.ndim or any(w < 0 for pair in widths for w in pair):
        raise ShapeError(f"pad: widths {widths} are not {x.ndim} pairs of counts for shape {x.shape}")
    inner = tuple(slice(before, before + size) for (before, _), size in zip(widths, x.shape, strict=True))
    shape = tuple(before + size + after for (before, after), size in zip(widths, x.shape, strict=True))
    return shape, inner


reshape = Op(reshape_forward, reshape_backward)
transpose = Op(transpose_forward, transpose_backward)
slice_ = Op(slice_forward, slice_backward)
pad = Op(pad_forward, pad_backward)
