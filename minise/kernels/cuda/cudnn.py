"""Convolutions by NVIDIA's library cuDNN (extras `cudnn12` and `cudnn13`) in the place of ours, where that is chosen:

    own      nowhere
    auto     where cuDNN is installed, for float16 with at least AUTO_CHANNELS channels on both sides
    cudnn    wherever it has a kernel; ours do the rest

It takes the first kernel that cuDNN's own heuristics name of those that give the same numbers every time and round no
float32 operand; timing them would make a training's numbers depend on chance. With float16 maps its gradient of w is
float16 too (summed in float32), while ours is float32.
Source: the documentation of cuDNN's frontend, "Convolutions".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from minise.backend import Array, array_module, cupy_module
from minise.errors import ConfigError, MiniseError
from minise.kernels.cuda import side_stream as cuda_aside
from minise.kernels.cuda.capture import capturing
from minise.kernels.cuda.launch import address, cover, empty_maps, half, launch, nhwc
from minise.kernels.cuda.weights import BLOCK, FILE, PLAIN, THREADS, Layout, packed_weights

CHOICES = ("auto", "own", "cudnn")
AUTO_CHANNELS = 128
HOW = "pip install 'minise[cudnn13]', or [cudnn12], or --conv own"
MOST_WORKSPACE = 256 * 2**20
"""The bytes that one of its kernels may have for itself."""
X, W, Y = 1, 2, 3

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Convolution:
    """Maps x (n, c, h, w) and y (n, k, ho, wo), weights w (k, c, kh, kw), and which of the three is the `result`."""

    result: int
    x: Shape
    w: Shape
    y: Shape
    stride: int
    padding: int
    half: bool


class Plan(Protocol):
    """How cuDNN computes a convolution: x, w and y have their channels side by side, and it wants `room` bytes."""

    room: int

    def __call__(self, x: Array, w: Array, y: Array, room: Array) -> None: ...


class CudnnPlan:
    """By cuDNN's frontend. where: its `handle`, or for whom to plan without a GPU."""

    def __init__(self, of: Convolution, **where: Any) -> None:
        cudnn = frontend()
        self.handle = where.get("handle")
        kind = cudnn.data_type.HALF if of.half else cudnn.data_type.FLOAT
        wide = cudnn.data_type.FLOAT
        graph = cudnn.pygraph(io_data_type=kind, intermediate_data_type=wide, compute_data_type=wide, **where)
        sizes = {X: of.x, W: of.w, Y: of.y}
        given = {
            uid: graph.tensor(dim=list(size), stride=strides(size), data_type=kind, uid=uid)
            for uid, size in sizes.items()
            if uid != of.result
        }
        steps = {"padding": [of.padding] * 2, "stride": [of.stride] * 2, "dilation": [1, 1]}
        if of.result == Y:
            result = graph.conv_fprop(image=given[X], weight=given[W], **steps)
        elif of.result == X:
            result = graph.conv_dgrad(loss=given[Y], filter=given[W], **steps)
        else:
            result = graph.conv_wgrad(image=given[X], loss=given[Y], **steps)
        size = sizes[of.result]
        result.set_output(True).set_uid(of.result).set_dim(list(size)).set_stride(strides(size))
        result.set_data_type(kind)
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        notes = cudnn.numerical_note
        unwanted = [notes.NONDETERMINISTIC, notes.REDUCED_PRECISION_REDUCTION, notes.DOWN_CONVERT_INPUTS]
        graph.deselect_numeric_notes(unwanted if of.half else [*unwanted, notes.TENSOR_CORE])
        graph.deselect_workspace_greater_than(MOST_WORKSPACE)
        self.graph, self.index = graph, first_that_builds(cudnn, graph)
        self.room = max(int(graph.get_workspace_size_plan_at_index(self.index)), 1)

    def __call__(self, x: Array, w: Array, y: Array, room: Array) -> None:
        places = {X: address(x), W: address(w), Y: address(y)}
        try:
            following = on_current_stream(self.handle)
            self.graph.execute_plan_at_index(places, address(room), self.index, handle=following)
        except RuntimeError as error:
            if capturing():
                raise  # then the step is not captured
            raise MiniseError(
                f"conv: cuDNN fails ({' '.join(str(error).split())[:200]}); --conv own does without"
            ) from error


def first_that_builds(cudnn: Any, graph: Any) -> int:
    """The place of the first plan that is not barred; barred ones raise an error when they are built."""
    last: Exception | None = None
    for i in range(graph.get_execution_plan_count()):
        try:
            graph.build_plan_at_index(i)
        except (cudnn.cudnnGraphNotSupportedError, RuntimeError) as error:
            last = error
        else:
            return i
    raise RuntimeError("cuDNN has no kernel for it") from last


def strides(size: Shape) -> list[int]:
    """The steps between the numbers of an array (a, b, c, d) whose axis b lies innermost in memory."""
    _, b, c, d = size
    return [b * c * d, 1, b * d, b]


@cache
def frontend() -> Any:
    """The module `cudnn`, once the libraries that it opens are there. Raises ConfigError with what is missing."""
    try:
        import cudnn
    except ImportError as error:
        raise ConfigError(f"conv: found cudnn, but cuDNN is not installed; expected {HOW}") from error
    except Exception as error:  # it opens libraries when it is imported
        raise unusable(error) from error
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        for name in ("cudart", "cublasLt"):  # without the latter, cuDNN ends the process
            load_nvidia_dynamic_lib(name)
        cudnn.backend_version()
    except Exception as error:
        raise unusable(error) from error
    return cudnn


