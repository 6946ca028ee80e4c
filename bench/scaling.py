"""How throughput grows: training steps by threads, by batch size and by depth, as a table and a plot.

    python bench/scaling.py [--steps 8] [--plot docs/images/scaling.svg]

Medians of the steps, with the fastest backend that works here. The plot needs matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from minise.kernels.threads import available_threads, set_threads
from minise.models import build, describe
from minise.train.profile import time_steps, usable_backends

BATCH, MODEL = 128, "se-resnet20"
BATCHES = (16, 32, 64, 128, 256, 512)
MODELS = (
    "se-resnet20",
    "se-resnet32",
    "se-resnet44",
    "se-resnet56",
    "se-resnet110",
    "se-fastnet-slim",
    "se-fastnet",
    "se-fastnet-wide",
)

Row = tuple[str, float, float]


def measure(model: str, batch: int, threads: int, steps: int) -> tuple[float, float]:
    """(images/s, GFLOP/s of convolutions and linear layers, a backward pass counted as two forward ones)."""
    set_threads(threads)
    backend = next(name for name in ("numba", "numpy") if usable_backends().get(name, "") is None)
    (times,) = time_steps(model, [backend], batch_size=batch, steps=steps)
    speed = times.images_per_second
    return speed, 3 * describe(build(model)).flops * speed / 1e9


def sweep(title: str, cases: dict[str, tuple[str, int, int]], steps: int) -> list[Row]:
    print(f"\n| {title} | images/s | GFLOP/s |\n| --- | --- | --- |")
    rows = []
    for label, (model, batch, threads) in cases.items():
        speed, flops = measure(model, batch, threads, steps)
        rows.append((label, speed, flops))
        print(f"| {label} | {speed:.0f} | {flops:.0f} |", flush=True)
    return rows


def plot(path: Path, sweeps: dict[str, list[Row]]) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.fonttype"] = "none"  # text stays text
    figure, axes = plt.subplots(1, len(sweeps), figsize=(11, 3.4), layout="constrained")
    for axis, (title, rows) in zip(axes, sweeps.items(), strict=True):
        bars = axis.barh([label for label, _, _ in rows], [flops for _, _, flops in rows], color="#3b6fb6")
        axis.bar_label(bars, [f"{speed:.0f}/s" for _, speed, _ in rows], padding=3, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("GFLOP/s")
        axis.margins(x=0.22)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(
        path, metadata={"Date": None, "Title": "Training throughput by threads, batch size and model"}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    cores = available_threads()
    counts = sorted({1, 2, cores} & set(range(1, cores + 1)))
    sweeps = {
        f"threads ({MODEL}, batch {BATCH})": sweep(
            "threads", {str(t): (MODEL, BATCH, t) for t in counts}, args.steps
        ),
        f"batch size ({MODEL})": sweep(
            "batch size", {str(b): (MODEL, b, cores) for b in BATCHES}, args.steps
        ),
        f"model (batch {BATCH})": sweep("model", {m: (m, BATCH, cores) for m in MODELS}, args.steps),
    }
    if args.plot:
        plot(args.plot, sweeps)


if __name__ == "__main__":
    main()
