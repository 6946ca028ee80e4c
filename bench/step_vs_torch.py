"""Time training steps of a ResNet in minise and in PyTorch eager, in turn, on the same cores.

    python bench/step_vs_torch.py [--model se-resnet20] [--batch-size 128] [--pairs 10] [--backend numpy]

A step is forward, loss, backward and SGD with momentum, in float32. Both sides start from the same weights and
take the same batches, and their first losses must agree to 1e-4. A pair is one step of ours and one of each
form of theirs; what counts is the median over pairs of our time over theirs. Needs PyTorch.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch_models import ResNet, copy_weights

from minise.backend import BACKENDS, use_backend
from minise.kernels.threads import available_threads, set_threads
from minise.models import MODELS, build
from minise.optim import SGD
from minise.train import train_step

FORMS = {"eager channels_last": torch.channels_last, "eager contiguous": torch.contiguous_format}


def ours(name: str, x: np.ndarray, y: np.ndarray) -> Callable[[], float]:
    """A function that takes one step and returns its loss."""
    model = build(name, act="relu" if MODELS[name].has_se else None)
    optimizer = SGD(model.named_parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    return lambda: train_step(model, optimizer, x, y)[0]


def theirs(name: str, x: np.ndarray, y: np.ndarray, form: torch.memory_format) -> Callable[[], float]:
    """The same step in PyTorch, from the same weights."""
    act = "relu" if MODELS[name].has_se else None
    model = ResNet(int(name.rpartition("resnet")[2]), act=act)
    copy_weights(build(name, act=act).state_dict(), model)
    model = model.to(memory_format=form)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    images, labels = torch.from_numpy(x).to(memory_format=form), torch.from_numpy(y)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def timed(step: Callable[[], float]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se-resnet20", choices=[n for n in MODELS if "resnet" in n])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--backend", default="numpy", choices=[b for b in BACKENDS if b != "cuda"])
    parser.add_argument("--threads", type=int, default=available_threads())
    args = parser.parse_args()
    set_threads(args.threads)
    torch.set_num_threads(args.threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((args.batch_size, 3, 32, 32)).astype(np.float32)
    y = rng.integers(0, 10, args.batch_size)
    steps = {"minise": ours(args.model, x, y)}
    steps |= {name: theirs(args.model, x, y, form) for name, form in FORMS.items()}
    with use_backend(args.backend):
        first = {name: step() for name, step in steps.items()}
        if not all(np.isclose(loss, first["minise"], rtol=1e-4) for loss in first.values()):
            sys.exit(f"the first losses differ, so the networks do: {first}")
        for step in steps.values():
            step()
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.pairs):
            for name, step in steps.items():
                times[name].append(timed(step))
    print(f"{args.model}, batch {args.batch_size}, {args.threads} threads, backend {args.backend}")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, median of {args.pairs} interleaved steps")
    for name, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(times["minise"], own, strict=True))
        median = statistics.median(own)
        print(
            f"{name:22s} {median * 1e3:8.1f} ms  {args.batch_size / median:7.0f} images/s  ours/theirs {ratio:.2f}"
        )
    print(
        f"peak memory of this process, all sides: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )


if __name__ == "__main__":
    main()
