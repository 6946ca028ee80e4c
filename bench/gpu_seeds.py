"""Time several trainings at once on one GPU: does their number raise the throughput of a small network?

    python bench/gpu_seeds.py [--model se-resnet20] [--batch-size 128] [--at-once 1 2 4 8] [--seconds 3]

Each is a step of its own model, captured (float16, SGD with momentum), on a batch that lies on the GPU. Three ways:
in one process, each on a stream of its own, launched in turn; in processes of their own, as `minise claim --jobs` has
them; and in processes under MPS, by which their kernels share the GPU (left out without `nvidia-cuda-mps-control`).
Prints images/s of all together, and over that of one alone. Needs CuPy and an NVIDIA GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Callable, Iterator

import numpy as np

from minise.backend import cupy_module, to_device
from minise.models import MODELS, build
from minise.optim import SGD
from minise.train.step import Stepper

CONTROL = "nvidia-cuda-mps-control"
BURST = 10
"""Steps between two looks at the clock."""


def stepper(args: argparse.Namespace) -> Callable[[], None]:
    """A step that has been captured."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((args.batch_size, 3, 32, 32)).astype(np.float16)
    y = rng.integers(0, 10, args.batch_size)
    model = build(args.model, act="felu" if MODELS[args.model].has_se else None).to(device="cuda")
    optimizer = SGD(model.named_parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    step = Stepper(model, optimizer, device="cuda", half=True, graph=True)
    images, labels = to_device(x, "cuda"), to_device(y, "cuda")
    for _ in range(5):
        step(images, labels)
    step.read()
    if step.take.why_not:
        sys.exit(f"the step was not captured: {step.take.why_not}")
    return lambda: step(images, labels)


def for_seconds(args: argparse.Namespace, steps: list[Callable[[], None]]) -> float:
    """Images a second of the steps, taken in turn."""
    device = cupy_module().cuda.runtime.deviceSynchronize
    device()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < args.seconds:
        for _ in range(BURST):
            for step in steps:
                step()
        device()
        done += BURST * len(steps)
    return done * args.batch_size / (time.perf_counter() - began)


def on_streams(args: argparse.Namespace, count: int) -> float:
    cuda = cupy_module().cuda
    streams = [cuda.Stream(non_blocking=True) for _ in range(count)]

    def within(stream: object, step: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            with stream:
                step()

        return call

    steps = []
    for stream in streams:
        with stream:
            steps.append(within(stream, stepper(args)))
    return for_seconds(args, steps)


def in_processes(args: argparse.Namespace, count: int) -> float:
    """All begin when the last is ready."""
    command = [sys.executable, __file__, "--child", "--model", args.model]
    command += ["--batch-size", str(args.batch_size), "--seconds", str(args.seconds)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(count)]
    try:
        if any(child.stdout.readline().strip() != "ready" for child in children):
            raise RuntimeError("a process failed before its first step")
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        said = [child.communicate(timeout=60 + args.seconds)[0] for child in children]
        if any(child.returncode for child in children):
            raise RuntimeError("a process failed")
    finally:
        for child in children:
            child.kill()
            child.wait()
    return sum(map(float, said))


@contextlib.contextmanager
def mps() -> Iterator[None]:
    """Inside the block, new processes use MPS: a server of our own, which ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        with unittest.mock.patch.dict(os.environ, own):
            subprocess.run([CONTROL, "-d"], check=True, timeout=30)
            try:
                yield
            finally:
                subprocess.run([CONTROL], input="quit -t 5\n", text=True, check=False, timeout=30)


def under_mps(args: argparse.Namespace, count: int) -> float:
    with mps():
        return in_processes(args, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se-resnet20", choices=list(MODELS))
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        step = stepper(args)
        print("ready", flush=True)
        sys.stdin.readline()
        print(for_seconds(args, [step]))
        return
    ways = {"streams": on_streams, "processes": in_processes}
    if shutil.which(CONTROL):
        ways["processes under MPS"] = under_mps
    else:
        print(f"{CONTROL} is not here: nothing is measured under MPS")
    for name, way in ways.items():
        alone = None
        for count in args.at_once:
            try:
                speed = way(args, count)
            except Exception as error:  # one way that fails is no reason to lose the others
                print(f"{name}, {count} at once: {type(error).__name__}: {error}", flush=True)
                break
            alone = alone or speed
            print(f"{name:20s}{count:3d} at once {speed:10.0f} images/s {speed / alone:6.2f}", flush=True)


if __name__ == "__main__":
    main()
