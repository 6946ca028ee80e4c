"""The steps of optimizers on a GPU: the launches around `src/update.cu`, for many parameters at a time.

A kernel gets a table of parameters by value: where they, their gradients and their states lie, and a few numbers of
each. A captured step keeps such tables, so it finds everything where it was when it was captured. What changes from
step to step (the learning rate, the count of steps, the loss scale) lies on the device, beside the optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minise.backend import Array, Kernel, array_module
from minise.kernels.cuda.launch import address, cover, launch
from minise.kernels.cuda.product import product

FILE = "update.cu"
BLOCK, ROWS = 4096, 64
"""Numbers per block, and parameters per launch, as `src/update.cu` has them."""
POINTERS, NUMBERS = ("p", "g", "m", "v"), ("rate", "decay", "norm")
ROW = np.dtype([*((n, np.uint64) for n in POINTERS), *((n, np.float32) for n in NUMBERS), ("size", np.int32)])
TABLE = np.dtype([("rows", ROW, ROWS)])
SCALING = slice(2, 4)
"""Where the loss scale lies in `now`, and the count of steps since it changed."""
FIRST_SCALE = 2.0**12
PATIENCE = 500
"""After how many steps without an overflow the loss scale doubles."""


class Rows:
    """At most ROWS parameters that have a gradient, as the kernels see them."""

    def __init__(self, optimizer: Any, names: list[str]) -> None:
        self.parameters = [optimizer.parameters[n] for n in names]
        self.blocks = cover(max(p.size for p in self.parameters), BLOCK)
        self.table = np.zeros(1, TABLE)
        self.arrays: list[Array] = []
        plain = array_module(self.parameters[0].data).ascontiguousarray
        self.point("p", [p.data for p in self.parameters])
        self.point("g", [plain(p.grad, np.float32) for p in self.parameters])
        for column, slot in zip(("m", "v"), optimizer.slots, strict=False):
            self.point(column, [optimizer.state[slot][n] for n in names])
        self.fill("size", [p.size for p in self.parameters])
        self.fill("decay", [optimizer.decay(p) for p in self.parameters])
        self.fill("rate", [1.0] * len(names))

    def fill(self, column: str, values: Sequence[float]) -> None:
        """Enter a number of each parameter."""
        self.table["rows"][column][0, : len(values)] = values

    def point(self, column: str, arrays: list[Array]) -> None:
        """Enter where an array of each parameter lies."""
        self.fill(column, [address(a) for a in arrays])
        self.arrays += arrays

    def launch(self, kernel: str, *arguments: Any) -> None:
        grid = self.blocks, len(self.parameters)
        launch(FILE, kernel, self.table, *arguments, grid=grid, through=self.arrays)


Rule = Callable[[Rows, Any, Array], None]
"""Launches what changes the parameters of the rows: (rows, optimizer, `now`)."""


def sgd(rows: Rows, optimizer: Any, now: Array) -> None:
    """`minise.optim.optimizers.SGD`."""
    rows.launch("sgd", now, float(optimizer.momentum), optimizer.nesterov)


def adamw(rows: Rows, optimizer: Any, now: Array) -> None:
    """`minise.optim.optimizers.AdamW`."""
    rows.launch("adamw", now, *map(float, optimizer.betas), float(optimizer.eps))


def muon(rows: Rows, optimizer: Any, now: Array) -> None:
    """`minise.optim.optimizers.Muon` for weights of convolutions."""
    xp = array_module(now)
    directions = [xp.empty(p.shape, np.float32) for p in rows.parameters]
    squares = xp.empty((len(directions), rows.blocks, 2), np.float32)
    rows.point("v", directions)
    rows.fill("norm", [len(p.data) ** 0.5 for p in rows.parameters])
    rows.launch("move", now, squares, float(optimizer.momentum), optimizer.nesterov)
    rows.launch("to_unit", squares)
    for direction in directions:
        direction[...] = orthogonal(direction, *optimizer.polynomial)
    rows.launch("turn", now, squares)


def orthogonal(u: Array, a: float, b: float, c: float, steps: int = 3) -> Array:
    """`minise.optim.optimizers.orthogonalise` after its division by the norm, with products that can be captured.

    The products are on the shorter side of X: X ← a X + P X for a wide X, else X ← a X + X P.
    """
    x = u.reshape(len(u), -1)
    wide = x.shape[0] <= x.shape[1]
    for _ in range(steps):
        square = product(x, x.T) if wide else product(x.T, x)
        polynomial = product(square, square, scale=c, added=square, add_scale=b)
        x = product(*((polynomial, x) if wide else (x, polynomial)), added=x, add_scale=a)
    return x.reshape(u.shape)


def muon_rest(rows: Rows, optimizer: Any, now: Array) -> None:
    """`minise.optim.optimizers.Muon` for all other parameters."""
    rows.fill("rate", [optimizer.rate(p) for p in rows.parameters])
    rows.launch("sgd", now, float(optimizer.rest_momentum), True)


RULES: dict[str, Callable[[Any], Rule]] = {
    "SGD": lambda p: sgd,
    "AdamW": lambda p: adamw,
    "Muon": lambda p: muon if p.ndim == 4 else muon_rest,
}
"""By the optimizer's class: what changes a parameter."""


