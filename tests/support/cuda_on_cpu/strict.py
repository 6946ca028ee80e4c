"""A stand-in for CuPy that is as strict as CuPy: its arrays do not mix with NumPy's, and its streams are captured.

`cuda_on_cpu` lets NumPy stand in for CuPy. That shows what kernels compute, but not whether an array was forgotten on
the other side. Inside `strict_cupy` an array of the GPU is an object of its own, which NumPy does not take and which
takes none of NumPy's; only `asarray` and `get` copy. While a stream is captured nothing runs: every operation and
launch is noted, results are full of NaNs, and whatever would wait for the GPU is an error. A graph runs what was
noted, on the memory where it lay. Where CuPy itself is installed, names and arguments are checked against it.
"""

import contextlib
import inspect
import sys
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType, SimpleNamespace

import numpy as np

from minise import backend
from minise.kernels.cuda import launch as cuda_launch

from . import cpu_program, is_structure

try:
    import cupy as real
except ImportError:
    real = None

notes = None
"""What was launched since a capture began; None outside."""


class CaptureError(RuntimeError):
    """As CUDA says that something cannot be captured."""

    status = 900


def not_captured(what):
    if notes is not None:
        raise CaptureError(f"cudaErrorStreamCaptureUnsupported: {what}")


def bare(x):
    """What NumPy computes with in the place of an argument."""
    if isinstance(x, DeviceArray):
        return x.a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, tuple | list):
        return type(x)(map(bare, x))
    return x


def dressed(x):
    """A result as an array of the GPU; CuPy has no scalars."""
    if isinstance(x, tuple | list):
        return type(x)(map(dressed, x))
    return DeviceArray(np.asarray(x)) if isinstance(x, np.ndarray | np.generic) else x


def compute(f, *arguments, **options):
    """f of arrays of the GPU: now, or whenever the graph that is being captured is launched."""
    arguments, options = bare(arguments), {k: bare(v) for k, v in options.items()}
    with np.errstate(all="ignore"):  # what was not computed yet may be anything
        if notes is None:
            return dressed(f(*arguments, **options))
        if options.get("out") is not None:
            notes.append(partial(f, *arguments, **options))
            return dressed(options["out"])
        found = f(*arguments, **options)
    inputs = [a for a in (*arguments, *options.values()) if isinstance(a, np.ndarray)]
    if not isinstance(found, np.ndarray | np.generic):
        assert isinstance(found, tuple | list)
        assert all(any(np.may_share_memory(a, b) for b in inputs) for a in found)
        return dressed(found)
    found = np.asarray(found)
    if not any(np.may_share_memory(found, a) for a in inputs):  # else a view, which needs no launch
        notes.append(lambda: np.copyto(found, f(*arguments, **options)))
        spoil(found)
    return DeviceArray(found)


def spoil(a):
    """Numbers that nobody should read."""
    a.fill(np.nan if a.dtype.kind == "f" else 0)


def change(f, *arguments):
    """What changes an array in place."""
    work = partial(f, *bare(arguments))
    if notes is None:
        work()
    else:
        notes.append(work)


@cache
def signature_of(name, method):
    """CuPy's signature of a function or of an array's method, None where it does not tell."""
    f = getattr(real.ndarray if method else real, name)
    with contextlib.suppress(ValueError, TypeError):
        return inspect.signature(f)
    line = (f.__doc__ or "").partition("\n")[0].partition(" -> ")[0]
    arguments = line.partition("(")[2].rpartition(")")[0]
    if not arguments or "[" in arguments:
        return None
    made = {}
    with contextlib.suppress(SyntaxError):
        exec(f"def f({arguments}): pass", made)
        return inspect.signature(made["f"])
    return None


def check(name, arguments, options, method=False):
    """That CuPy has it and takes these arguments."""
    if real is None:
        return
    assert hasattr(real.ndarray if method else real, name), f"CuPy has no {name}"
    signature = signature_of(name, method)
    if signature is not None:
        signature.bind(*((None,) if method else ()), *arguments, **options)


