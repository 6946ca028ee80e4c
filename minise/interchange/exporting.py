"""A run as the bytes of a file for other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import safetensors.numpy

from minise.backend import Array
from minise.data import DATASETS
from minise.errors import ConfigError
from minise.interchange.names import NAMES
from minise.interchange.onnx_write import onnx_bytes
from minise.interchange.torch_write import torch_bytes
from minise.interchange.weights import note
from minise.nn import Module
from minise.runs.run import Run


def export_run(run: Run, format: str, *, names: str = "minise") -> bytes:
    """The weights of the run in a format of FORMATS; "onnx": the whole network.

    names: a row of NAMES, what the arrays are called in the file; in ONNX nobody asks for that.
    Raises ConfigError for what does not go together, RunError for a run without usable weights.
    """
    model = run.load_model(len(run.classes))
    return FORMATS[format](run, model, names)


def as_torch(run: Run, model: Module, names: str) -> bytes:
    """A state_dict, as `torch.save` writes one."""
    return torch_bytes(renamed(run, model, names), note(run))


def as_safetensors(run: Run, model: Module, names: str) -> bytes:
    """A safetensors file; one entry of metadata, so that equal runs give equal files."""
    content: bytes = safetensors.numpy.save(renamed(run, model, names), {"minise": note(run)})
    return content


def as_onnx(run: Run, model: Module, names: str) -> bytes:
    """The network outside training, normalisation included; what `--tta` adds is not."""
    if names != "minise":
        raise ConfigError(f"names: found {names!r}, but onnx holds the whole network, expected none")
    spec = DATASETS[run.config.dataset]
    mean, std = spec.mean, spec.std
    about = {
        "minise": note(run),
        "classes": json.dumps(run.classes),
        "images": "float32 (n, 3, 32, 32): red, green, blue, from 0 to 1; the graph normalises them",
        "logits": "float32 (n, classes): of one view of each image, without softmax",
    }
    return onnx_bytes(model, mean=mean, std=std, about=about)


FORMATS: dict[str, Callable[[Run, Module, str], bytes]] = {
    "torch": as_torch,
    "safetensors": as_safetensors,
    "onnx": as_onnx,
}
"""Format -> what writes it."""


def renamed(run: Run, model: Module, names: str) -> dict[str, Array]:
    """The model's arrays under the names of a row of NAMES. Raises ConfigError where its code has another network."""
    state, row = model.state_dict(), NAMES[names]
    if not row.fits(state):
        raise ConfigError(
            f"names: {names} are those of ResNets, found {run.config.model}, expected minise or twin"
        )
    for option in ("act", "trunk_act"):
        act: Any = getattr(run.config, option)
        if None not in (row.act, act) and act != row.act:
            raise ConfigError(f"names: the code of {names} has {row.act}, but {run.path} has {option} {act}")
    theirs = row.theirs(state)
    return {theirs[name]: a for name, a in state.items()}
