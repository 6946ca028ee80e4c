"""Every optimiser and every schedule in PyTorch, step for step, in float64."""

import math
from functools import partial

import numpy as np
import pytest
from torch_thread import one_torch_thread  # noqa: F401

from minise.nn import Parameter
from minise.optim import OPTIMIZERS, Muon
from minise.optim.schedules import SCHEDULES, make_schedule

pytestmark = pytest.mark.torch

# --- optimisers ------------------------------------------------------------------------------------------------

PARAMETERS = {
    "wide": ((6, 3, 3, 3), "weight"),
    "tall": ((40, 2, 3, 3), "weight"),
    "linear": ((4, 5), "weight"),
    "bias": ((4,), "bias"),
    "norm": ((6,), "norm"),
    "alpha": ((), "alpha"),
}
"""Shapes and kinds. As matrices, one convolution has more columns than rows and one more rows than columns."""


def in_torch(name, groups, **options):
    """The optimiser of `torch.optim`, as a function that takes a step at a learning rate."""
    import torch

    optimizer = getattr(torch.optim, name)(groups, lr=1.0, **options)

    def step(lr):
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()

    return step


def muon(groups, *, momentum=0.0, nesterov=False, norm_rate=1.0):
    """Muon from PyTorch's parts: its own `torch.optim.Muon` computes in bfloat16, for matrices, and holds no norms.

    All but convolutions learn by `torch.optim.SGD`, those of six numbers, batch norm's, at a rate of their own. For
    convolutions, a singular value decomposition comes first, and the polynomial is taken of the values one by one.
    """
    import torch

    velocities = {p: torch.zeros_like(p) for group in groups for p in group["params"] if p.ndim == 4}

    def sgd(norms, factor):
        chosen = [
            {
                "params": [p for p in group["params"] if p.ndim < 4 and (p.shape == (6,)) == norms],
                "weight_decay": group["weight_decay"] / factor,
            }
            for group in groups
        ]
        step = in_torch("SGD", chosen, momentum=0.85, nesterov=True)
        return lambda lr: step(4 * factor * lr)

    step_rest, step_norms = sgd(False, 1.0), sgd(True, norm_rate)

    @torch.no_grad()
    def step(lr):
        step_rest(lr)
        step_norms(lr)
        for p, v in velocities.items():
            v.mul_(momentum).add_(p.grad)
            u = p.grad.add(v, alpha=momentum) if nesterov else v
            left, values, right = torch.linalg.svd(u.flatten(1), full_matrices=False)
            values = values / (values.norm() + 1e-7)
            for _ in range(3):
                values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
            p.mul_(math.sqrt(len(p)) / (p.norm() + 1e-7)).sub_(lr * (left * values @ right).reshape(p.shape))

    return step


OPTIMIZER_TWINS = {"sgd": partial(in_torch, "SGD"), "adamw": partial(in_torch, "AdamW"), "muon": muon}


def test_every_optimiser_has_a_twin():
    assert set(OPTIMIZER_TWINS) == set(OPTIMIZERS)


def parameters(rng):
    """Ours by name, and PyTorch's beside them."""
    import torch

    ours = {
        name: Parameter(np.asarray(rng.standard_normal(shape)), kind)
        for name, (shape, kind) in PARAMETERS.items()
    }
    return ours, {name: torch.from_numpy(p.data.copy()).requires_grad_() for name, p in ours.items()}


def give_gradients(rng, ours, theirs):
    """The same random gradients to both."""
    import torch

    for name, p in ours.items():
        p.grad = np.asarray(rng.standard_normal(p.shape))
        theirs[name].grad = torch.from_numpy(p.grad.copy())


@pytest.mark.parametrize("spare", [(), ("bias", "norm", "alpha")])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {}),
        ("sgd", {"momentum": 0.9}),
        ("sgd", {"momentum": 0.9, "nesterov": True}),
        ("adamw", {}),
        ("adamw", {"betas": (0.6, 0.95), "eps": 1e-3}),
        ("muon", {}),
        ("muon", {"momentum": 0.6}),
        ("muon", {"momentum": 0.6, "nesterov": True}),
        ("muon", {"momentum": 0.6, "nesterov": True, "norm_rate": 8.0}),
    ],
)
def test_optimiser_step_for_step(name, options, spare):
    """20 steps of random gradients, at a rate that changes; the kinds that decay spares are a group of their own."""
    rng = np.random.default_rng(0)
    ours, theirs = parameters(rng)
    optimizer = OPTIMIZERS[name].make(ours.items(), lr=0.1, weight_decay=0.05, spare=spare, **options)
    groups = [
        {"params": [theirs[n] for n, p in ours.items() if (p.kind in spare) == spared], "weight_decay": decay}
        for spared, decay in ((False, 0.05), (True, 0.0))
    ]
    step = OPTIMIZER_TWINS[name](groups, **options)
    for i in range(20):
        give_gradients(rng, ours, theirs)
        optimizer.lr = 0.1 / (i + 1)
        optimizer.step()
        step(optimizer.lr)
        for n, p in ours.items():
            expected = theirs[n].detach().numpy()
            assert np.abs(p.data - expected).max() <= 1e-12 * np.abs(expected).max(), (i, n)


