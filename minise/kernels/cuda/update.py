"""The steps of optimisers on a GPU: the launches around `cuda/update.cu`, one for all parameters together.

An optimiser's row in the tables below says where its numbers lie and what is done to them. Everything that a
captured step must find at its place (the tables, the learning rate) is made once and kept beside the optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from minise.backend import Array, Kernel, array_module, no_backward
from minise.kernels.cuda.capture import capturing, once_captured
from minise.kernels.cuda.launch import address, launch
from minise.kernels.cuda.orthogonal import Orthogonal

THREADS, BLOCK = 256, 4096
SCALING = slice(2, 4)
"""Where the loss scale lies in `now`, and the count of steps since it changed."""
FIRST_SCALE = 2.0**12
PATIENCE = 500
"""After how many steps without an overflow the loss scale doubles."""
FILE = "update.cu"


class Rows:
    """Some parameters of an optimiser as the kernels see them: a row each, cut into parts of BLOCK numbers."""

    def __init__(self, xp: Any, parameters: list[Any], **numbers: list[float]) -> None:
        sizes = [p.size for p in parameters]
        parts = [(row, first) for row, size in enumerate(sizes) for first in range(0, size, BLOCK)]
        self.count = len(parts)
        self.parameters = parameters
        self.parts = xp.asarray(np.array(parts, np.int32))
        self.sizes = xp.asarray(np.array(sizes, np.int32))
        self.numbers = {name: xp.asarray(np.array(values, np.float32)) for name, values in numbers.items()}
        self.places = np.zeros((len(parameters), 4), np.uint64)
        self.captured: Array | None = None
        self.table = xp.zeros(self.places.shape, np.uint64)
        self.touched: list[Array] = []

    def point(self, *columns: list[Array]) -> None:
        """Enter where the parameters, their gradients and the arrays of each further column lie."""
        plain = array_module(self.table).ascontiguousarray
        gradients = [None if p.grad is None else plain(p.grad, np.float32) for p in self.parameters]
        rows = [[p.data for p in self.parameters], gradients, *columns]
        places = np.zeros_like(self.places)
        for i, column in enumerate(rows):
            places[:, i] = [address(a) for a in column]
        self.touched = [a for column in rows for a in column if a is not None]
        if capturing():
            self.captured = places
        self.use(places)

    def use(self, places: Array) -> None:
        """Let the table on the device hold these."""
        if not np.array_equal(places, self.places):
            self.places = places
            once_captured(self.upload)

    def restore(self) -> None:
        """Before a replay: what the table held when the step was captured, if another step came between."""
        if self.captured is not None:
            self.use(self.captured)

    def forget(self) -> None:
        """Let go of the gradients, and of what was captured."""
        self.touched, self.captured = [], None

    def upload(self) -> None:
        """Copy the places to the device."""
        self.table[...] = array_module(self.table).asarray(self.places)

    def launch(self, kernel: str, *arguments: Any) -> None:
        if not self.count:
            return
        launch(
            FILE, kernel, self.table, self.parts, self.sizes, *arguments,
            grid=(self.count,), block=THREADS, through=self.touched,
        )  # fmt: skip


class Update:
    """What an optimiser keeps on the device from step to step: `now`, as `cuda/update.cu` has it."""

    def __init__(self, optimizer: Any) -> None:
        self.parameters = dict(optimizer.parameters)
        self.xp = array_module(*(p.data for p in self.parameters.values()))
        self.now = self.xp.asarray(np.array([0, 0, 1, 0, 0], np.float32))
        self.scaled = False
        self.tables: list[Rows] = []

    def rows(self, names: list[str], optimizer: Any, **numbers: list[float]) -> Rows:
        parameters = [self.parameters[n] for n in names]
        decays = [optimizer.decay(p) for p in parameters]
        self.tables.append(Rows(self.xp, parameters, decays=decays, **numbers))
        return self.tables[-1]

    def begin(self, optimizer: Any) -> None:
        """Tell the device of the step to come, unless that is for whoever replays it; look for overflows."""
        if not capturing():
            self.announce(optimizer)
        if self.scaled:
            for rows in self.tables:
                rows.launch("look", self.now)

    def announce(self, optimizer: Any) -> None:
        """Bring the learning rate and the count of steps before this one to the device."""
        numbers = np.float32(optimizer.lr), np.float32(optimizer.steps - 1)
        launch(FILE, "begin", self.now, *numbers, grid=(1,), block=1)

    def settle(self) -> None:
        """Let the loss scale follow from what happened."""
        if self.scaled:
            launch(FILE, "settle", self.now, np.int32(PATIENCE), grid=(1,), block=1)

    def scale_losses(self, optimizer: Any, scale: float = FIRST_SCALE) -> Array:
        """From now on expect gradients of a loss times a scale; returns that as a number () on the device.

        It begins where the optimiser's `scaling` was left, or at `scale`; `scaling` is on the device from then on.
        """
        if not self.scaled:
            self.scaled = True
            left = (scale, 0) if optimizer.scaling is None else optimizer.scaling
            self.now[SCALING] = self.xp.asarray(left, np.float32)
            optimizer.scaling = self.now[SCALING]
        return self.now[SCALING][:1].reshape(())


class SgdUpdate(Update):
    """`minise.optim.SGD`."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        names = list(self.parameters)
        ones = [1.0] * len(names)
        momenta = [optimizer.momentum] * len(names)
        self.all = self.rows(names, optimizer, rates=ones, momenta=momenta)

    def __call__(self, optimizer: Any) -> None:
        self.all.point(list(optimizer.state["velocity"].values()))
        self.begin(optimizer)
        numbers = self.all.numbers
        self.all.launch(
            "sgd",
            numbers["rates"],
            numbers["decays"],
            numbers["momenta"],
            self.now,
            np.int32(optimizer.nesterov),
        )
        self.settle()


