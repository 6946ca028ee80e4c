"""The cuda backend's kernels on a CPU: compiled by g++ against `primitives.cuh` beside this file, on NumPy arrays.

It shows that kernels compute the right numbers and wait where they must; not that they are fast, and not what
the hardware itself may do otherwise. What is compiled is kept in `__pycache__` beside this file, until a source or
the compiler changes.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from minise import backend
from minise.kernels.cuda import launch as cuda_launch

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
GXX = [COMPILER, "-std=c++17", "-w", "-fPIC"]
KERNELS = [*GXX, "-O1"]
WHY_NOT = None if COMPILER else "needs g++, which runs the GPU's kernels on the CPU"


def compile_to(path, command):
    """Run the compiler, and put what it makes at the path when it is whole: another process may look for it."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    done = subprocess.run([*command, "-o", part], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[:3000]
    part.replace(path)


@cache
def build_folder():
    """The folder of what is compiled of these sources by this compiler, with the machine that it runs on in it."""
    compiler = subprocess.run([COMPILER, "--version"], capture_output=True, check=True).stdout
    machine_sources = [(HERE / name).read_bytes() for name in ("primitives.cuh", "machine.cpp")]
    made_of = b"".join([compiler, cuda_launch.digest().encode(), *machine_sources])
    digest = hashlib.sha256(made_of).hexdigest()
    kept = HERE / "__pycache__"
    folder = kept / f"cuda-{digest[:16]}"
    try:
        for old in set(kept.glob("cuda-*")) - {folder}:
            shutil.rmtree(old, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # of a folder that cannot be written to
        folder = Path(tempfile.mkdtemp(prefix="minise-cuda-on-cpu-"))
    header, machine = folder / "primitives.cuh", folder / "machine.so"
    if not machine.exists():
        part = header.with_name(f"{header.name}.{os.getpid()}")
        shutil.copy(HERE / "primitives.cuh", part)
        part.replace(header)
        compile_to(Path(f"{header}.gch"), [*KERNELS, "-x", "c++-header", header])
        compile_to(machine, [*GXX, "-O2", "-shared", HERE / "machine.cpp"])
    ctypes.CDLL(machine, ctypes.RTLD_GLOBAL)
    return folder


@cache
def without_primitives(name):
    """The source as `cuda_launch.source` gives it, but for the primitives: this folder's are included instead."""
    return cuda_launch.source(name).replace(cuda_launch.source("primitives.cuh"), "")


def is_structure(a):
    """Whether an argument is passed by value."""
    return isinstance(a, np.ndarray) and a.dtype.names is not None


class CpuProgram:
    """A program for this machine. Every launch runs twice, with the threads in either order, and must agree."""

    def __init__(self, name, defines):
        text = cuda_launch.with_constants(without_primitives(name), defines)
        kernels = re.findall(r'extern "C" __global__ void (?:__launch_bounds__\([^)]*\)\s+)?(\w+)\(', text)
        text += "".join(
            f'extern "C" int launch_{kernel}(const int* grid, const int* block, int shared, void** arguments,'
            f" int backwards) {{ return cpu::launch({kernel}, grid, block, shared, arguments, backwards); }}\n"
            for kernel in kernels
        )
        library = build_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.so"
        if not library.exists():
            with tempfile.NamedTemporaryFile("w", suffix=".cpp") as file:
                file.write(text)
                file.flush()
                header = library.with_name("primitives.cuh")
                compile_to(library, [*KERNELS, "-shared", "-include", header, file.name])
        self.library = ctypes.CDLL(library)

    def launch(self, kernel, grid, block, arguments, shared, through):
        arrays = [a for a in (*arguments, *through) if isinstance(a, np.ndarray) and not is_structure(a)]
        before = [a.copy() for a in arrays]
        self.run(kernel, grid, block, arguments, shared, 0)
        first = [a.copy() for a in arrays]
        for a, old in zip(arrays, before, strict=True):
            a[...] = old
        self.run(kernel, grid, block, arguments, shared, 1)
        for a, b in zip(arrays, first, strict=True):
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), (
                f"{kernel}: the order of threads matters"
            )

    def run(self, kernel, grid, block, arguments, shared, backwards):
        by_address = [isinstance(a, np.ndarray) and not is_structure(a) for a in arguments]
        values = [np.uint64(a.ctypes.data) if b else a for a, b in zip(arguments, by_address, strict=True)]
        cells = [np.array(v) for v in values]  # an argument is passed by the address of its value
        pointers = (ctypes.c_void_p * len(cells))(*(c.ctypes.data for c in cells))
        sizes = [(ctypes.c_int * 3)(*s) for s in (grid, (block, 1, 1))]
        stuck = getattr(self.library, f"launch_{kernel}")(*sizes, shared, pointers, backwards)
        assert not stuck, f"{kernel}: threads wait at a barrier for others that never come"


cpu_program = cache(CpuProgram)


@contextmanager
def cuda_on_cpu():
    """Inside the block NumPy stands in for CuPy: the device cuda has its arrays, and the kernels run here."""
    row, program, cupy_module = backend.BACKENDS["cuda"], cuda_launch.program, backend.cupy_module
    row.module, cuda_launch.program, backend.cupy_module = "numpy", cpu_program, lambda: np
    try:
        with backend.use_backend("cuda"):
            yield
    finally:
        row.module, cuda_launch.program, backend.cupy_module = "cupy", program, cupy_module


def noted(monkeypatch, module):
    """The names of the kernels that a module launches from now on."""
    kernels = []
    monkeypatch.setattr(
        module,
        "launch",
        lambda file, kernel, *a, **k: (kernels.append(kernel), cuda_launch.launch(file, kernel, *a, **k)),
    )
    return kernels