class Update:
    """What an optimizer keeps on the device from step to step: `now`, as `src/update.cu` has it."""

    def __init__(self, optimizer: Any) -> None:
        self.xp = array_module(*(p.data for p in optimizer.parameters.values()))
        self.now = self.xp.asarray(np.array([0, 0, 1, 0, 0], np.float32))
        self.scaled = False

    def announce(self, optimizer: Any) -> None:
        """Bring the learning rate and the count of steps before this one to the device."""
        launch(FILE, "begin", self.now, float(optimizer.lr), float(optimizer.steps - 1), grid=1, block=1)

    def apply(self, optimizer: Any) -> None:
        """Change every parameter that has a gradient, unless losses are scaled and a gradient overflowed."""
        names: dict[Rule, list[str]] = {}
        for name, p in optimizer.parameters.items():
            if p.grad is not None:
                names.setdefault(RULES[type(optimizer).__name__](p), []).append(name)
        groups = [
            (rule, Rows(optimizer, of_rule[first : first + ROWS]))
            for rule, of_rule in names.items()
            for first in range(0, len(of_rule), ROWS)
        ]
        for _, rows in groups if self.scaled else ():
            rows.launch("look", self.now)
        for rule, rows in groups:
            rule(rows, optimizer, self.now)
        if self.scaled:
            launch(FILE, "settle", self.now, PATIENCE, grid=1, block=1)

    def scale_losses(self, optimizer: Any, scale: float = FIRST_SCALE) -> Array:
        """From now on expect gradients of a loss times a scale; returns that as a number () on the device.

        It begins where the optimizer's `scaling` was left, or at `scale`; `scaling` is on the device from then on.
        """
        if not self.scaled:
            self.scaled = True
            left = (scale, 0) if optimizer.scaling is None else optimizer.scaling
            self.now[SCALING] = self.xp.asarray(left, np.float32)
            optimizer.scaling = self.now[SCALING]
        return self.now[SCALING][:1].reshape(())


def update_of(optimizer: Any) -> Update:
    """The device's side of an optimizer, made when first asked for."""
    if optimizer.on_device is None:
        optimizer.on_device = Update(optimizer)
    found: Update = optimizer.on_device
    return found


def step(optimizer: Any) -> tuple[Any, Any]:
    """One step of the optimizer."""
    update = update_of(optimizer)
    update.announce(optimizer)
    update.apply(optimizer)
    return None, None


def no_backward(gy: Array, saved: Any, needs: tuple[bool, ...]) -> tuple[None, ...]:
    """A step is no op."""
    raise NotImplementedError("it has no gradient")


def supports(*parameters: Array) -> bool:
    """Parameters in float32, contiguous."""
    return all(p.dtype == np.float32 and p.flags.c_contiguous for p in parameters)


STEP = Kernel(step, no_backward, supports)