@pytest.mark.parametrize("name", ["wide", "tall"])
@pytest.mark.parametrize("nesterov", [False, True])
def test_muons_direction_is_that_of_torch_optim_muon(name, nesterov):
    """Up to the rounding of bfloat16, 2⁻⁸, and PyTorch's factor for tall matrices.

    PyTorch averages gradients where minise sums them up: another length, and the same direction.
    """
    import torch

    rng = np.random.default_rng(0)
    w = rng.standard_normal(PARAMETERS[name][0])
    rows, columns = len(w), w[0].size
    p, twin = Parameter(w), torch.zeros(rows, columns, dtype=torch.float64, requires_grad=True)
    options = {"lr": 1.0, "momentum": 0.6, "nesterov": nesterov}
    ours = Muon([("p", p)], **options)
    theirs = torch.optim.Muon([twin], weight_decay=0.0, ns_steps=3, **options)
    for _ in range(5):
        p.grad = rng.standard_normal(p.shape)
        twin.grad = torch.from_numpy(p.grad.reshape(rows, columns))
        held = p.data * math.sqrt(rows) / np.linalg.norm(p.data)
        before = twin.detach().clone()
        ours.step()
        theirs.step()
        move = (held - p.data).reshape(rows, columns)
        expected = (before - twin.detach()).numpy() / max(1, rows / columns) ** 0.5
        assert np.linalg.norm(move - expected) <= 0.02 * np.linalg.norm(expected)


# --- schedules -------------------------------------------------------------------------------------------------

PEAK = 0.4


def in_scheduler(name, **options):
    """The scheduler of `torch.optim`, as a function of (optimiser)."""

    def make(optimizer):
        import torch

        return getattr(torch.optim.lr_scheduler, name)(optimizer, **options)

    return make


def one_cycle(total):
    """`OneCycleLR` with the line's corners where minise has them: the peak at 0.3 total, and 0 at `total`.

    PyTorch puts the peak at pct_start total_steps - 1 and the lowest rate at its last step, hence total + 1 steps.
    """
    return in_scheduler(
        "OneCycleLR",
        max_lr=PEAK,
        total_steps=total + 1,
        pct_start=(0.3 * total + 1) / (total + 1),
        anneal_strategy="linear",
        div_factor=10,
        final_div_factor=math.inf,
        cycle_momentum=False,
    )


SCHEDULE_TWINS = {
    "constant": lambda total: in_scheduler("ConstantLR", factor=1.0, total_iters=0),
    "linear": lambda total: in_scheduler("LinearLR", start_factor=1.0, end_factor=0.0, total_iters=total),
    "cosine": lambda total: in_scheduler("CosineAnnealingLR", T_max=total),
    "multistep": lambda total: in_scheduler(
        "MultiStepLR", milestones=[math.ceil(total / 2), math.ceil(3 * total / 4)], gamma=0.1
    ),
    "one_cycle": one_cycle,
}


def warm_up(steps):
    """(step + 1) / steps of the peak: a line from 1 / steps that is at 1 after steps - 1."""
    return in_scheduler("LinearLR", start_factor=1 / steps, end_factor=1.0, total_iters=steps - 1)


def rates(scheduler, steps):
    """The learning rates of the first steps of an optimiser whose own rate is the peak."""
    import torch

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    schedule = scheduler(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def our_rates(name, total, warmup):
    rate = make_schedule(name, PEAK, total, warmup=warmup)
    return [rate(step) for step in range(total)]


def test_every_schedule_has_a_twin():
    assert set(SCHEDULE_TWINS) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (40, 0), (41, 0), (43, 1), (100, 7), (150, 149)])
def test_schedule_step_for_step(name, total, warmup):
    """The warm-up, and then the scheduler over the steps that are left."""
    expected = rates(warm_up(warmup), warmup) if warmup else []
    expected += rates(SCHEDULE_TWINS[name](total - warmup), total - warmup)
    assert np.allclose(our_rates(name, total, warmup), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one_cycle"])
def test_warm_up_is_pytorchs_sequence_of_schedulers(name):
    """All but `OneCycleLR`, which takes its own first rate for the optimiser's, whatever comes before it."""
    import torch

    def both(optimizer):
        after = SCHEDULE_TWINS[name](33)(optimizer)
        return torch.optim.lr_scheduler.SequentialLR(
            optimizer, [warm_up(7)(optimizer), after], milestones=[7]
        )

    assert np.allclose(our_rates(name, 40, 7), rates(both, 40), rtol=1e-12, atol=1e-15)
