"""Which array module an array belongs to, and which pair of functions computes an op on it.

Every op is written once as a reference pair over `xp` (NumPy or CuPy). A *backend* is a named set of
kernels that replace reference pairs, by op name and with the same signatures, on the arrays of one module:

    backend      arrays   kernels
    reference    any      none: the pairs as `minise/ops` spells them out
    numpy        NumPy    blocks of images that stay in the cache, spread over threads
    numba        NumPy    compiled loops, with the extra `fast`; in float32
    cuda         CuPy     CUDA C++, compiled when first used; in float32 and float16

`auto`, the default, takes the best backend that fits the arrays. What a kernel does not support it leaves to
the backend below its own, and in the end to the reference: a backend can cost speed but never the result.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minise._util.context import held
from minise._util.gpu import cupy_module as cupy_module
from minise.errors import ConfigError, MiniseError

Array: TypeAlias = NDArray[Any]
Forward: TypeAlias = Callable[..., tuple[Array, Any]]
Backward: TypeAlias = Callable[..., tuple[Array | None, ...]]


@dataclass(frozen=True)
class Kernel:
    """A pair that replaces an op's reference pair on the arrays for which `supports` holds."""

    forward: Forward
    backward: Backward
    supports: Callable[..., bool] = lambda *arrays, **options: True


@dataclass
class Backend:
    """A named set of kernels for the arrays of one module.

    source: the module that registers them when it is imported. below: the backend that takes what they do not
    support. problem: why the source cannot be imported, once that was tried; such a backend has no kernels.
    """

    name: str
    module: str | None
    source: str | None = None
    below: str | None = None
    kernels: dict[str, Kernel] = field(default_factory=dict)
    problem: str | None = None

    def load(self) -> None:
        """Import the source, unless that was done before."""
        if self.source is None:
            return
        source, self.source = self.source, None
        try:
            importlib.import_module(source)
        except Exception as error:  # a missing or broken numba may raise anything, and costs speed only
            self.kernels.clear()
            self.problem = " ".join(str(error).split()) or type(error).__name__

    def kernel(self, op: str) -> Kernel | None:
        """The kernel for `op`, or None."""
        self.load()
        return self.kernels.get(op)


BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("reference", module=None),
        Backend("numpy", module="numpy", source="minise.kernels.numpy.blocks"),
        Backend("numba", module="numpy", source="minise.kernels.numba.register", below="numpy"),
        Backend("cuda", module="cupy", source="minise.kernels.cuda.register"),
    )
}
BEST = {"numpy": "numba", "cupy": "cuda"}
MODULES = {"cpu": "numpy", "cuda": "cupy"}
"""Device -> what makes its arrays."""
_active: ContextVar[str] = ContextVar("minise_backend", default="auto")


def register(backend: str, op: str, kernel: Kernel) -> None:
    """Let `kernel` compute `op` whenever `backend` is in use."""
    BACKENDS[backend].kernels[op] = kernel


def use_backend(name: str) -> AbstractContextManager[None]:
    """Compute with the named backend inside the block; arrays of another module use the reference."""
    if name != "auto" and name not in BACKENDS:
        raise ConfigError(f"backend: {name!r} is unknown, expected one of auto, {', '.join(BACKENDS)}")
    return held(_active, name)


def find_kernel(op: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> Kernel | None:
    """The kernel that computes `op` on these arrays in the active backend or one below it, if there is one.

    Forward and backward come together, because what a forward saves only its own backward can read.
    """
    name, module = _active.get(), array_module(*arrays).__name__
    found: str | None = BEST[module] if name == "auto" else name
    while found is not None:
        backend = BACKENDS[found]
        if backend.module == module:
            kernel = backend.kernel(op)
            if kernel is not None and kernel.supports(*arrays, **options):
                return kernel
        found = backend.below
    return None


def usable_backend(device: str) -> Backend:
    """The best backend for arrays on "cpu" or "cuda" that can be loaded here."""
    backend = BACKENDS[BEST[MODULES[device]]]
    backend.load()
    while backend.problem is not None and backend.below is not None:
        backend = BACKENDS[backend.below]
        backend.load()
    return backend


def array_module(*arrays: Any) -> Any:
    """`cupy` if any of the arrays is a CuPy array, else `numpy`; CuPy is never imported to find out."""
    cupy = sys.modules.get("cupy")
    if cupy is not None and any(isinstance(a, cupy.ndarray) for a in arrays):
        return cupy
    return np


def wait_for(x: Any) -> None:
    """Return once what computes `x` is done: at once for a NumPy array, when the GPU has come to it for another."""
    if not isinstance(x, np.ndarray | np.generic):
        cupy_module().cuda.get_current_stream().synchronize()


def to_numpy(x: Any) -> Array:
    """A NumPy array with the values of `x`, copied from the GPU where it lies there."""
    return x.get() if hasattr(x, "get") and not isinstance(x, np.ndarray) else np.asarray(x)


def to_device(x: Any, device: str) -> Array:
    """`x` as an array of the device ("cpu" or "cuda"), copied only where it lies elsewhere."""
    return to_numpy(x) if device == "cpu" else cupy_module().asarray(x)


def resolve_device(device: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda"; auto takes the GPU when there is one that works."""
    if device == "cpu":
        return "cpu"
    if device not in ("auto", "cuda"):
        raise ConfigError(f"device: {device!r} is unknown, expected auto, cpu or cuda")
    try:
        cupy_module()
    except MiniseError:
        if device == "cuda":
            raise
        return "cpu"
    return "cuda"
