"""How far the convolutions of the numba backend, and PyTorch's where it is installed, are from the exact results.

    python bench/rounding.py

For y and the gradients of x and w: the largest error against float64 as part of the largest value, in units of 2⁻²⁴,
half of float32's last place. Inputs as behind a ReLU, weights as they are initialised, 16 images, one seed.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from minise.kernels.numba.conv2d import direct_backward, direct_forward
from minise.kernels.numba.winograd import winograd, winograd_weights
from minise.ops.conv2d import conv2d

N, UNIT = 16, 2.0**-24
SHAPES = ((16, 32), (32, 16), (64, 8), (128, 8), (256, 8))
Results = tuple[np.ndarray, ...]


def ours(x: np.ndarray, w: np.ndarray, gy: np.ndarray) -> dict[str, Results]:
    direct = (direct_forward(x, w, gy.shape, 1, 1), *direct_backward(gy, x, w, 1, 1, (True, True)))
    return {
        "direct": direct,
        "F(4 x 4)": (winograd(x, w), winograd(gy, w, flipped=True), winograd_weights(x, gy)),
    }


def theirs(x: np.ndarray, w: np.ndarray, gy: np.ndarray) -> dict[str, Results]:
    if find_spec("torch") is None:
        return {}
    import torch

    tensors = [torch.from_numpy(a).requires_grad_() for a in (x, w)]
    y = torch.nn.functional.conv2d(*tensors, padding=1)
    gradients = torch.autograd.grad(y, tensors, torch.from_numpy(gy))
    return {"PyTorch": tuple(a.detach().numpy() for a in (y, *gradients))}


def main() -> None:
    rng = np.random.default_rng(0)
    for c, size in SHAPES:
        x = np.maximum(rng.standard_normal((N, c, size, size), np.float32), 0)
        w = rng.standard_normal((c, c, 3, 3), np.float32) * np.float32((2 / (9 * c)) ** 0.5)
        gy = rng.standard_normal((N, c, size, size), np.float32)
        y, saved = conv2d.forward(*(a.astype(np.float64) for a in (x, w)), padding=1)
        exact = (y, *conv2d.backward(gy.astype(np.float64), saved, (True, True, False))[:2])
        for name, results in (ours(x, w, gy) | theirs(x, w, gy)).items():
            errors = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(results, exact, strict=True)]
            units = " ".join(
                f"{n} {error / UNIT:5.1f}" for n, error in zip(("y", "gx", "gw"), errors, strict=True)
            )
            print(f"{c:3d} channels, {size:2d} x {size:<2d}  {name:10s} {units}")


if __name__ == "__main__":
    main()
