"""Optimisers: they change parameters in place, from the gradients that backward left on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minise.backend import Array, Kernel, array_module, find_kernel, to_numpy
from minise.errors import ConfigError, ShapeError
from minise.nn import Parameter


class Optimizer:
    """The state that every optimiser has: named parameters, arrays beside each, and a count of steps.

    spare: the kinds of parameter (see `Parameter`) that weight decay leaves alone.
    scaling: float32 (2,), where losses are scaled: by what, and how many steps ago that changed.
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
        self.scaling: Array | None = None
        self.on_device: Any = None  # what a kernel that takes the step keeps from step to step

    def step(self) -> None:
        """Change every parameter that has a gradient, all at once where the backend has a kernel for that."""
        self.steps += 1
        if (kernel := self.kernel()) is not None:
            kernel.forward(self)
            return
        for name, p in self.parameters.items():
            if p.grad is not None:
                self.update(p, self.decay(p), *(self.state[slot][name] for slot in self.slots))

    def decay(self, p: Parameter) -> float:
        """The weight decay of a parameter."""
        return 0.0 if p.kind in self.spare else self.weight_decay

    def kernel(self) -> Kernel | None:
        """What takes the step for all parameters at once, where the backend has that."""
        arrays = tuple(p.data for p in self.parameters.values())
        return find_kernel(f"{type(self).__name__}.step", arrays, {})

    def update(self, p: Parameter, decay: float, *state: Array) -> None:
        """Change one parameter and its state arrays in place."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """NumPy copies of the state arrays, named `slot/parameter`, and of `scaling` if there is one."""
        arrays = self._arrays()
        if self.scaling is not None:
            arrays["scaling"] = self.scaling
        return {name: to_numpy(a).copy() for name, a in arrays.items()}

    def _arrays(self) -> dict[str, Array]:
        """The state arrays themselves, by the names of `state_dict`."""
        return {f"{slot}/{name}": a for slot in self.slots for name, a in self.state[slot].items()}

    def load_state_dict(self, state: Mapping[str, Array], steps: int) -> None:
        """Go on where another optimiser of the same kind and parameters stopped. Raises ShapeError."""
        own = self._arrays()
        for name, a in own.items():
            found = state.get(name)
            if found is None or found.shape != a.shape:
                shape = "nothing" if found is None else f"shape {found.shape}"
                raise ShapeError(f"optimizer state {name}: found {shape}, expected {a.shape}")
        scaling = state.get("scaling")
        if scaling is not None and scaling.shape != (2,):
            raise ShapeError(f"optimizer state scaling: found shape {scaling.shape}, expected (2,)")
        if left := sorted(state.keys() - own.keys() - {"scaling"}):
            raise ShapeError(
                f"optimizer state {left[0]}: found {state[left[0]].shape}, but nothing of that name learns"
            )
        for name, a in own.items():
            a[...] = array_module(a).asarray(state[name])
        self.steps = steps
        if scaling is not None and self.scaling is not None:
            self.scaling[...] = array_module(self.scaling).asarray(scaling)
        elif scaling is not None:
            self.scaling = scaling


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
        p.data -= self.lr * move(v, decayed(p, decay), self.momentum, self.nesterov)


def decayed(p: Parameter, decay: float) -> Array:
    """The gradient of the loss and of decay ‖p‖² / 2."""
    assert p.grad is not None
    return p.grad + decay * p.data if decay else p.grad


def move(v: Array, g: Array, momentum: float, nesterov: bool) -> Array:
    """The direction of a step with gradient g: v ← momentum v + g, in place; g + momentum v if nesterov else v."""
    v *= momentum
    v += g
    return g + momentum * v if nesterov else v


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


ORTHOGONALISE = (3.4445, -4.7750, 2.0315)
"""Of the polynomial a s + b s³ + c s⁵, which moves singular values towards 1 the faster, the smaller they are."""


def orthogonalise(u: Array, steps: int = 3) -> Array:
    """u (k, …) as a matrix of k rows, its singular vectors kept, its singular values brought near 1; shaped like u.

    X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X, from X = u / ‖u‖: each step takes the polynomial of every singular value.
    Values from a hundredth of ‖u‖ on end between 0.4 and 1.2 after three steps, and between 0.6 and 1.2 after five;
    smaller ones only grow.
    Source: Jordan et al., 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    a, b, c = ORTHOGONALISE
    x = u.reshape(len(u), -1)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / (array_module(x).linalg.norm(x) + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = a * x + (b * square + c * (square @ square)) @ x
    return (x if wide else x.T).reshape(u.shape)


class Muon(SGD):
    """Steps of one length in every direction, for the weights w (k, c, kh, kw) of convolutions:

        v ← momentum v + g        w ← √k w / ‖w‖ - lr orthogonalise(g + momentum v if nesterov else v)

    The norm of w is held at √k, which is for convolutions with a batch norm behind them: that makes the same of w at
    any norm, so that lr is the relative change. All other parameters learn by SGD with Nesterov's momentum 0.85 at
    four times the learning rate, those of batch norm at `norm_rate` times that; only those know weight decay, which
    pulls all of them alike.
    Source: Jordan et al., 2024; with the norms held and fast batch norms, Jordan, 2024, the airbench networks.
    """

    rest_rate, rest_momentum = 4.0, 0.85
    polynomial = ORTHOGONALISE

    def __init__(
        self, parameters: Iterable[tuple[str, Parameter]], *, norm_rate: float = 1.0, **options: Any
    ) -> None:
        super().__init__(parameters, **options)
        if not norm_rate > 0:
            raise ConfigError(f"norm_rate: found {norm_rate}, expected a number above 0")
        self.norm_rate = norm_rate

    def rate(self, p: Parameter) -> float:
        """By how much faster than lr a parameter learns that is no convolution's."""
        return self.rest_rate * (self.norm_rate if p.kind == "norm" else 1.0)

    def decay(self, p: Parameter) -> float:
        """The weight decay of a parameter that is no convolution's, as strong at any rate."""
        return super().decay(p) * self.rest_rate / self.rate(p)

    def update(self, p: Parameter, decay: float, *state: Array) -> None:
        (v,) = state
        if p.ndim == 4:
            p.data *= len(p.data) ** 0.5 / (array_module(v).linalg.norm(p.data) + 1e-7)
            p.data -= self.lr * orthogonalise(move(v, decayed(p, 0.0), self.momentum, self.nesterov))
        else:
            p.data -= self.lr * self.rate(p) * move(v, decayed(p, decay), self.rest_momentum, nesterov=True)


@dataclass(frozen=True)
class OptimizerSpec:
    """A row of `OPTIMIZERS`: what makes it, which of the common options it takes, and a usual learning rate."""

    make: Callable[..., Optimizer]
    takes: tuple[str, ...]
    lr: float


OPTIMIZERS = {
    "sgd": OptimizerSpec(SGD, ("momentum", "nesterov"), lr=0.1),
    "adamw": OptimizerSpec(AdamW, (), lr=1e-3),
    "muon": OptimizerSpec(Muon, ("momentum", "nesterov", "norm_rate"), lr=0.24),
}


def make_optimizer(name: str, parameters: Iterable[tuple[str, Parameter]], **options: Any) -> Optimizer:
    """The optimiser `name`, given those of the options that it takes."""
    if name not in OPTIMIZERS:
        raise ConfigError(f"optimizer: {name!r} is unknown, expected one of {', '.join(OPTIMIZERS)}")
    spec = OPTIMIZERS[name]
    common = ("lr", "weight_decay", "spare")
    return spec.make(parameters, **{k: v for k, v in options.items() if k in (*common, *spec.takes)})
