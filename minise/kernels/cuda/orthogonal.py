"""Muon's directions on a GPU, made orthogonal all together: one launch for a product of all matrices.

With X (m, n) the narrow way up, m ≤ n, each of `minise.optim.orthogonalise`'s steps is

    S = X Xᵀ        P = b S + c S S        X ← a X + P X

and for a tall X the same on the other side: S = Xᵀ X, X ← a X + X P. Matrices lie as they are, none is turned.
The first product sums over the longer side, which is cut into parts that are added in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from minise.backend import Array, array_module
from minise.kernels.cuda.launch import address, cover, launch
from minise.kernels.cuda.product import FILE, THREADS, TILE

PER_PART = 256
"""How long a sum one block makes."""


@dataclass
class Product:
    """y (m, n) from a (m, k), or one that lies as (k, m), and b (k, n), or one that lies as (n, k)."""

    a: Array
    b: Array
    y: Array
    added: Array | None = None
    a_lies: bool = False
    b_lies: bool = False

    def sizes(self) -> tuple[int, int, int]:
        m, k = self.a.shape[::-1] if self.a_lies else self.a.shape
        return m, self.b.shape[0 if self.b_lies else 1], k


class Products:
    """Several products scale a b + add_scale added, in one launch, and in a second the sums of those with parts."""

    def __init__(self, xp: Any, products: list[Product], scale: float = 1.0, add_scale: float = 1.0) -> None:
        self.numbers = np.float32(scale), np.float32(add_scale), np.int32(PER_PART)
        rows, blocks, sums = [], [], []
        self.touched: list[Array] = []
        for i, of in enumerate(products):
            m, n, k = of.sizes()
            count = cover(k, PER_PART)
            parts = xp.empty((count, m, n), np.float32) if count > 1 else None
            arrays = [of.a, of.b, of.added, of.y, parts]
            rows.append([*map(address, arrays), m, n, k, of.a_lies, of.b_lies])
            self.touched += [a for a in arrays if a is not None]
            tiles = range(0, m, TILE), range(0, n, TILE)
            blocks += [(i, y, x, part) for part in range(count) for y in tiles[0] for x in tiles[1]]
            if count > 1:
                sums += [(i, first) for first in range(0, m * n, THREADS)]
        self.table = xp.asarray(np.array(rows, np.int64))
        self.launches = {
            kernel: (xp.asarray(np.array(each, np.int32)), len(each))
            for kernel, each in (("products", blocks), ("add_all_parts", sums))
            if each
        }

    def __call__(self) -> None:
        for kernel, (blocks, count) in self.launches.items():
            launch(
                FILE, kernel, self.table, blocks, *self.numbers, grid=(count,), block=THREADS,
                through=self.touched, constants={"A_HALF": 0, "A_LIES": 0, "B_LIES": 0},
            )  # fmt: skip


class Orthogonal:
    """`minise.optim.orthogonalise` after its division by the norm, for directions (k, …) in place."""

    def __init__(self, directions: list[Array], a: float, b: float, c: float, steps: int = 3) -> None:
        assert steps > 1, "the last step writes where the first reads"
        xp = array_module(*directions)
        matrices = [d.reshape(len(d), -1) for d in directions]
        between = [[xp.empty_like(x) for x in matrices] for _ in range(2)]
        squares, polynomials = (
            [xp.empty((min(x.shape),) * 2, np.float32) for x in matrices] for _ in range(2)
        )
        wide = [x.shape[0] <= x.shape[1] for x in matrices]
        polynomial = Products(
            xp, [Product(s, s, p, s) for s, p in zip(squares, polynomials, strict=True)], c, b
        )
        stations = [matrices, *(between[i % 2] for i in range(steps - 1)), matrices]
        self.launches: list[Products] = []
        for xs, nexts in pairwise(stations):
            square = [
                Product(x, x, s, a_lies=not w, b_lies=w) for x, s, w in zip(xs, squares, wide, strict=True)
            ]
            turned = [
                Product(*((p, x) if w else (x, p)), y, x)
                for x, p, y, w in zip(xs, polynomials, nexts, wide, strict=True)
            ]
            self.launches += [Products(xp, square), polynomial, Products(xp, turned, 1.0, a)]

    def __call__(self) -> None:
        for products in self.launches:
            products()
