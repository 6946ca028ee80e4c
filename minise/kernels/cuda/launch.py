"""From a `.cu` file to a launched kernel: source, constants, compiler, launch.

A kernel's sizes are constants of its source, so that the compiler unrolls its loops and knows every index; one
file gives as many programs as there are sizes. NVRTC compiles a program when it is first used, and CuPy keeps
the result on disk.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minise.backend import Array, array_module

FOLDER = files("minise") / "kernels" / "cuda" / "src"
SHARED_BY_DEFAULT = 48 * 1024
"""The bytes of shared memory that a block may have without asking for more."""

Defines = tuple[tuple[str, int], ...]


class Program(Protocol):
    """A compiled source: `launch` starts one of its kernels on the current stream."""

    def launch(
        self,
        kernel: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int,
        through: Sequence[Array],
    ) -> None: ...


@cache
def source(name: str) -> str:
    """The text of a file of `minise/kernels/cuda/src` with the headers of that folder in the place of their #include.

    Letters outside ASCII, which only comments have, are left out: CuPy writes the source in the locale's encoding.
    """
    text = (FOLDER / name).read_text(encoding="utf-8").encode("ascii", "ignore").decode()
    return re.sub(r'#include "([^"]+)"\n', lambda match: source(match[1]), text)


def with_constants(text: str, defines: Defines) -> str:
    """The source after a #define for each constant."""
    return "".join(f"#define {key} {value}\n" for key, value in defines) + text


@cache
def digest() -> str:
    """A checksum over the files of that folder."""
    texts = sorted((file.name, file.read_bytes()) for file in FOLDER.iterdir() if file.is_file())
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]


def stamp() -> Path:
    """A file beside the programs that CuPy keeps on disk: it is there once any of these sources has been compiled."""
    return Path(os.environ.get("CUPY_CACHE_DIR", "~/.cupy/kernel_cache")).expanduser() / f"minise-{digest()}"


def cached() -> bool:
    """Whether any of these sources was compiled here before; CuPy finds again what was of the same shapes."""
    return stamp().exists()


class NvrtcProgram:
    """A program for the current GPU, by CuPy's compiler."""

    def __init__(self, name: str, defines: Defines) -> None:
        import cupy

        self.module = cupy.RawModule(
            code=with_constants(source(name), defines), options=("-std=c++17",), backend="nvrtc"
        )
        self.functions: dict[str, Any] = {}

    def launch(
        self,
        kernel: str,
        grid: Sequence[int],
        block: Sequence[int],
        arguments: Sequence[Any],
        shared: int,
        through: Sequence[Array],
    ) -> None:
        function = self.functions.get(kernel)
        if function is None:
            function = self.functions[kernel] = self.module.get_function(kernel)  # compiled now
            with contextlib.suppress(OSError):  # then the next training says again that it compiles
                stamp().parent.mkdir(parents=True, exist_ok=True)
                stamp().touch()
        if shared > SHARED_BY_DEFAULT and shared > function.max_dynamic_shared_size_bytes:
            function.max_dynamic_shared_size_bytes = shared
        function(tuple(grid), tuple(block), tuple(arguments), shared_mem=shared)


compiler: Callable[[str, Defines], Program] = NvrtcProgram
"""What makes a program of a file and its constants; tests put one in its place that needs no GPU."""


@cache
def program(compile_: Callable[[str, Defines], Program], name: str, defines: Defines) -> Program:
    """The program that a compiler made of a file and its constants, made once."""
    return compile_(name, defines)


def launch(
    file: str,
    kernel: str,
    *arguments: Any,
    grid: Sequence[int],
    block: int,
    shared: int = 0,
    through: Sequence[Array] = (),
    constants: Mapping[str, int] | None = None,
) -> None:
    """Start `kernel` of `file` on grid blocks of `block` threads.

    arguments: arrays, NumPy scalars of the parameter's type, or None for a null pointer. shared: bytes of shared
    memory. through: arrays that the kernel reaches by addresses in others. constants: what the source needs defined.
    """
    assert all(a.flags.c_contiguous for a in arguments if hasattr(a, "flags") and a.ndim), (
        f"{kernel}: an array has gaps"
    )
    compiled = program(compiler, file, tuple(sorted((constants or {}).items())))
    grid = (*grid, 1, 1)[:3]
    plain = [np.uint64(0) if a is None else a for a in arguments]
    compiled.launch(kernel, grid, (block, 1, 1), plain, shared, through)


def address(a: Array | None) -> int:
    """Where an array's numbers lie, 0 for none."""
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


def empty_maps(like: Array, shape: tuple[int, int, int, int], dtype: Any = None) -> Array:
    """Uninitialised maps of the shape (n, c, h, w) whose channels lie side by side in memory."""
    n, c, h, w = shape
    return array_module(like).empty((n, h, w, c), dtype or like.dtype).transpose(0, 3, 1, 2)


def half(x: Array) -> int:
    """The constant HALF for maps x: 1 for float16, 0 for float32."""
    return int(x.dtype == np.float16)


def is_map_type(*arrays: Array | None) -> bool:
    """Whether all maps are of one of the types that kernels know."""
    kinds = {a.dtype for a in arrays if a is not None}
    return len(kinds) == 1 and kinds <= {np.dtype(np.float16), np.dtype(np.float32)}
