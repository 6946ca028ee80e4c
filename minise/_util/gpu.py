"""CuPy, if it can compute here; else why not."""

from __future__ import annotations

from functools import cache
from typing import Any

from minise.errors import MiniseError

CAPABILITY = (8, 0)
"""What the kernels need of a GPU: asynchronous copies to shared memory."""
PROBE = 'extern "C" __global__ void probe() {}'
HOW = "pip install 'minise[cuda13]', or [cuda12] for drivers before 580, or use --device cpu"


def cupy_module() -> Any:
    """CuPy, once a GPU and the kernels' compiler have answered; else `MiniseError` with the reason in one line."""
    try:
        import cupy
    except ImportError as error:
        raise MiniseError(f"device cuda: CuPy is not installed; {HOW}") from error
    if reason := _problem(cupy):
        raise MiniseError(f"device cuda: {reason}")
    return cupy


@cache
def _problem(cupy: Any) -> str | None:
    """What CuPy lacks to compute here; CuPy raises errors of its own, which differ by version."""
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"CuPy finds no usable GPU ({' '.join(str(error).split())}); use --device cpu"
    if not found:
        return "CuPy finds 0 GPUs, expected at least 1; use --device cpu"
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    capability = properties["major"], properties["minor"]
    if capability < CAPABILITY:
        words = [".".join(map(str, c)) for c in (capability, CAPABILITY)]
        return f"found compute capability {words[0]}, expected at least {words[1]} (from 2020 on); use --device cpu"
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        return f"CuPy finds no NVRTC, which compiles the kernels ({' '.join(str(error).split())}); {HOW}"
    try:
        cupy.RawModule(code=PROBE, backend="nvrtc").get_function("probe")
    except Exception as error:  # CUDA's headers are missing, for one
        if isinstance(error, cupy.cuda.runtime.CUDARuntimeError | cupy.cuda.driver.CUDADriverError):
            return None  # of a GPU that is full or in use: whoever uses it will be told
        return f"CuPy compiles no kernel ({' '.join(str(error).split())}); {HOW}"
    return None
