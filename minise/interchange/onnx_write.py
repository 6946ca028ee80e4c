"""A model as an ONNX graph: its forward is run once and watched, and each op becomes what the table says.

The graph starts from pixels between 0 and 1, as most programs hand them over, and normalises them itself: a model
that is fed with another mean or deviation than its own is wrong without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minise.backend import Array, use_backend
from minise.errors import ConfigError
from minise.interchange.onnx_graph import OnnxGraph
from minise.interchange.onnx_ops import TRANSLATORS
from minise.nn import Module
from minise.nn.module import evaluating
from minise.tape import Call, Tensor, no_grad, watch

BATCH = 7
"""Images in the traced batch: no other size is like it, so that one that got into the graph would show."""
INPUT, OUTPUT = "images", "logits"


def onnx_bytes(
    model: Module,
    *,
    mean: Sequence[float] | Array,
    std: Sequence[float] | Array,
    about: Mapping[str, str],
    size: int = 32,
) -> bytes:
    """The file: images float32 (n, 3, size, size), from 0 to 1 -> logits float32 (n, classes), for any n.

    mean, std: (3,), what the model's own images were normalised by. about: goes into the file's metadata.
    Raises ConfigError where onnx is missing, or has no words for an op of the model.
    """
    x = np.zeros((BATCH, 3, size, size), np.float32)
    calls, logits = traced(model, x)
    parameters = {name: p.data for name, p in model.named_parameters()}
    graph = OnnxGraph(parameters | {name: b.data for name, b in model.named_buffers()})
    graph.note(x, normalised(graph, mean, std))
    for call in calls:
        if call.op not in TRANSLATORS:
            expected = ", ".join(TRANSLATORS)
            raise ConfigError(f"export: ONNX's table has no row for {call.op}, expected one of {expected}")
        graph.note(call.results[0], TRANSLATORS[call.op](graph, call))
    graph.nodes[-1].output[0] = OUTPUT
    proto = graph.model({INPUT: ["n", 3, size, size]}, {OUTPUT: ["n", logits.shape[1]]})
    graph.helper.set_model_props(proto, dict(about))
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def traced(model: Module, x: Array) -> tuple[list[Call], Array]:
    """Every op of the model's forward on x, as the reference computes it outside training, and the logits."""
    calls: list[Call] = []
    with evaluating(model), no_grad(), use_backend("reference"), watch(calls.append):
        logits: Array = model(Tensor(x)).data
    return calls, logits


def normalised(graph: OnnxGraph, mean: Any, std: Any) -> str:
    """(images - mean) / std, channel by channel; the name of that."""
    shift = graph.constant(np.reshape(mean, (3, 1, 1)), name="mean")
    scale = graph.constant(np.reshape(std, (3, 1, 1)), name="std")
    return graph.node("Div", graph.node("Sub", INPUT, shift), scale)
