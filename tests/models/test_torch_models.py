"""Every model in PyTorch from the same weights, in float64: outputs, all gradients, and 50 training steps.

Rounding grows while a deep network trains: at a learning rate of 0.05 a ResNet-110 in PyTorch whose first weights are
changed in their last bit is 4e-6 off after 50 steps, at 0.003 with a warm-up 2e-12. Hence the two rates below.
"""

import numpy as np
import pytest
from torch_thread import one_torch_thread  # noqa: F401

from minise import backend, models
from minise.ops import ACTIVATIONS, softmax_cross_entropy
from minise.optim import SGD, AdamW
from minise.optim.schedules import make_schedule
from minise.tape import Tensor
from minise.train import train_step

pytestmark = pytest.mark.torch

STEPS, WARMUP, SMOOTHING = 50, 10, 0.1
OPTIMIZERS = {
    "sgd": (SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}),
    "adamw": (AdamW, {"weight_decay": 0.01}),
}
"""Ours, and what PyTorch's of the same name is told, too."""

VARIANTS = [
    *[("se-convnet", {"act": act}) for act in ACTIVATIONS],
    *[("se-convnet", {"act": act, "alpha": "channel", "reduction": 4}) for act in ("felu", "prelu")],
    *[("se-convnet", {"trunk_act": act, "alpha": "channel"}) for act in ACTIVATIONS if act != "relu"],
    *[("se-resnet20", {"trunk_act": "prelu"}), ("se-fastnet-slim", {"trunk_act": "felu"})],
    ("se-convnet", {"se_bias": False, "classes": 3}),
]
BUILDS = [*[(name, {}) for name in models.MODELS], *VARIANTS]
TRAININGS = [
    *[("reference", name, {}, "sgd", 0.003) for name in models.MODELS],
    *[("reference", name, options, "sgd", 0.05) for name, options in VARIANTS],
    *[("numpy", name, {}, "sgd", 0.05) for name in ("se-convnet", "se-resnet20")],
    ("reference", "se-resnet20", {}, "adamw", 2e-3),
]


def shown(value):
    """A model's options in the name of a test."""
    if isinstance(value, dict):
        return "-".join(f"{k}={v}" for k, v in value.items()) or "default"


def pair(name, options):
    """The model and its twin, in float64."""
    from torch_models import copy_weights, like

    model = models.build(name, seed=1, **options).to(dtype=np.float64)
    twin = like(name, **options).double()
    copy_weights(model.state_dict(), twin)
    return model, twin


def batches(options, count):
    """(images, labels) for each side's step: six of 8 x 8."""
    import torch

    rng = np.random.default_rng(0)
    for _ in range(count):
        x, y = rng.standard_normal((6, 3, 8, 8)), rng.integers(0, options.get("classes", 10), 6)
        yield (x, y), (torch.from_numpy(x), torch.from_numpy(y))


def twins_loss(logits, y):
    import torch

    return torch.nn.functional.cross_entropy(logits, y, label_smoothing=SMOOTHING)


def assert_close(found, expected, tolerance, floor=0.0):
    """Two tables of arrays have the same names and numbers; the second is PyTorch's.

    They differ by at most `tolerance` times an array's largest number, or times `floor` of the largest of all.
    """
    from torch_models import renamed

    found = {renamed(name): a for name, a in found.items()}
    assert found.keys() == expected.keys()
    expected = {name: a.detach().numpy() for name, a in expected.items()}
    least = floor * max(np.abs(a).max() for a in expected.values())
    for name, a in expected.items():
        assert found[name].shape == a.shape, name
        assert np.abs(found[name] - a).max() <= tolerance * max(np.abs(a).max(), least), name


def state(twin):
    return {k: v for k, v in twin.state_dict().items() if "num_batches" not in k}


def assert_same_outputs(model, twin, mine, theirs, tolerance):
    found = {"logits": model(Tensor(mine[0])).data}
    assert_close(found, {"logits": twin(theirs[0])}, tolerance)


@pytest.mark.parametrize(("name", "options"), BUILDS, ids=shown)
@pytest.mark.parametrize("backend_name", ["reference", "numpy"])
def test_outputs_and_gradients(backend_name, name, options):
    """In training and after it; of every parameter, and the running statistics that the batch moved.

    A gradient may be 0 but for rounding: that of a batch norm's scale, where the next convolution starts as the
    identity and a batch norm follows that. Hence the floor of a thousandth of the largest gradient.
    """
    model, twin = pair(name, options)
    ((mine, theirs),) = batches(options, 1)
    with backend.use_backend(backend_name):
        logits = model(Tensor(mine[0]))
        loss = softmax_cross_entropy(logits, mine[1], smoothing=SMOOTHING)
        loss.backward()
        twin_logits = twin(theirs[0])
        twin_loss = twins_loss(twin_logits, theirs[1])
        twin_loss.backward()
        assert loss.item() == pytest.approx(twin_loss.item(), rel=1e-12)
        assert_close({"logits": logits.data}, {"logits": twin_logits}, 1e-11)
        assert_close(
            {n: p.grad for n, p in model.named_parameters()},
            {n: p.grad for n, p in twin.named_parameters() if p.requires_grad},
            1e-10,
            floor=1e-3,
        )
        assert_close(model.state_dict(), state(twin), 1e-12)
        assert_same_outputs(model.eval(), twin.eval(), mine, theirs, 1e-11)


@pytest.mark.parametrize(("backend_name", "name", "options", "optimizer", "lr"), TRAININGS, ids=shown)
def test_fifty_training_steps(backend_name, name, options, optimizer, lr):
    """From the same weights on the same batches: every loss, then all weights, running statistics and outputs."""
    import torch

    model, twin = pair(name, options)
    make, settings = OPTIMIZERS[optimizer]
    ours = make(model.named_parameters(), lr=lr, **settings)
    learning = [p for p in twin.parameters() if p.requires_grad]
    theirs = getattr(torch.optim, make.__name__)(learning, lr=lr, **settings)
    rate = make_schedule("cosine", lr, STEPS, warmup=WARMUP)
    with backend.use_backend(backend_name):
        for step, (mine, yours) in enumerate(batches(options, STEPS)):
            ours.lr = theirs.param_groups[0]["lr"] = rate(step)
            loss, _ = train_step(model, ours, *mine, smoothing=SMOOTHING)
            theirs.zero_grad()
            twin_loss = twins_loss(twin(yours[0]), yours[1])
            twin_loss.backward()
            theirs.step()
            assert loss == pytest.approx(twin_loss.item(), rel=1e-9), f"step {step}"
        assert_close(model.state_dict(), state(twin), 1e-9)
        assert_same_outputs(model.eval(), twin.eval(), mine, yours, 1e-9)