def unusable(error: Exception) -> ConfigError:
    """What is said of an installed cuDNN that cannot be used."""
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return ConfigError(f"conv: found cudnn, but cuDNN cannot be used ({reason}); expected {HOW}")


@cache
def handle(beside: bool) -> Any:
    """cuDNN's handle for the main stream, or for what runs beside it (`cuda_aside`)."""
    return frontend().create_handle()


def on_current_stream(handle: Any) -> Any:
    """The handle, whose work goes to the current stream from now on."""
    frontend().set_stream(handle=handle, stream=cupy_module().cuda.get_current_stream().ptr)
    return handle


def ready() -> None:
    """Raise ConfigError if cuDNN cannot be used with the current GPU."""
    try:
        handle(False), handle(True)
    except ConfigError:
        raise
    except Exception as error:
        raise unusable(error) from error


def new_plan(of: Convolution) -> Plan:
    """A plan for the current GPU."""
    return CudnnPlan(of, handle=on_current_stream(handle(of.result == W)))


maker: Callable[[Convolution], Plan] = new_plan
"""What makes a plan; tests put one in its place that needs no GPU."""

chosen = "own"
plans: dict[Convolution, Plan | None] = {}
"""Those made so far; None for what cuDNN has no kernel for."""
problems: dict[Convolution, str] = {}
"""Why not."""


def choose(how: str) -> None:
    """Let convolutions on a GPU be computed as one of CHOICES says, from now on. Raises ConfigError if cuDNN is asked
    for and cannot be used.
    """
    global chosen
    if how not in CHOICES:
        raise ConfigError(f"conv: found {how!r}, expected one of {', '.join(CHOICES)}")
    if how == "cudnn":
        ready()
    chosen = how


@cache
def installed() -> bool:
    """Whether cuDNN can be used."""
    with contextlib.suppress(ConfigError):
        frontend()
        return True
    return False


def wanted(of: Convolution) -> bool:
    """Whether this one is cuDNN's as chosen."""
    if chosen == "auto":
        return of.half and min(of.w[:2]) >= AUTO_CHANNELS and installed()
    return chosen == "cudnn"


def plan_of(of: Convolution) -> Plan | None:
    """cuDNN's plan for a convolution, made when first asked for; None if it is ours to compute."""
    if not wanted(of):
        return None
    if of not in plans:
        try:
            plans[of] = maker(of)
        except Exception as error:  # cuDNN's frontend raises several kinds of its own
            plans[of], problems[of] = None, " ".join(str(error).split())
    return plans[of]


def weights_for(w: Array, dtype: Any) -> Array:
    """w (k, c, kh, kw) with its channels c side by side in memory."""
    k, c, kh, kw = w.shape
    return packed_weights(w, Layout(c, k, kh * kw, k, c, PLAIN), dtype)


def forward(x: Array, w: Array, size: tuple[int, int], stride: int, padding: int) -> Array | None:
    """y, if that is cuDNN's to compute."""
    shape = (len(x), len(w), size[0], size[1])
    found = plan_of(Convolution(Y, x.shape, w.shape, shape, stride, padding, bool(half(x))))
    if found is None:
        return None
    y = empty_maps(x, shape)
    found(aligned(x), weights_for(w, x.dtype), nhwc(y), room_for(found, x))
    return y


def gradient_of_x(
    gy: Array, w: Array, shape: tuple[int, int, int, int], stride: int, padding: int
) -> Array | None:
    """gx of that shape, if that is cuDNN's to compute."""
    found = plan_of(Convolution(X, shape, w.shape, gy.shape, stride, padding, bool(half(gy))))
    if found is None:
        return None
    gx = empty_maps(gy, shape)
    found(nhwc(gx), weights_for(w, gy.dtype), aligned(gy), room_for(found, gy))
    return gx


def gradient_of_w(x: Array, gy: Array, w: Array, stride: int, padding: int) -> Array | None:
    """gw in float32, if that is cuDNN's to compute."""
    found = plan_of(Convolution(W, x.shape, w.shape, gy.shape, stride, padding, bool(half(x))))
    if found is None:
        return None
    k, c, kh, kw = w.shape
    xp = array_module(x)
    made, gw, room = xp.empty(w.size, x.dtype), xp.empty(w.shape, np.float32), room_for(found, x)
    x, gy = aligned(x), aligned(gy)
    with cuda_aside.gradient_of(w, gw, x, gy, made, room):
        found(x, made, gy, room)
        launch(
            FILE, "unpack", made, gw, np.int32(k), np.int32(c), np.int32(kh * kw),
            grid=(cover(w.size, BLOCK),), block=THREADS, constants={"HALF": half(x)},
        )  # fmt: skip
    return gw


def aligned(x: Array) -> Array:
    """Maps x as `nhwc` has them, from a multiple of 16 bytes on, as cuDNN was told."""
    x = nhwc(x)
    return x.copy() if address(x) % 16 else x


def room_for(found: Plan, like: Array) -> Array:
    """The bytes that a plan wants for itself."""
    return array_module(like).empty(found.room, np.uint8)
