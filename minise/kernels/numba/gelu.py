"""GELU and its slope for numba's loops: arithmetic that the compiler can do on vectors.

y = u σ(t) and y' = σ(t) + u σ(t) (1 - σ(t)) t', with t(u) as in `minise.ops.activation.gelu_forward`.
σ(t) = 1 / (1 + 2^-(t log2 e)); 2^z = 2^n 2^r for the whole number n next to z: 2^n is n written into a float's
exponent, 2^r with |r| <= 1/2 a polynomial through seven Chebyshev points, off by less than 2e-8 of its value.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev

from minise.ops.activation import GELU_CUBIC, GELU_SCALE

ONE = np.float32(1)
BY_U = np.float32(GELU_SCALE * np.log2(np.e))
BY_CUBE = np.float32(GELU_SCALE * np.log2(np.e) * GELU_CUBIC)
SLOPE = np.float32(GELU_SCALE)
SLOPE_BY_SQUARE = np.float32(3 * GELU_SCALE * GELU_CUBIC)
LARGEST = np.float32(126)
"""2^z is cut off at this z and at -z, where floats end; the sigmoid is 0 or 1 to all digits by then."""
FAR = np.float32(12)
"""Beyond it and its negative u may as well be it: the sigmoid is 0 or 1, and a power of u would leave float32."""
ROUND = np.float32(1.5 * 2**23)
"""Added to a float below 2^22 and taken away again, this rounds it to the next whole number."""

P0, P1, P2, P3, P4, P5, P6 = (
    np.float32(p * 2.0**k)
    for k, p in enumerate(chebyshev.cheb2poly(chebyshev.chebinterpolate(lambda c: 2.0 ** (c / 2), 6)))
)
BIAS, MANTISSA = np.int32(127), np.int32(23)

part = njit(inline="always", error_model="numpy")


@part
def sigmoid(u):
    """σ(t(u))."""
    z = -(BY_U + BY_CUBE * u * u) * u
    z = min(max(z, -LARGEST), LARGEST)
    whole = (z + ROUND) - ROUND
    r = z - whole
    power = P0 + r * (P1 + r * (P2 + r * (P3 + r * (P4 + r * (P5 + r * P6)))))
    return ONE / (ONE + power * np.int32((np.int32(whole) + BIAS) << MANTISSA).view(np.float32))


@part
def gelu(u):
    """y."""
    return (-FAR if u < -FAR else u) * sigmoid(u)


@part
def gelu_slope(u):
    """y', the derivative of y by u."""
    u = FAR if u > FAR else (-FAR if u < -FAR else u)
    s = sigmoid(u)
    return s + u * s * (ONE - s) * (SLOPE + SLOPE_BY_SQUARE * u * u)
