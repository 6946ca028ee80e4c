"""Every kernel that a training on a GPU launches compiles: by NVRTC, which needs no GPU."""

import ast
from pathlib import Path

import numpy as np
import pytest
from cuda_on_cpu import cuda_on_cpu
from small_networks import NETWORKS, losses

import minise
from minise.data import Augment, load
from minise.data.on_device import DeviceBatches
from minise.kernels.cuda import launch as cuda_launch
from minise.ops import conv2d
from minise.tape import Tensor

cupy = pytest.importorskip("cupy", reason="needs CuPy and NVRTC: pip install 'minise[cuda13]'")
ARCHITECTURES = ("sm_80", "sm_90")


FOUND = set()


class Noted:
    """A program that is noted and never run."""

    def __init__(self, name, defines):
        FOUND.add((name, defines))

    def launch(self, *arguments):
        pass


@pytest.fixture(scope="module")
def programs():
    """What trainings of two networks compile, in both precisions."""
    try:
        cupy.cuda.nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"needs NVRTC: {error}")
    with cuda_on_cpu(), pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(cuda_launch, "program", Noted)
        for network, optimizer in (("resnet8", "sgd"), ("fastnet", "muon"), ("fastnet", "adamw")):
            for half in (False, True):
                losses(network, optimizer, steps=2, half=half, device="cuda")
        model = NETWORKS["resnet8"]().eval()
        model(Tensor(np.ones((2, 3, 32, 32), np.float32)))
        x, w = np.ones((8, 64, 8, 8), np.float16), np.ones((64, 64, 3, 3), np.float32)
        conv2d(*(Tensor(a, requires_grad=True) for a in (x, w)), padding=1).backward(x)
        data = load("shapes10", limit_train=8, limit_test=8)
        options = {"mean": data.mean, "std": data.std, "augment": Augment(pad=2, cutout=4)}
        next(DeviceBatches(data.train, 4, **options).epoch(1))
    return sorted(FOUND)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_compile(programs, architecture):
    assert {name for name, _ in programs} >= {
        "correlate.cu", "correlate_weights.cu", "norm_forward.cu", "norm_backward.cu", "pool.cu", "loss.cu",
        "product.cu", "update.cu", "augment.cu",
    }  # fmt: skip
    for name, defines in programs:
        text = cuda_launch.with_constants(cuda_launch.source(name), defines)
        nvrtc = cupy.cuda.nvrtc
        program = nvrtc.createProgram(text, name, (), ())
        try:
            nvrtc.compileProgram(program, ("-std=c++17", "-ftz=true", f"-arch={architecture}"))
        except nvrtc.NVRTCError:
            pytest.fail(f"{name} {dict(defines)}: {nvrtc.getProgramLog(program)}")


def test_cupy_has_every_name_that_is_used_of_it():
    """Some are needed only when something fails."""
    used = set()
    for path in Path(minise.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used |= {name for node in ast.walk(tree) if (name := dotted(node))}
    assert {"cuda.runtime.getDeviceCount", "cuda.Stream", "RawModule"} <= used
    for name in used:
        found = cupy
        for part in name.split("."):
            assert hasattr(found, part), f"cupy.{name}"
            found = getattr(found, part)


def dotted(node):
    """What an expression such as cupy.cuda.Stream, cupy_module().cuda.Stream or self.cuda.Stream names of CuPy."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
        of_cupy = isinstance(node, ast.Name) and node.id == "cupy_module"
    else:
        of_cupy = isinstance(node, ast.Name) and (
            node.id == "cupy" or (node.id == "self" and parts[:1] == ["cuda"])
        )
    return ".".join(parts) if of_cupy else None