OPERATORS = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"),
    *("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"),
)
IN_PLACE = ("add", "sub", "mul", "truediv", "pow", "and", "or")
METHODS = (
    *(
        "all",
        "any",
        "argmax",
        "argmin",
        "astype",
        "clip",
        "copy",
        "cumsum",
        "dot",
        "flatten",
        "max",
        "mean",
        "min",
    ),
    *(
        "prod",
        "ravel",
        "repeat",
        "reshape",
        "round",
        "sort",
        "squeeze",
        "std",
        "sum",
        "swapaxes",
        "take",
        "transpose",
    ),
    *("var", "view"),
)
"""Those of `cupy.ndarray` and `numpy.ndarray`."""


class DeviceArray:
    """An array of the GPU: `cupy.ndarray`."""

    __array_priority__ = 100
    __hash__ = None

    def __init__(self, a):
        self.a = a

    shape, dtype, size, ndim, nbytes, itemsize, strides, flags = (
        property(lambda self, name=name: getattr(self.a, name))
        for name in ("shape", "dtype", "size", "ndim", "nbytes", "itemsize", "strides", "flags")
    )
    T = property(lambda self: DeviceArray(self.a.T))
    data = property(lambda self: SimpleNamespace(ptr=self.a.ctypes.data))

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        if any(isinstance(x, np.ndarray) for x in inputs):
            return NotImplemented
        if out is not None:
            options["out"] = out[0]
        return compute(getattr(ufunc, method), *inputs, **options)

    def __array_function__(self, f, types, arguments, options):
        check(f.__name__, arguments, options)
        return compute(f, *arguments, **options)

    def __len__(self):
        return len(self.a)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, at):
        parts = at if isinstance(at, tuple) else (at,)
        if any(isinstance(i, DeviceArray) and i.dtype == bool for i in parts):
            not_captured("how many are true")
        if not any(i is Ellipsis for i in parts):
            parts = (*parts, ...)  # then a single number is a view, too, as it is CuPy's
        return compute(lambda a, i: a[i], self, parts)

    def __setitem__(self, at, value):
        change(lambda a, i, v: a.__setitem__(i, v), self, at, value)

    def fill(self, value):
        change(np.ndarray.fill, self, value)

    def get(self):
        not_captured("get")
        return self.a.copy()

    def item(self):
        not_captured("item")
        return self.a.item()

    def tolist(self):
        return self.get().tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    __index__ = __int__

    def __bool__(self):
        return bool(self.item())

    def __getattr__(self, name):
        if name not in METHODS:
            raise AttributeError(name)

        def method(*arguments, **options):
            check(name, arguments, options, method=True)
            return compute(getattr(np.ndarray, name), self, *arguments, **options)

        return method


def _operator(name):
    f = f"__{name}__"

    def operate(self, *others):
        if any(isinstance(x, np.ndarray) for x in others):
            raise TypeError(f"Unsupported type {np.ndarray}")
        return compute(lambda a, *b: getattr(a, f)(*b), self, *others)

    def reflected(self, other):
        if isinstance(other, np.ndarray):
            raise TypeError(f"Unsupported type {np.ndarray}")
        return compute(lambda a, b: getattr(a, f"__r{name}__")(b), self, other)

    def in_place(self, other):
        change(lambda a, b: getattr(a, f"__i{name}__")(b), self, other)
        return self

    setattr(DeviceArray, f, operate)
    if name not in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"):
        setattr(DeviceArray, f"__r{name}__", reflected)
    if name in IN_PLACE:
        setattr(DeviceArray, f"__i{name}__", in_place)


for _name in OPERATORS:
    _operator(_name)


SIZED = ("argwhere", "flatnonzero", "nonzero", "unique")
"""Functions whose results are as large as the numbers say."""


class Stream:
    """Everything runs at once, or is noted: that streams wait for each other where they must does not show."""

    def __init__(self, *, non_blocking=False, priority=None):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def synchronize(self):
        not_captured("synchronize")

    def begin_capture(self, mode=None):
        global notes
        assert notes is None
        notes = []

    def end_capture(self):
        global notes
        noted, notes = notes, None
        return Graph(noted)


