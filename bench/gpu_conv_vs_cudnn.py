"""Time our convolution kernels and cuDNN's, called through PyTorch, on one GPU, in turn.

    python bench/gpu_conv_vs_cudnn.py [--batch-size 128] [--fp32] [--bursts 10] [--shapes C,K,MAP,STRIDE …]

For each shape (3 x 3, C to K channels on MAP x MAP pixels): forward, the gradient of x and that of w, alone, in
microseconds, TFLOP/s, and cuDNN's time over ours. Each is captured REPEATS times into a CUDA graph, so that neither
side waits for Python; both have channels side by side, and cuDNN searches for its fastest algorithm. Ours packs its
weights each time.
Needs CuPy, PyTorch and an NVIDIA GPU.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from minise.backend import cupy_module, to_numpy
from minise.kernels.cuda.conv2d import correlate, correlate_weights

REPEATS = 50
SHAPES = (
    "16,16,32,1",
    "16,32,32,2",
    "32,32,16,1",
    "64,64,8,1",
    "64,64,32,1",
    "128,128,16,1",
    "256,256,16,1",
    "256,256,8,1",
)
Call = Callable[[], Any]


def cases(c: int, k: int, size: int, stride: int, n: int, dtype: Any) -> dict[str, tuple[Call, Call]]:
    """Ours and theirs, by name, on the same numbers."""
    cupy = cupy_module()
    rng = np.random.default_rng(0)
    out = (size - 1) // stride + 1

    def both(*shape: int) -> tuple[Any, torch.Tensor]:
        a = rng.standard_normal(shape, np.float32).astype(dtype)
        theirs = torch.from_numpy(a).cuda().to(memory_format=torch.channels_last)
        return cupy.asarray(np.ascontiguousarray(a.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2), theirs

    (x, tx), (gy, tgy), (w, tw) = both(n, c, size, size), both(n, k, out, out), both(k, c, 3, 3)
    w = cupy.ascontiguousarray(w.astype(np.float32))

    def backward(*mask: bool) -> Call:
        return lambda: torch.ops.aten.convolution_backward(
            tgy, tx, tw, None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, [*mask, False]
        )[mask.index(True)]

    def forward() -> Any:
        return correlate(x, w, None, (out, out), stride=stride, pad=(1, 1))

    def gradient_of_x() -> Any:
        return correlate(gy, w, None, (size, size), pad=(1, 1), dilate=stride, turned=True)

    def gradient_of_w() -> Any:
        return correlate_weights(x, gy, w, stride=stride, padding=1)

    def theirs() -> Any:
        return torch.nn.functional.conv2d(tx, tw, stride=stride, padding=1)

    return {
        "y": (forward, theirs),
        "gx": (gradient_of_x, backward(True, False)),
        "gw": (gradient_of_w, backward(False, True)),
    }


def captured_ours(call: Call) -> Call:
    """REPEATS calls as a graph, and a function that runs them: it returns their seconds, by the GPU's clock."""
    cuda = cupy_module().cuda
    stream, pool = cuda.Stream(non_blocking=True), cuda.MemoryPool()
    begin, end = cuda.Event(), cuda.Event()
    with cuda.using_allocator(pool.malloc), stream:
        call()
        stream.synchronize()
        stream.begin_capture()
        for _ in range(REPEATS):
            last = call()
        graph = stream.end_capture()

    def run(kept: Any = (pool, last)) -> float:
        begin.record(stream)
        graph.launch(stream)
        end.record(stream)
        end.synchronize()
        return float(cuda.get_elapsed_time(begin, end)) / 1e3

    return run


def captured_theirs(call: Call) -> Call:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            call()

    def run() -> float:
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--fp32", action="store_true")
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="C,K,MAP,STRIDE")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
    dtype = np.float32 if args.fp32 else np.float16
    gpu, version = torch.cuda.get_device_name(), torch.backends.cudnn.version()
    print(f"{gpu} · cuDNN {version} · batch {args.batch_size}, {dtype.__name__}")
    for shape in args.shapes:
        c, k, size, stride = map(int, shape.split(","))
        flops = 2 * 9 * c * k * args.batch_size * ((size - 1) // stride + 1) ** 2
        for name, (ours, theirs) in cases(c, k, size, stride, args.batch_size, dtype).items():
            a, b = to_numpy(ours()).astype(np.float32), theirs().float().cpu().numpy()
            off = float(np.abs(a - b).max() / np.abs(b).max())
            sides = captured_ours(ours), captured_theirs(theirs)
            times = [[side() / REPEATS for side in sides] for _ in range(args.bursts + 2)][2:]
            own, other = (statistics.median(column) for column in zip(*times, strict=True))
            ratio = statistics.median(b / a for a, b in times)
            print(
                f"{shape:14s}{name:6s}{own * 1e6:8.1f} us {flops / own / 1e12:6.1f} TFLOP/s   cuDNN"
                f"{other * 1e6:8.1f} us   its time over ours {ratio:5.2f}   largest difference {off:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
