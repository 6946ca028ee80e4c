"""Time training steps of a model in minise and in PyTorch on one GPU, in turn.

    python bench/gpu_step_vs_torch.py [--model se-resnet20] [--batch-size 128] [--bursts 10] [--steps 20]
                                      [--forms NAME …] [--json FILE]

A step is forward, loss, backward and SGD with momentum on a batch that lies on the GPU. Both sides start from the
same weights; their first losses must agree to 1 %, since float16 and bfloat16 round. The sides take bursts of --steps
steps in turn, each between two waits for the GPU; what counts is the median over bursts of their time over ours.

Ours: fp16 captured, fp16 uncaptured, fp32 captured. PyTorch's, all with channels_last and cudnn.benchmark: eager
under autocast to float16 (with a GradScaler, as it is used) and to bfloat16, eager in float32 (TF32 off); eager
bfloat16 in a CUDA graph captured by hand; torch.compile, as it is and with max-autotune, both on bfloat16.
Needs CuPy, PyTorch and an NVIDIA GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from step_vs_torch import batch
from torch_models import copy_weights, like

from minise.backend import cupy_module, to_device
from minise.models import MODELS, build
from minise.optim import SGD
from minise.train.step import Stepper

Step = Callable[[], None]
Side = tuple[Step, Callable[[], float]]
"""A function that takes a step and does not wait, and one that waits and returns the loss of the last."""

HYPER = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}
BASE = "minise fp16 graph"


def ours(args: argparse.Namespace, *, half: bool, graph: bool) -> Side:
    x, y = batch(args.batch_size)
    model = build(args.model, act="relu" if MODELS[args.model].has_se else None).to(device="cuda")
    step = Stepper(model, SGD(model.named_parameters(), **HYPER), device="cuda", half=half, graph=graph)
    images = to_device(x.astype(np.float16 if half else np.float32), "cuda")
    labels = to_device(y, "cuda")

    def loss() -> float:
        if graph and step.take.why_not:
            raise RuntimeError(f"the step was not captured: {step.take.why_not}")
        return step.read()[0]

    return lambda: step(images, labels), loss


def theirs(args: argparse.Namespace, *, dtype: Any, graph: bool = False, compiled: str | None = None) -> Side:
    x, y = batch(args.batch_size)
    act = "relu" if MODELS[args.model].has_se else None
    model = like(args.model, act)
    copy_weights(build(args.model, act=act).state_dict(), model)
    model = model.cuda().to(memory_format=torch.channels_last)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, **HYPER, foreach=True)
    scaler = torch.amp.GradScaler("cuda", enabled=dtype is torch.float16)
    images = torch.from_numpy(x).cuda().to(memory_format=torch.channels_last)
    labels = torch.from_numpy(y).cuda()
    forward = torch.compile(model, mode=compiled) if compiled else model
    last: list[Any] = [None]

    def step() -> None:
        optimizer.zero_grad(set_to_none=not graph)
        with torch.autocast("cuda", dtype, enabled=dtype is not torch.float32):
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        last[0] = loss.detach()

    def loss() -> float:
        return float(last[0])

    if not graph:
        return step, loss
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
        first = last[0].clone()
        step()
        step()
    torch.cuda.current_stream().wait_stream(stream)
    captured = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=False)
    with torch.cuda.graph(captured):
        step()
    seen = [first]
    return captured.replay, lambda: float(seen.pop() if seen else last[0])


SIDES: dict[str, Callable[[argparse.Namespace], Side]] = {
    BASE: lambda a: ours(a, half=True, graph=True),
    "minise fp16": lambda a: ours(a, half=True, graph=False),
    "minise fp32 graph": lambda a: ours(a, half=False, graph=True),
    "torch eager fp16": lambda a: theirs(a, dtype=torch.float16),
    "torch eager bf16": lambda a: theirs(a, dtype=torch.bfloat16),
    "torch eager fp32": lambda a: theirs(a, dtype=torch.float32),
    "torch graph bf16": lambda a: theirs(a, dtype=torch.bfloat16, graph=True),
    "torch compile bf16": lambda a: theirs(a, dtype=torch.bfloat16, compiled="default"),
    "torch max-autotune bf16": lambda a: theirs(a, dtype=torch.bfloat16, compiled="max-autotune"),
}


def burst(step: Step, steps: int) -> float:
    """Seconds a step."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se-resnet20", choices=[n for n in MODELS if "convnet" not in n])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--forms", nargs="+", default=list(SIDES), choices=list(SIDES), metavar="NAME")
    parser.add_argument("--json", help="Also write every time to this file.")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    cupy = cupy_module()
    names = [BASE, *(name for name in args.forms if name != BASE)]
    sides: dict[str, Side] = {}
    first: dict[str, float] = {}
    for name in names:
        try:
            sides[name] = SIDES[name](args)
            sides[name][0]()
            first[name] = sides[name][1]()
            warm = burst(sides[name][0], 5)
            sides[name][1]()
            print(
                f"{name}: set up, {warm * 1e3:.3f} ms a step in its first burst", file=sys.stderr, flush=True
            )
        except Exception as error:  # one form that fails is no reason to lose the others
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", file=sys.stderr)
            sides.pop(name, None)
    if BASE not in sides:
        sys.exit(f"{BASE} failed, and all others are compared with it")
    if off := {n: x for n, x in first.items() if not np.isclose(x, first[BASE], rtol=1e-2)}:
        sys.exit(f"the first losses differ, so the networks do: {first[BASE]:.5f} and {off}")
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(args.bursts):
        for name, (step, _) in sides.items():
            times[name].append(burst(step, args.steps))
    gpu = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(
        f"{gpu} · CuPy {cupy.__version__} · PyTorch {torch.__version__} · {args.model}, batch {args.batch_size}"
    )
    for name, own in times.items():
        ratio = statistics.median(b / a for a, b in zip(times[BASE], own, strict=True))
        speed = args.batch_size / statistics.median(own)
        print(
            f"{name:34s}{statistics.median(own) * 1e3:9.3f} ms {speed:10.0f} images/s   time over ours {ratio:.2f}"
        )
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"gpu": gpu, "model": args.model, "batch": args.batch_size, "seconds": times}, file)


if __name__ == "__main__":
    main()