class Graph:
    launched = 0

    def __init__(self, noted):
        self.noted = noted

    def launch(self, stream=None):
        Graph.launched += 1
        for work in self.noted:
            work()


class Pool:
    """Memory is NumPy's; what a graph uses, it holds."""

    def __init__(self, allocator=None):
        self.malloc = allocator

    def set_limit(self, size=None):
        pass

    def free_all_blocks(self):
        pass

    def total_bytes(self):
        return 0


class Cupy(ModuleType):
    """The module."""

    def __init__(self):
        super().__init__("cupy")
        self.ndarray = DeviceArray
        pool = Pool()
        self.get_default_memory_pool = lambda: pool
        stream = Stream()
        runtime = SimpleNamespace(
            streamCaptureModeRelaxed=2,
            CUDARuntimeError=CaptureError,
            getDeviceCount=lambda: 1,
        )
        self.cuda = SimpleNamespace(
            Stream=Stream,
            MemoryPool=Pool,
            using_allocator=lambda malloc: contextlib.nullcontext(),
            get_current_stream=lambda: stream,
            runtime=runtime,
            memory=SimpleNamespace(OutOfMemoryError=MemoryError),
        )
        self.linalg = SimpleNamespace(norm=partial(compute, np.linalg.norm))
        tricks = SimpleNamespace(as_strided=partial(compute, np.lib.stride_tricks.as_strided))
        self.lib = SimpleNamespace(stride_tricks=tricks)

    def asarray(self, a, dtype=None):
        if isinstance(a, DeviceArray):
            return a if dtype in (None, a.dtype) else a.astype(dtype)
        not_captured("a copy from the host")
        return DeviceArray(np.array(a, dtype))

    array = asarray

    def empty(self, shape, dtype=float):
        a = np.empty(shape, dtype)
        spoil(a)
        return DeviceArray(a)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        f = getattr(np, name)
        if isinstance(f, ModuleType):
            raise AttributeError(f"{name}: not in this stand-in")
        if not callable(f) or isinstance(f, type):
            return f

        def function(*arguments, **options):
            check(name, arguments, options)
            if name in SIZED:
                not_captured(name)
            if isinstance(f, np.ufunc) and len(arguments) > f.nin:
                arguments, options["out"] = arguments[: f.nin], arguments[f.nin]
            return compute(f, *arguments, **options)

        return function


class StrictProgram:
    """A program that is launched now, or noted."""

    both_orders = False
    """Whether threads run in both orders, which takes twice as long."""

    def __init__(self, name, defines):
        self.program = cpu_program(name, defines)

    def launch(self, kernel, grid, block, arguments, shared, through):
        for a in (*arguments, *through):
            assert isinstance(a, DeviceArray | np.generic) or is_structure(a), (
                f"{kernel}: found {type(a)} as an argument"
            )
        plain = [a.copy() if is_structure(a) else bare(a) for a in arguments]
        work = partial(self.launch_now, kernel, grid, block, plain, shared, bare(list(through)))
        if notes is None:
            work()
        else:
            notes.append(work)

    def launch_now(self, kernel, grid, block, arguments, shared, through):
        if self.both_orders:
            self.program.launch(kernel, grid, block, arguments, shared, through)
        else:
            self.program.run(kernel, grid, block, arguments, shared, 0)


class Thorough(StrictProgram):
    both_orders = True


@contextmanager
def strict_cupy(program=StrictProgram):
    """Inside the block this is CuPy, and the kernels of the backend cuda run on its arrays."""
    module = Cupy()
    kept = sys.modules.get("cupy")
    before, cupy_module = cuda_launch.program, backend.cupy_module
    users = [m for n, m in sys.modules.items() if n.startswith("minise") and hasattr(m, "cupy_module")]
    sys.modules["cupy"] = module
    cuda_launch.program = cache(program)
    for user in users:
        user.cupy_module = lambda: module
    try:
        yield module
    finally:
        cuda_launch.program = before
        for user in users:
            user.cupy_module = cupy_module
        del sys.modules["cupy"]
        if kept is not None:
            sys.modules["cupy"] = kept
