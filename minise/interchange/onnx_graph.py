"""An ONNX graph in the making: nodes, constants, and which array of a traced forward has which name in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minise._util.optional import optional
from minise.backend import Array

OPSET, IR_VERSION = 17, 8
"""ONNX 1.12 and onnxruntime 1.12, of 2022, and all later ones read these."""


def onnx_module() -> Any:
    """onnx; ConfigError where it is missing."""
    return optional("onnx", "export", "onnx")


class OnnxGraph:
    """Nodes and constants so far. names: array -> its name, for those constants that have one.

    An array is known again by being the same object.
    """

    def __init__(self, names: Mapping[str, Array]) -> None:
        self.helper, self.numpy_helper = onnx_module().helper, onnx_module().numpy_helper
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self.titles = names
        self.made: list[tuple[str, Any]] = []

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; the name of that."""
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, value: Any, dtype: Any = np.float32, name: str | None = None) -> str:
        """The name of a constant."""
        name = name or f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def title(self, a: Any) -> str | None:
        """The name of a constant that has one."""
        return next((name for name, other in self.titles.items() if other is a), None)

    def note(self, a: Any, name: str) -> None:
        """Let the traced array be the result of a node, or an input of the graph."""
        self.made.append((name, a))

    def value(self, a: Any) -> str:
        """The name of what a traced op was given: an array that was noted, or else a constant."""
        noted = next((name for name, other in reversed(self.made) if other is a), None)
        return noted or self.constant(a, name=self.title(a))

    def values(self, *arrays: Any) -> list[str]:
        """The names of arrays, None left out."""
        return [self.value(a) for a in arrays if a is not None]

    def model(self, inputs: Mapping[str, list[Any]], outputs: Mapping[str, list[Any]]) -> Any:
        """The whole, checked. inputs, outputs: name -> shape, with a word for a size that is not fixed."""
        onnx = onnx_module()
        info = self.helper.make_tensor_value_info
        infos = [
            [info(name, onnx.TensorProto.FLOAT, shape) for name, shape in end.items()]
            for end in (inputs, outputs)
        ]
        constants = [self.numpy_helper.from_array(a, name) for name, a in self.constants.items()]
        graph = self.helper.make_graph(self.nodes, "minise", *infos, constants)
        opset = self.helper.make_opsetid("", OPSET)
        model = self.helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="minise"
        )
        onnx.checker.check_model(model, full_check=True)
        return model
