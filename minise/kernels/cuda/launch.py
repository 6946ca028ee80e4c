"""From a `.cu` file to a launched kernel: source, constants, compiler, launch.

A kernel's sizes are constants of its source, so that the compiler unrolls its loops and knows every index. One
file gives one program per set of sizes. NVRTC compiles a program when it is first used, and CuPy caches the result
on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from minise._util.home import in_home
from minise.backend import Array, array_module

FOLDER = files("minise") / "kernels" / "cuda" / "src"
THREADS = 256
"""Threads per block, where a kernel needs no other number."""
SHARED_BY_DEFAULT = 48 * 1024
"""The bytes of shared memory that a block may have without asking for more."""

Defines = tuple[tuple[str, int | str], ...]


@cache
def source(name: str) -> str:
    """The text of a file of `minise/kernels/cuda/src`, with every #include replaced by the header's text.

    Letters outside ASCII, which only comments have, are left out: CuPy writes the source in the locale's encoding.
    """
    text = (FOLDER / name).read_text(encoding="utf-8").encode("ascii", "ignore").decode()
    return re.sub(r'#include "([^"]+)"\n', lambda match: source(match[1]), text)


def with_constants(text: str, defines: Defines) -> str:
    """The source after a #define for each constant."""
    return "".join(f"#define {k} {v if isinstance(v, str) else int(v)}\n" for k, v in defines) + text


@cache
def digest() -> str:
    """A checksum over the files of that folder."""
    texts = sorted((file.name, file.read_bytes()) for file in FOLDER.iterdir() if file.is_file())
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def stamp() -> Path:
    """A file beside the programs that CuPy caches on disk. It exists once any of these sources was compiled."""
    return in_home(os.environ.get("CUPY_CACHE_DIR", "~/.cupy/kernel_cache")) / f"minise-{digest()}"


def cached() -> bool:
    """Whether any of these sources was compiled here before. CuPy finds programs with the same constants."""
    return stamp().exists()


class Program:
    """A source with its constants, compiled for the current GPU."""

    def __init__(self, name: str, defines: Defines) -> None:
        import cupy

        self.module = cupy.RawModule(
            code=with_constants(source(name), defines), options=("-std=c++17",), backend="nvrtc"
        )
        self.functions: dict[str, Any] = {}

    def launch(
        self,
        kernel: str,
        grid: tuple[int, ...],
        block: int,
        arguments: Sequence[Any],
        shared: int,
        through: Sequence[Array],
    ) -> None:
        """Start one of its kernels on the current stream."""
        function = self.functions.get(kernel)
        if function is None:
            function = self.functions[kernel] = self.module.get_function(kernel)  # compiled now
            with contextlib.suppress(OSError):  # then the next training reports again that it compiles
                stamp().parent.mkdir(parents=True, exist_ok=True)
                stamp().touch()
        if shared > SHARED_BY_DEFAULT and shared > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = shared
        function(grid, (block, 1, 1), tuple(arguments), shared_mem=shared)


@cache
def program(name: str, defines: Defines) -> Program:
    """The program of a file and its constants, compiled once. Tests put another in its place that needs no GPU."""
    return Program(name, defines)


def launch(
    file: str,
    kernel: str,
    *arguments: Any,
    grid: int | tuple[int, ...],
    block: int = THREADS,
    shared: int = 0,
    through: Sequence[Array] = (),
    **constants: int | str,
) -> None:
    """Start `kernel` of `file` on `grid` blocks of `block` threads.

    arguments: arrays, None for a null pointer, numbers (of Python: int and float), or a NumPy array of one structure,
    which is passed by value. shared: bytes of shared memory. through: arrays whose addresses the kernel finds in a
    structure. constants: what the source needs defined.
    """
    compiled = program(file, tuple(sorted(constants.items())))
    grid = (grid,) if isinstance(grid, int) else grid
    compiled.launch(
        kernel, (*grid, 1, 1)[:3], block, [argument(a, kernel) for a in arguments], shared, through
    )


def argument(a: Any, kernel: str) -> Any:
    """An argument of a kernel as CuPy passes it."""
    if a is None:
        return np.uint64(0)
    if isinstance(a, int | float):
        return np.int32(a) if isinstance(a, int) else np.float32(a)
    assert a.flags.c_contiguous, f"{kernel}: an array has gaps"
    return a


def address(a: Array | None) -> int:
    """Where an array's numbers lie, 0 for None."""
    if a is None:
        return 0
    return int(a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr)


def cover(size: int, each: int) -> int:
    """How many pieces of `each` it takes to cover `size`."""
    return -(-size // each)


def dense(*arrays: Array | None) -> list[Any]:
    """The arrays without gaps between their numbers; copied only where there are some."""
    return [None if a is None else array_module(a).ascontiguousarray(a).reshape(a.shape) for a in arrays]


def nhwc(x: Array) -> Array:
    """Maps x (n, c, h, w) as the contiguous array (n, h, w, c) that kernels read; copied if they lie otherwise."""
    xp = array_module(x)
    return xp.ascontiguousarray(x.transpose(0, 2, 3, 1))


def empty_maps(like: Array, shape: Sequence[int], dtype: Any = None) -> Array:
    """Uninitialized maps of the shape (n, c, h, w) whose channels lie side by side in memory."""
    n, c, h, w = shape
    return array_module(like).empty((n, h, w, c), dtype or like.dtype).transpose(0, 3, 1, 2)


def half(x: Array) -> int:
    """The constant HALF for maps x: 1 for float16, 0 for float32."""
    return int(x.dtype == np.float16)


def is_map_type(*arrays: Array | None) -> bool:
    """Whether all maps are of one of the types that kernels know."""
    kinds = {a.dtype for a in arrays if a is not None}
    return len(kinds) == 1 and kinds <= {np.dtype(np.float16), np.dtype(np.float32)}
