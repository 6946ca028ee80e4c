"""All that a GPU has to show, one thing after the other, each with a limit of time, its output in a file.

    python bench/gpu_all.py --out FOLDER [--only NAME …] [--data FOLDER]      from the repository's root

What fails or takes too long is said, and the next begins: the first run on a new GPU is worth most if it tells
everything. `--data` is where CIFAR-10 lies; without it no recipe is trained. Needs CuPy, PyTorch, pytest and an
NVIDIA GPU.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PYTHON = sys.executable
PYTEST = (PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu")
MINISE = (PYTHON, "-m", "minise_cli.main")
STEP = (PYTHON, "bench/gpu_step_vs_torch.py", "--bursts", "6")
EAGER = ("--forms", "torch eager fp16", "torch eager bf16")
GRAPHS = (
    *EAGER,
    "torch eager fp32",
    "torch graph bf16",
    "minise fp32 graph",
)
RECIPE = (*MINISE, "train", "--device", "cuda", "--precision", "fp16", "--recipe", "accurate")
FAST_SHAPES = ("24,64,32,1", "64,64,16,1", "64,256,16,1", "256,256,8,1", "256,256,4,1")
COMPILED = ("--forms", "torch compile bf16", "torch max-autotune bf16")

TASKS: dict[str, tuple[int, tuple[str, ...]]] = {
    "doctor": (60, (*MINISE, "doctor")),
    "step": (150, (*PYTEST, "-x", "tests/kernels/test_gpu.py")),
    "se-resnet20": (90, (*STEP, *GRAPHS, "--model", "se-resnet20")),
    "convolutions": (60, (PYTHON, "bench/gpu_conv_vs_cudnn.py")),
    "recipe-compiles": (60, (*RECIPE, "--epochs", "1", "--limit-train", "8000")),
    "recipe": (90, RECIPE),
    "se-resnet20-1024": (60, (*STEP, *EAGER, "--batch-size", "1024")),
    "se-fastnet-wide": (120, (*STEP, *EAGER, "--model", "se-fastnet-wide", "--batch-size", "1024")),
    "convolutions-1024": (
        60,
        (PYTHON, "bench/gpu_conv_vs_cudnn.py", "--batch-size", "1024", "--shapes", *FAST_SHAPES),
    ),
    "se-resnet110": (120, (*STEP, *GRAPHS, "--model", "se-resnet110")),
    "se-resnet20-compiled": (300, (*STEP, *COMPILED, "--model", "se-resnet20")),
    "se-resnet110-compiled": (500, (*STEP, *COMPILED, "--model", "se-resnet110")),
    "seeds": (240, (PYTHON, "bench/gpu_seeds.py")),
    "gradcheck": (200, (*MINISE, "gradcheck", "--backend", "cuda", "--examples", "3")),
    "kernels": (300, (*PYTEST, "tests/kernels/cuda/test_kernels.py")),
}
"""Seconds and command, the most telling first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="Where the outputs go.")
    parser.add_argument("--only", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="NAME")
    parser.add_argument("--data", type=Path, help="Where the official files of CIFAR-10 lie.")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        limit, command = TASKS[name]
        if name.startswith("recipe"):
            if args.data is None:
                print(f"{name}: left out, since there is no --data")
                continue
            run = args.out / f"{name}-{time.strftime('%H%M%S')}"
            command = (*command, "--data-dir", str(args.data), "--run", str(run))
        began = time.perf_counter()
        with (args.out / f"{name}.txt").open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True)
            try:
                how = f"exit {process.wait(limit)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                how = f"stopped after its {limit} s"
        print(f"== {name}: {how}, {time.perf_counter() - began:.0f} s")
        print(
            "".join((args.out / f"{name}.txt").read_text(errors="replace").splitlines(True)[-25:]), flush=True
        )


if __name__ == "__main__":
    main()
