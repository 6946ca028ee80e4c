"""A backend's gradients against those of the reference in float64, which small steps have checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minise.backend import BACKENDS, Array, to_device, to_numpy, use_backend
from minise.gradcheck.compare import GradientComparison, Mismatch, largest
from minise.gradcheck.contract import ContractError
from minise.gradcheck.values import is_float
from minise.tape import Tensor


def against_reference(
    f: Callable[..., Tensor], inputs: Sequence[Array], backend: str, dtype: Any, *, tolerance: float
) -> GradientComparison:
    """The result and the gradients of `f` by the backend in `dtype`, and by the reference in float64.

    An error is relative to the largest gradient of all. Raises ContractError where the results differ.
    """
    y, found = _gradients(f, inputs, backend, dtype)
    exact, right = _gradients(f, inputs, "reference", np.float64)
    off = float(np.abs(y - exact).max(initial=0)) / max(float(np.abs(exact).max(initial=0)), 1.0)
    if not off <= tolerance:
        raise ContractError(
            f"backend {backend}: the result is off by {off:.2g} of its largest value, expected at most {tolerance:g}"
        )
    scale = max((float(np.abs(g).max(initial=0)) for g in right.values()), default=0.0)
    worst = largest(_largest_difference(i, found[i], g, max(scale, 1e-6)) for i, g in right.items() if g.size)
    return GradientComparison(worst, sum(g.size for g in right.values()), 0, exact, found, right)


def _gradients(
    f: Callable[..., Tensor], inputs: Sequence[Array], backend: str, dtype: Any
) -> tuple[Array, dict[int, Array]]:
    """(y, gradients by position) in float64, computed by the backend in `dtype`, for one random gy."""
    device = "cuda" if BACKENDS[backend].module == "cupy" else "cpu"
    tensors = [
        Tensor(to_device(x.astype(dtype) if is_float(x) else x, device), requires_grad=is_float(x))
        for x in inputs
    ]
    with use_backend(backend):
        y = f(*tensors)
        gy = np.random.default_rng(1).standard_normal(y.shape)
        y.backward(to_device(gy.astype(dtype), device))
    gradients = {i: to_numpy(x.grad).astype(np.float64) for i, x in enumerate(tensors) if x.grad is not None}
    return to_numpy(y.data).astype(np.float64), gradients


def _largest_difference(i: int, found: Array, right: Array, scale: float) -> Mismatch:
    """The element in which the two gradients of input i differ most, in units of `scale`."""
    difference = np.abs(found - right)
    at = tuple(int(k) for k in np.unravel_index(int(difference.argmax()), right.shape))
    return Mismatch(i, at, float(found[at]), float(right[at]), float(difference[at]) / scale)
