"""Time training steps of a model in minise and in PyTorch, in turn, on the same cores.

    python bench/step_vs_torch.py [--model se-resnet20] [--trunk-act relu] [--batch-size 128] [--pairs 10]
                                  [--backend numba] [--forward] [--compile] [--memory]

A step is forward, loss, backward and SGD with momentum, in float32; with --forward, the evaluation of a batch. Both
sides start from the same weights and take the same batches, and their first losses must agree to 1e-4. A pair is one
step of ours and one of each form of theirs; what counts is the median over pairs of our time over theirs.
PyTorch's forms: eager with contiguous tensors and with channels_last, and with --compile also torch.compile on
channels_last, which needs a C++ compiler. PyTorch gains from an allocator that keeps its memory: for that one
set MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=268435456 before the start.
--memory measures instead the peak resident memory of a process that takes a few steps, one side a process.
Needs PyTorch.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from minise.backend import BACKENDS, use_backend
from minise.kernels.threads import available_threads, set_threads
from minise.models import MODELS, build
from minise.ops import ACTIVATIONS, softmax_cross_entropy
from minise.optim import SGD
from minise.tape import Tensor, no_grad
from minise.train import train_step

OURS = "minise"
FORMS = ("eager channels_last", "eager contiguous", "compiled channels_last")
TUNED = "MALLOC_MMAP_MAX_"

Step = Callable[[], float]


def batch(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((size, 3, 32, 32), np.float32), rng.integers(0, 10, size)


def options(args: argparse.Namespace) -> dict[str, str | None]:
    """What both sides build their model with."""
    return {"act": "relu" if MODELS[args.model].has_se else None, "trunk_act": args.trunk_act}


def ours(args: argparse.Namespace) -> Step:
    """A function that takes one step and returns its loss."""
    x, y = batch(args.batch_size)
    model = build(args.model, **options(args))
    optimizer = SGD(model.named_parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def train() -> float:
        with use_backend(args.backend):
            return train_step(model, optimizer, x, y)[0]

    def forward() -> float:
        with use_backend(args.backend), no_grad():
            return float(softmax_cross_entropy(model(Tensor(x)), y).item())

    if args.forward:
        model.eval()
    return forward if args.forward else train


def theirs(args: argparse.Namespace, form: str) -> Step:
    """The same step in PyTorch, from the same weights."""
    import torch
    from torch_models import copy_weights, like

    torch.set_num_threads(args.threads)
    x, y = batch(args.batch_size)
    layout = torch.contiguous_format if "contiguous" in form else torch.channels_last
    model = like(args.model, **options(args))
    copy_weights(build(args.model, **options(args)).state_dict(), model)
    model = model.to(memory_format=layout)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=0.1, momentum=0.9, weight_decay=5e-4)
    images, labels = torch.from_numpy(x).to(memory_format=layout), torch.from_numpy(y)
    run = torch.compile(model) if "compiled" in form else model

    def train() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def forward() -> float:
        with torch.inference_mode():
            return torch.nn.functional.cross_entropy(run(images), labels).item()

    if args.forward:
        model.eval()
    return forward if args.forward else train


def make(args: argparse.Namespace, side: str) -> Step:
    set_threads(args.threads)
    return ours(args) if side == OURS else theirs(args, side)


def timed(step: Step) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def compare_speed(args: argparse.Namespace, sides: list[str]) -> None:
    steps = {side: make(args, side) for side in sides}
    first = {side: step() for side, step in steps.items()}
    if not all(np.isclose(loss, first[OURS], rtol=1e-4) for loss in first.values()):
        sys.exit(f"the first losses differ, so the networks do: {first}")
    for step in steps.values():
        step()
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(args.pairs):
        for side, step in steps.items():
            times[side].append(timed(step))
    for side, own in times.items():
        ratio = statistics.median(a / b for a, b in zip(times[OURS], own, strict=True))
        median = statistics.median(own)
        speed = args.batch_size / median
        print(f"{side:24s}{median * 1e3:8.1f} ms  {speed:7.0f} images/s  ours/theirs {ratio:.2f}")


def compare_memory(args: argparse.Namespace, sides: list[str]) -> None:
    for side in sides:
        done = subprocess.run([sys.executable, *sys.argv, "--alone", side], capture_output=True, text=True)
        print(f"{side:24s}{done.stdout.strip() or done.stderr.strip()}")


def measure_alone(args: argparse.Namespace, side: str) -> None:
    step = make(args, side)
    for _ in range(5):
        step()
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se-resnet20", choices=[n for n in MODELS if "convnet" not in n])
    parser.add_argument("--trunk-act", default="relu", choices=list(ACTIVATIONS))
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--backend", default="numba", choices=[b for b in BACKENDS if b != "cuda"])
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--forward", action="store_true", help="evaluation in place of a training step")
    parser.add_argument("--compile", action="store_true", help="torch.compile, too")
    parser.add_argument("--memory", action="store_true", help="peak memory in place of time")
    parser.add_argument("--alone", choices=[OURS, *FORMS], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        measure_alone(args, args.alone)
        return
    sides = [OURS, *(FORMS if args.compile else FORMS[:2])]
    what = "evaluation" if args.forward else "training step"
    allocator = "tuned" if os.environ.get(TUNED) == "0" else "as it comes"
    trunk = f"{args.model}, {args.trunk_act}"
    print(f"{trunk}, {what}, batch {args.batch_size}, {args.threads} threads, backend {args.backend}")
    print(f"medians of {args.pairs} steps, taken in turn; C library's allocator {allocator}")
    compare_memory(args, sides) if args.memory else compare_speed(args, sides)


if __name__ == "__main__":
    main()
