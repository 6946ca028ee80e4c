"""Hypothesis profiles, and the reasons for which marked tests are skipped."""

import importlib.util
import os

import pytest
from browser import chromium
from hypothesis import HealthCheck, settings

from minise.backend import usable_backend

SLOW_IS_FINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
for size in ("COLUMNS", "LINES"):  # pytest-xdist tells its workers its own terminal's
    os.environ.pop(size, None)
settings.register_profile("check", max_examples=20, derandomize=True, **SLOW_IS_FINE)
settings.register_profile("explore", max_examples=300, **SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))


def has_gpu():
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def has_cifar():
    folder = os.environ.get("MINISE_DATA_DIR")
    return folder is not None and os.path.isdir(os.path.join(folder, "cifar-10-batches-py"))


NEEDS = {
    "torch": (lambda: importlib.util.find_spec("torch") is not None, "needs PyTorch: pip install torch"),
    "cifar": (has_cifar, "needs the real CIFAR files: set MINISE_DATA_DIR to the folder that holds them"),
    "gpu": (has_gpu, "needs CuPy and a CUDA device"),
    "browser": (chromium, "needs Chromium on the PATH: apt-get install chromium"),
}


def pytest_collection_modifyitems(items):
    present = {name: check() for name, (check, _) in NEEDS.items()}
    for item in items:
        for name, (_, reason) in NEEDS.items():
            if item.get_closest_marker(name) and not present[name]:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """The numba kernels are compiled before the first test, not in the middle of one."""
    if usable_backend("cpu").name == "numba":
        from minise.kernels.numba.register import prepare

        prepare()
