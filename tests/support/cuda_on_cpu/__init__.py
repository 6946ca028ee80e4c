"""The cuda backend's kernels on a CPU: compiled by g++ against `primitives.cuh` beside this file, on NumPy arrays.

It shows that kernels compute the right numbers and wait where they must; not that they are fast, and not what
the hardware itself may do otherwise.
"""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
import weakref
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np

from minise import backend
from minise.kernels.cuda import launch as cuda_launch
from minise.kernels.cuda import side_stream as cuda_aside

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
GXX = [COMPILER, "-std=c++17", "-O1", "-w", "-fPIC"]
WHY_NOT = None if COMPILER else "needs g++, which runs the GPU's kernels on the CPU"


@cache
def build_folder():
    """A temporary folder with the precompiled primitives in it."""
    folder = tempfile.TemporaryDirectory(prefix="minise-cuda-on-cpu-")
    shutil.copy(HERE / "primitives.cuh", folder.name)
    header = Path(folder.name) / "primitives.cuh"
    subprocess.run([*GXX, "-x", "c++-header", "-o", f"{header}.gch", header], check=True)
    return folder


@cache
def without_primitives(name):
    """The source as `cuda_launch.source` gives it, but for the primitives: this folder's are included instead."""
    return cuda_launch.source(name).replace(cuda_launch.source("primitives.cuh"), "")


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
        path = Path(build_folder().name) / hashlib.sha256(text.encode()).hexdigest()
        path.with_suffix(".cpp").write_text(text)
        header = path.with_name("primitives.cuh")
        command = [*GXX, "-shared", "-include", header, "-o", f"{path}.so", f"{path}.cpp"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr[:3000]
        self.library = ctypes.CDLL(f"{path}.so")

    def launch_now(self, kernel, grid, block, arguments, shared, through):
        arrays = [a for a in (*arguments, *through) if isinstance(a, np.ndarray)]
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

    def launch(self, *arguments):
        if LateBranch.open is None:
            self.launch_now(*arguments)
        else:
            LateBranch.open.append(Launch(self, *arguments))

    def run(self, kernel, grid, block, arguments, shared, backwards):
        values = [np.uint64(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in arguments]
        cells = [np.array(v) for v in values]  # an argument is passed by the address of its value
        pointers = (ctypes.c_void_p * len(cells))(*(c.ctypes.data for c in cells))
        sizes = [(ctypes.c_int * 3)(*s) for s in (grid, block)]
        stuck = getattr(self.library, f"launch_{kernel}")(*sizes, shared, pointers, backwards)
        assert not stuck, f"{kernel}: threads wait at a barrier for others that never come"


def owner(a):
    """The array that an array's memory belongs to."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


class Launch:
    """One for later: it knows where arrays lie, and notices if their memory was given back."""

    def __init__(self, program, kernel, grid, block, arguments, shared, through):
        arrays = [a for a in (*arguments, *through) if isinstance(a, np.ndarray)]
        self.owners = [weakref.ref(owner(a)) for a in arrays]
        self.kernel = kernel
        self.call = (
            program.launch_now,
            kernel,
            grid,
            block,
            [without_owner(a) for a in arguments],
            shared,
            through,
        )

    def run(self):
        assert all(held() is not None for held in self.owners), f"{self.kernel}: its memory was given back"
        launch, *arguments = self.call
        launch(*arguments)


def without_owner(a):
    """The same memory, not held; what is no array as it is."""
    if not isinstance(a, np.ndarray):
        return a
    memory = (ctypes.c_char * a.nbytes).from_address(a.ctypes.data)
    return np.frombuffer(memory, a.dtype).reshape(a.shape)


class LateBranch:
    """A branch that is as late as it may be: what is launched there runs when it is waited for."""

    open = None

    def __init__(self):
        self.launches, self.done = [], 0

    @contextmanager
    def fork(self):
        LateBranch.open = self.launches
        try:
            yield
        finally:
            LateBranch.open = None

    def mark(self):
        return len(self.launches)

    def join(self, mark):
        for launch in self.launches[self.done : mark]:
            launch.run()
        self.done = max(self.done, mark)


@contextmanager
def cuda_on_cpu():
    """Inside the block NumPy stands in for CuPy: the device cuda has its arrays, and the kernels run here."""
    row, compiler, cupy_module = backend.BACKENDS["cuda"], cuda_launch.compiler, backend.cupy_module
    row.module, cuda_launch.compiler, backend.cupy_module = "numpy", CpuProgram, lambda: np
    branch, cuda_aside.branch = cuda_aside.branch, LateBranch
    try:
        with backend.use_backend("cuda"):
            yield
    finally:
        row.module, cuda_launch.compiler, backend.cupy_module = "cupy", compiler, cupy_module
        cuda_aside.branch = branch


def noted(monkeypatch, module):
    """The names of the kernels that a module launches from now on."""
    kernels = []
    monkeypatch.setattr(
        module,
        "launch",
        lambda file, kernel, *a, **k: (kernels.append(kernel), cuda_launch.launch(file, kernel, *a, **k)),
    )
    return kernels