class AdamWUpdate(Update):
    """`minise.optim.AdamW`."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        self.all = self.rows(list(self.parameters), optimizer)

    def __call__(self, optimizer: Any) -> None:
        self.all.point(*(list(optimizer.state[slot].values()) for slot in ("m", "v")))
        self.begin(optimizer)
        betas = [np.float32(beta) for beta in optimizer.betas]
        self.all.launch("adamw", self.all.numbers["decays"], self.now, *betas, np.float32(optimizer.eps))
        self.settle()


class MuonUpdate(Update):
    """`minise.optim.Muon`: weights of convolutions by `move`, products and `turn`; all others by `sgd`."""

    def __init__(self, optimizer: Any) -> None:
        super().__init__(optimizer)
        self.matrices = [n for n, p in self.parameters.items() if p.ndim == 4]
        self.others = [n for n in self.parameters if n not in self.matrices]
        self.rest = self.rows(
            self.others,
            optimizer,
            rates=[optimizer.rate(self.parameters[n]) for n in self.others],
            momenta=[optimizer.rest_momentum] * len(self.others),
        )
        self.turned = self.rows(
            self.matrices, optimizer, norms=[len(self.parameters[n].data) ** 0.5 for n in self.matrices]
        )
        self.directions = [self.xp.empty(self.parameters[n].shape, np.float32) for n in self.matrices]
        self.orthogonal = Orthogonal(self.directions, *optimizer.polynomial)
        self.squares = self.xp.empty((max(self.turned.count, 1), 2), np.float32)

    def __call__(self, optimizer: Any) -> None:
        velocity = optimizer.state["velocity"]
        self.rest.point([velocity[n] for n in self.others])
        self.turned.point([velocity[n] for n in self.matrices], self.directions)
        self.begin(optimizer)
        numbers = self.rest.numbers
        self.rest.launch(
            "sgd", numbers["rates"], numbers["decays"], numbers["momenta"], self.now, np.int32(1)
        )
        if self.matrices:
            momentum, nesterov = np.float32(optimizer.momentum), np.int32(optimizer.nesterov)
            self.turned.launch("move", self.now, self.squares, momentum, nesterov)
            self.turned.launch("to_unit", self.squares)
            self.orthogonal()
            self.turned.launch("turn", self.turned.numbers["norms"], self.squares, self.now)
        self.settle()


_updates: WeakKeyDictionary[Any, Update] = WeakKeyDictionary()


def update_of(optimizer: Any) -> Any:
    """The device's side of an optimiser, made when first asked for."""
    if optimizer not in _updates:
        _updates[optimizer] = UPDATES[type(optimizer).__name__](optimizer)
    return _updates[optimizer]


UPDATES: dict[str, Callable[[Any], Update]] = {"SGD": SgdUpdate, "AdamW": AdamWUpdate, "Muon": MuonUpdate}


def announce(optimizer: Any) -> None:
    """Count a step that is about to be replayed, and tell the device of it."""
    optimizer.steps += 1
    update = update_of(optimizer)
    for rows in update.tables:
        rows.restore()
    update.announce(optimizer)


def forget(optimizer: Any) -> None:
    """Let go of what was captured: it will not be replayed any more."""
    for rows in update_of(optimizer).tables:
        rows.forget()


def step(optimizer: Any) -> tuple[Any, Any]:
    """One step of the optimiser."""
    if capturing():
        optimizer.steps -= 1  # whoever replays the step counts it
    update_of(optimizer)(optimizer)
    return None, None


def supports(*parameters: Array) -> bool:
    """Parameters in float32, contiguous."""
    return all(p.dtype == np.float32 and p.flags.c_contiguous for p in parameters)


STEP = Kernel(step, no_backward, supports)
