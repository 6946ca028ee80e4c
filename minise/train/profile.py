"""How long a training step takes, and what it spends the time on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from minise.backend import BACKENDS, cupy_module, to_device, use_backend
from minise.errors import ConfigError, MiniseError
from minise.models import build
from minise.optim.optimizers import SGD
from minise.tape import Call, Tensor, no_grad, watch
from minise.train.step import update


@dataclass
class OpTime:
    """All calls of an op, one way, in a step. flops: of its products, 0 where it has none; bytes: of all arrays
    that went in or came out, each once, so the least that had to be moved.
    """

    op: str
    backward: bool
    calls: int = 0
    seconds: float = 0.0
    flops: int = 0
    bytes: int = 0


@dataclass
class StepTimes:
    """The steps of one backend: how long each took, in seconds, and what a step consists of, on average."""

    backend: str
    images: int
    seconds: list[float] = field(default_factory=list)
    ops: list[OpTime] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def images_per_second(self) -> float:
        return self.images / self.median


def usable_backends() -> dict[str, str | None]:
    """Every backend by name, and why it cannot be used here, or None if it can."""
    found: dict[str, str | None] = {}
    for backend in BACKENDS.values():
        backend.load()
        found[backend.name] = backend.problem
    try:
        cupy_module()
    except MiniseError as error:
        found["cuda"] = str(error)
    return found


def time_steps(
    model: str,
    backends: Iterable[str],
    *,
    batch_size: int = 128,
    steps: int = 10,
    training: bool = True,
    seed: int = 0,
    **options: Any,
) -> list[StepTimes]:
    """Time steps of the model on random images: forward, loss, backward and SGD, or the forward alone.

    The backends take their steps in turn, so that what else the machine does falls on all of them. Two steps of
    each go first, untimed: compilation and fresh memory are no part of a step. Steps are timed twice: whole, and
    (not counted in `seconds`) op by op. options: as for `build`. Raises ConfigError.
    """
    names = list(backends)
    usable = usable_backends()
    for name in names:
        if name not in usable:
            raise ConfigError(f"backend: {name!r} is unknown, expected one of {', '.join(usable)}")
        if usable[name] is not None:
            raise ConfigError(f"backend: {name} cannot be used here: {usable[name]}")
    for what, value in (("batch_size", batch_size), ("steps", steps)):
        if value < 1:
            raise ConfigError(f"{what}: found {value}, expected at least 1")
    takers = {name: _taker(model, name, batch_size, training, seed, options) for name in names}
    times = {name: StepTimes(name, batch_size) for name in names}
    for take in takers.values():
        take()
        take()
    for _ in range(steps):
        for name, take in takers.items():
            began = time.perf_counter()
            take()
            times[name].seconds.append(time.perf_counter() - began)
    for name, take in takers.items():
        times[name].ops = _parts(take, min(steps, 3))
    return list(times.values())


def _taker(
    model: str, backend: str, batch_size: int, training: bool, seed: int, options: dict[str, Any]
) -> Any:
    """A function that takes one step."""
    device = "cuda" if BACKENDS[backend].module == "cupy" else "cpu"
    rng = np.random.default_rng(seed)
    x = to_device(rng.standard_normal((batch_size, 3, 32, 32), np.float32), device)
    y = to_device(rng.integers(0, 10, batch_size), device)
    net = build(model, seed=seed, **options).to(device=device)
    optimizer = SGD(net.named_parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

    def take() -> None:
        with use_backend(backend):
            if training:
                float(update(net, optimizer, x, y)[0])
                return
            with no_grad():
                net(Tensor(x))
            if device == "cuda":
                cupy_module().cuda.get_current_stream().synchronize()

    net.train(training)
    return take


def _parts(take: Any, steps: int) -> list[OpTime]:
    """What a step consists of, the longest first."""
    found: dict[tuple[str, bool], OpTime] = {}

    def note(call: Call) -> None:
        entry = found.setdefault((call.op, call.backward), OpTime(call.op, call.backward))
        entry.calls += 1
        entry.seconds += call.seconds
        entry.flops += _flops(call)
        arrays = {id(a): a.nbytes for a in (*call.inputs, *call.results) if hasattr(a, "nbytes")}
        entry.bytes += sum(arrays.values())

    with watch(note):
        for _ in range(steps):
            take()
    for entry in found.values():
        entry.calls //= steps
        entry.seconds /= steps
        entry.flops //= steps
        entry.bytes //= steps
    return sorted(found.values(), key=lambda entry: -entry.seconds)


def _flops(call: Call) -> int:
    """Of convolutions and linear layers: two for each multiply-add; backward, as much for each of x and w."""
    if call.op not in ("conv2d", "linear"):
        return 0
    y: Any = call.inputs[0] if call.backward else call.results[0]
    w = call.inputs[2 if call.backward else 1]
    products = sum(g is not None for g in call.results[:2]) if call.backward else 1
    return int(products * 2 * y.size * w[0].size)
