"""`minise bench` and what it measures with."""

import pytest
from cli_runs import failed, lines, minise, succeeded

from minise.errors import ConfigError
from minise.models import build, describe
from minise.train.profile import time_steps, usable_backends

SMALL = ("bench", "--model", "se-convnet", "--batch-size", 4, "--steps", 2, "--threads", 1)


def test_a_table_for_people():
    out = succeeded(minise(*SMALL))
    assert "backend" in out
    assert "reference" in out
    assert "conv2d backward" in out
    assert "GFLOP/s" in out


def test_json_an_object_a_backend():
    found = lines(minise(*SMALL, "--backend", "reference", "--backend", "numpy", "--json"))
    assert [result["backend"] for result in found] == ["reference", "numpy"]
    for result in found:
        assert len(result["seconds"]) == 2
        assert result["images_per_second"] == pytest.approx(4 / result["median"])
        ops = {(op["op"], op["backward"]): op for op in result["ops"]}
        assert ops["conv2d", False]["calls"] == ops["conv2d", True]["calls"] == 3
        assert all(op["seconds"] > 0 and op["bytes"] > 0 for op in result["ops"])


def test_flops_are_those_of_the_model():
    """Forward, as `minise models` counts them; backward twice that, less the first layer's image gradient."""
    (times,) = time_steps("convnet", ["reference"], batch_size=3, steps=1)
    ops = {(op.op, op.backward): op.flops for op in times.ops}
    forward = ops["conv2d", False] + ops["linear", False]
    assert forward == 3 * describe(build("convnet")).flops
    first = 3 * 2 * 27 * 16 * 32 * 32
    assert ops["conv2d", True] == 2 * ops["conv2d", False] - first
    assert ops["linear", True] == 2 * ops["linear", False]


def test_forward_alone_has_no_backward():
    (result,) = lines(minise(*SMALL, "--backend", "numpy", "--forward", "--json"))
    assert result["ops"]
    assert not any(op["backward"] for op in result["ops"])


def test_what_cannot_run_here_says_so(monkeypatch):
    assert usable_backends()["reference"] is None
    failed(minise(*SMALL, "--backend", "cudnn"), 2, "cudnn")
    failed(minise(*SMALL, "--model", "resnet20", "--act", "felu"), 2, "act", "resnet20")
    monkeypatch.setattr(
        "minise.train.profile.usable_backends", lambda: {"numpy": None, "cuda": "CuPy is not installed"}
    )
    with pytest.raises(ConfigError, match="cuda cannot be used here: CuPy is not installed"):
        time_steps("convnet", ["cuda"])
    for wrong in ({"batch_size": 0}, {"steps": 0}):
        with pytest.raises(ConfigError, match="expected at least 1"):
            time_steps("convnet", ["numpy"], **wrong)
