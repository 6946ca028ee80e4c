"""Networks of every kind of layer that are small enough to be computed slowly, and losses over a few steps."""

import numpy as np

from minise.backend import to_device, to_numpy
from minise.models.fastnet import FastNet, FastShape
from minise.models.options import Options
from minise.models.resnet import ResNet
from minise.optim import make_optimizer
from minise.train.step import Stepper


def options():
    rngs = {"trunk_rng": np.random.default_rng(0), "se_rng": np.random.default_rng(1)}
    return Options(
        act="felu", reduction=4, alpha="layer", trunk_act="relu", se_bias=True, gate_bias=0.0, **rngs
    )


NETWORKS = {
    "resnet8": lambda: ResNet(8, 10, options()),
    "fastnet": lambda: FastNet(FastShape((8, 16, 16)), 10, options()),
}


def losses(network, optimizer, *, steps, images=3, half=False, device="cpu", graph=False):
    """(the losses of some training steps on one random batch, the parameters after them)."""
    model = NETWORKS[network]().to(device=device)
    rng = np.random.default_rng(5)
    x = to_device(rng.standard_normal((images, 3, 32, 32)).astype(np.float16 if half else np.float32), device)
    y = to_device(rng.integers(0, 10, images), device)
    learns = make_optimizer(
        optimizer, model.named_parameters(), lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-4, spare=()
    )
    step = Stepper(model, learns, smoothing=0.1, device=device, half=half, graph=graph)
    found = []
    for i in range(steps):
        learns.lr = 0.02 / (1 + i)
        step(x, y)
        found.append(step.read()[0])
    if graph:
        assert step.take.graph is not None, step.take.why_not
    step.release()
    return found, {name: to_numpy(p.data) for name, p in model.named_parameters()}
