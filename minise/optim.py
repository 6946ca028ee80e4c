"""Optimisers: they change parameters in place, from the gradients that backward left on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minise.backend import Array, array_module, to_numpy
from minise.errors import ConfigError, ShapeError
from minise.nn import Parameter


class Optimizer:
    """The state that every optimiser has: named parameters, arrays beside each, and a count of steps.

    spare: the kinds of parameter (see `Parameter`) that weight decay leaves alone.
    """

    slots: tuple[str, ...] = ()

    def __init__(
        self,
        parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        weight_decay: float = 0.0,
        spare: Collection[str] = (),
    ) -> None:
        for name, value in (("lr", lr), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ConfigError(f"{name}: found {value}, expected at least 0")
        self.lr, self.weight_decay, self.spare = lr, weight_decay, frozenset(spare)
        self.parameters = dict(parameters)
        self.state: dict[str, dict[str, Array]] = {slot: {} for slot in self.slots}
        for name, p in self.parameters.items():
            for slot in self.slots:
                self.state[slot][name] = array_module(p.data).zeros_like(p.data)
        self.steps = 0

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        self.steps += 1
        for name, p in self.parameters.items():
            if p.grad is not None:
                decay = 0.0 if p.kind in self.spare else self.weight_decay
                self.update(p, decay, *(self.state[slot][name] for slot in self.slots))

    def update(self, p: Parameter, decay: float, *state: Array) -> None:
        """Change one parameter and its state arrays in place."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """NumPy copies of the state arrays, named `slot/parameter`."""
        return {
            f"{slot}/{name}": to_numpy(a).copy()
            for slot in self.slots
            for name, a in self.state[slot].items()
        }

    def load_state_dict(self, state: Mapping[str, Array], steps: int) -> None:
        """Go on where another optimiser of the same kind and parameters stopped. Raises ShapeError."""
        for slot in self.slots:
            for name, own in self.state[slot].items():
                found = state.get(f"{slot}/{name}")
                if found is None or found.shape != own.shape:
                    shape = "nothing" if found is None else f"shape {found.shape}"
                    raise ShapeError(f"optimizer state {slot}/{name}: found {shape}, expected {own.shape}")
                own[...] = array_module(own).asarray(found)
        self.steps = steps


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum as in PyTorch:

        g ← g + decay p        v ← momentum v + g        p ← p - lr (g + momentum v if nesterov else v)

    Source: Sutskever, Martens, Dahl and Hinton, 2013 (Nesterov's form).
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        spare: Collection[str] = (),
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, spare=spare)
        if not 0 <= momentum < 1:
            raise ConfigError(f"momentum: found {momentum}, expected 0 <= momentum < 1")
        if nesterov and not momentum:
            raise ConfigError("nesterov: it needs a momentum above 0, found 0")
        self.momentum, self.nesterov = momentum, nesterov

    def update(self, p: Parameter, decay: float, *state: Array) -> None:
        (v,) = state
        assert p.grad is not None
        g = p.grad + decay * p.data if decay else p.grad
        v *= self.momentum
        v += g
        p.data -= self.lr * (g + self.momentum * v if self.nesterov else v)


class AdamW(Optimizer):
    """Adam with decoupled weight decay:

        m ← β1 m + (1 - β1) g        v ← β2 v + (1 - β2) g²
        p ← p - lr decay p - lr m̂ / (√v̂ + eps)        m̂ = m / (1 - β1^t), v̂ = v / (1 - β2^t)

    Source: Loshchilov and Hutter, 2017, arXiv:1711.05101.
    """

    slots = ("m", "v")

    def __init__(
        self,
        parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        spare: Collection[str] = (),
    ) -> None:
        super().__init__(parameters, lr=lr, weight_decay=weight_decay, spare=spare)
        if not all(0 <= beta < 1 for beta in betas):
            raise ConfigError(f"betas: found {betas}, expected 0 <= beta < 1")
        self.betas, self.eps = betas, eps

    def update(self, p: Parameter, decay: float, *state: Array) -> None:
        m, v = state
        beta1, beta2 = self.betas
        g = p.grad
        assert g is not None
        m *= beta1
        m += (1 - beta1) * g
        v *= beta2
        v += (1 - beta2) * g * g
        m_hat = m / (1 - beta1**self.steps)
        v_hat = v / (1 - beta2**self.steps)
        p.data *= 1 - self.lr * decay
        p.data -= self.lr * m_hat / (array_module(v).sqrt(v_hat) + self.eps)


@dataclass(frozen=True)
class OptimizerSpec:
    """A row of `OPTIMIZERS`: what makes it, which of the common options it takes, and a usual learning rate."""

    make: Callable[..., Optimizer]
    takes: tuple[str, ...]
    lr: float


OPTIMIZERS = {
    "sgd": OptimizerSpec(SGD, ("momentum", "nesterov"), lr=0.1),
    "adamw": OptimizerSpec(AdamW, (), lr=1e-3),
}


def make_optimizer(name: str, parameters: Iterable[tuple[str, Parameter]], **options: Any) -> Optimizer:
    """The optimiser `name`, given those of the options that it takes."""
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer: {name!r} is unknown, expected one of {', '.join(OPTIMIZERS)}")
    spec = OPTIMIZERS[name]
    common = ("lr", "weight_decay", "spare")
    return spec.make(parameters, **{k: v for k, v in options.items() if k in (*common, *spec.takes)})
