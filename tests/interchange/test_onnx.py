"""ONNX: onnxruntime computes what minise computes, to 1e-5, for every model, activation and size of a batch."""

import json
import sys

import numpy as np
import onnxruntime
import pytest
from cli_runs import failed, minise, succeeded
from interchange_files import IMAGES, lively, make_run

from minise.data import load
from minise.errors import ConfigError
from minise.interchange.onnx_graph import OnnxGraph
from minise.interchange.onnx_ops import TRANSLATORS, activation, pad, reshape, slice_
from minise.interchange.onnx_write import BATCH, onnx_bytes, traced
from minise.models import MODELS, build
from minise.ops import ACTIVATIONS, OPS
from minise.tape import Call, Tensor, no_grad

MEAN, STD = np.float32([0.5, 0.4, 0.3]), np.float32([0.2, 0.3, 0.25])


def onnx_answers(content, pixels):
    """What onnxruntime makes of images (n, 3, 32, 32) from 0 to 1."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": pixels})[0]


def agree(model, content, n):
    pixels = np.random.default_rng(n).random((n, 3, 32, 32)).astype(np.float32)
    with no_grad():
        expected = model(Tensor((pixels - MEAN[:, None, None]) / STD[:, None, None])).data
    found = onnx_answers(content, pixels)
    assert found.shape == expected.shape == (n, 10)
    assert np.abs(found - expected).max() < 1e-5 * max(1, np.abs(expected).max())


def exported(name, **options):
    model = lively(build(name, seed=1, **options), np.random.default_rng(1))
    return model, onnx_bytes(model, mean=MEAN, std=STD, about={})


@pytest.mark.parametrize(
    "name", ["convnet", "se-convnet", "resnet20", "se-resnet20", "fastnet-slim", "se-fastnet-slim"]
)
def test_models(name):
    model, content = exported(name)
    for n in (1, 5):
        agree(model, content, n)


@pytest.mark.parametrize("alpha", ["layer", "channel"])
@pytest.mark.parametrize("act", ACTIVATIONS)
def test_activations(act, alpha):
    model, content = exported(
        "se-convnet", act=act, trunk_act=act, alpha=alpha, reduction=4, se_bias=alpha == "layer"
    )
    agree(model, content, 2)


@pytest.mark.parametrize("name", [name for name in MODELS if "110" not in name])
def test_every_model_has_its_ops_in_the_table(name):
    calls, logits = traced(build(name), np.zeros((BATCH, 3, 32, 32), np.float32))
    assert {call.op for call in calls} <= TRANSLATORS.keys()
    assert calls[-1].results[0] is logits


def test_the_graph_is_that_of_an_image_and_leaves_the_model_as_it_was():
    import onnx

    model = build("se-convnet").train()
    proto = onnx.load_from_string(onnx_bytes(model, mean=MEAN, std=STD, about={"a": "b"}))
    assert model.training
    assert [(p.key, p.value) for p in proto.metadata_props] == [("a", "b")]
    dims = [d.dim_param or d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["n", 3, 32, 32]
    assert "groups.0.conv.weight" in {a.name for a in proto.graph.initializer}
    assert proto.opset_import[0].version == 17


def translated(op, translate, x, ndim=4, **options):
    """One op as a graph of its own, run on x; ndim: of the result."""
    graph = OnnxGraph({})
    graph.note(x, "x")
    graph.node("Identity", translate(graph, Call(op, False, (x,), (x,), 0.0, options)))
    graph.nodes[-1].output[0] = "y"
    proto = graph.model({"x": list(x.shape)}, {"y": [None] * ndim})
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def test_ops_that_move_numbers():
    x = np.arange(2 * 4 * 5 * 6, dtype=np.float32).reshape(2, 4, 5, 6)
    index = (slice(None), slice(1, 3), slice(None, None, 2), slice(-4, None))
    np.testing.assert_array_equal(translated("slice", slice_, x, index=index), x[index])
    widths = ((0, 0), (1, 2), (0, 3), (1, 0))
    np.testing.assert_array_equal(translated("pad", pad, x, widths=widths), np.pad(x, widths))
    np.testing.assert_array_equal(translated("reshape", reshape, x, 3, shape=(2, -1, 6)), x.reshape(2, -1, 6))
    with pytest.raises(ConfigError, match="moves the batch"):
        translated("reshape", reshape, x, shape=(8, 5, 6))


@pytest.mark.parametrize(
    ("act", "options"), [("elu", {"alpha": 0.5}), ("leaky_relu", {"slope": 0.3}), ("elu", {}), ("gelu", {})]
)
def test_an_option_of_an_activation_goes_before_what_its_row_has(act, options):
    x = np.linspace(-30, 30, 121, dtype=np.float32).reshape(1, -1)
    found = translated(act, activation, x, 2, **options)
    np.testing.assert_allclose(found, OPS[act](Tensor(x), **options).data, rtol=1e-5, atol=1e-6)


def test_an_op_without_a_row_is_one_line(monkeypatch):
    monkeypatch.delitem(TRANSLATORS, "max_pool2d")
    with pytest.raises(ConfigError, match="ONNX's table has no row for max_pool2d, expected"):
        exported("convnet")


def test_without_onnx_it_says_what_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match=r"^export: needs onnx .*pip install 'minise\[onnx\]'"):
        exported("convnet")


def test_a_run_exported_by_the_command(tmp_path):
    """Pixels in, the logits of the run's own test out."""
    import onnx

    run, out = make_run(tmp_path / "run", "se-convnet"), tmp_path / "run.onnx"
    succeeded(minise("export", run.path, "--format", "onnx", "-o", out))
    images = load("shapes10", limit_train=1, limit_test=IMAGES).test.images
    logits = onnx_answers(out.read_bytes(), images.astype(np.float32) / 255)
    assert np.abs(logits - run.load_test()[0]).max() < 1e-5
    about = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert json.loads(about["classes"])[0] == "disc"
    assert json.loads(about["minise"])["model"] == "se-convnet"
    assert about["images"].startswith("float32 (n, 3, 32, 32)")
    failed(minise("export", run.path, "--format", "onnx", "-o", out, "--names", "twin"), 2, "expected none")
