"""What docs/extending.md says works as it stands there: a plugin, a study of it, a training from a script."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
BLOCKS = dict(
    zip(("plugin", "script"), re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL), strict=True)
)
(STUDY,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
TINY = ["--dataset", "shapes10", "--limit-train", "128", "--limit-test", "64", "--epochs", "1"]


def minise(*arguments, plugins=None):
    """In a process of its own, since plugins change the tables of the whole process."""
    command = [sys.executable, "-m", "minise_cli.main", *map(str, arguments)]
    environment = os.environ | ({} if plugins is None else {"MINISE_PLUGINS": plugins})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extended")
    (folder / "my.py").write_text(BLOCKS["plugin"])
    (folder / "my.toml").write_text(
        STUDY.replace("cifar10", "shapes10")
        .replace("seeds = 3", "seeds = 1")
        .replace("epochs = 10", "epochs = 1\nlimit_train = 128\nlimit_test = 64\nval_size = 0\nwarmup = 0.0")
    )
    assert (
        minise(
            "--plugin",
            folder / "my.py",
            "train",
            *TINY,
            "--model",
            "se-convnet",
            "--act",
            "swish",
            "--run",
            folder / "r",
        )[0]
        == 0
    )
    return folder


def test_the_plugins_gradients_are_right(folder):
    code, out, _ = minise("gradcheck", f"{folder}/my.py:swish", "--examples", 10)
    assert code == 0, out


def test_a_run_records_the_plugin_and_is_opened_with_it(folder):
    info = json.loads((folder / "r/run.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", info["plugins"]["my.py"])
    assert re.fullmatch("[0-9a-f]{16}", info["versions"]["source"])
    code, out, _ = minise("evaluate", folder / "r", plugins=str(folder / "my.py"))
    assert code == 0
    assert "se-convnet, swish" in out
    code, out, error = minise("evaluate", folder / "r")
    assert (code, out) == (1, "")
    assert "act: found 'swish'" in error
    assert error.endswith("(it was made with `minise --plugin my.py`)\n")


def test_a_study_of_its_activation_and_its_block(folder):
    options = ("claim", "--config", folder / "my.toml", "--study", folder / "study", "--threads", 1)
    code, out, error = minise("--plugin", folder / "my.py", *options)
    assert code == 0, error
    assert "3 of 3 runs done" in out
    config = (folder / "study/runs/shapes10-se-convnet-eca-s0/config.toml").read_text()
    assert 'model = "eca-convnet"' in config


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("none.py", None, "none.py is no Python file, expected FILE.py"),
        ("text.txt", "x", "text.txt is no Python file, expected FILE.py"),
        ("broken.py", "1 +", "broken.py cannot be imported (SyntaxError: "),
        ("exits.py", "raise SystemExit(3)", "exits.py cannot be imported (SystemExit: 3), expected a module"),
    ],
)
def test_a_plugin_that_cannot_be_is_one_line(tmp_path, file, text, words):
    if text is not None:
        (tmp_path / file).write_text(text)
    code, out, error = minise("--plugin", tmp_path / file, "models")
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: plugin: ")
    assert words in error


def test_what_has_no_form_elsewhere_says_so(folder):
    plugin = ("--plugin", folder / "my.py")
    code, _, error = minise(*plugin, "export", folder / "r", "--format", "onnx", "-o", folder / "x.onnx")
    assert (code, error.count("\n")) == (2, 1)
    assert "'swish'" in error
    code, _, error = minise(*plugin, "explain", "se", "--act", "swish")
    assert (code, error.count("\n")) == (2, 1)
    assert "'swish' is not one of" in error


def test_the_script_trains(tmp_path):
    text = BLOCKS["script"].replace("6000", "300").replace("1000", "100")
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"epoch (\d): loss", done.stdout) == ["1", "2", "3"]
    assert "of the test images, loss" in done.stdout


PLAIN_NET = """
from minise.models import MODELS, ModelSpec
from minise.models.convnet import ConvNet
MODELS["gated"] = ModelSpec(ConvNet, has_se=True, summary="without se- in its name")
"""
DATA = """
import numpy as np
from dataclasses import replace
from minise.data import DATASETS, Spec, load

def blank(request):
    data = load("shapes10", limit_train=80, limit_test=40)
    return replace(data, name=request.name, source="made up")

DATASETS["blank"] = Spec("a hundred", DATASETS["shapes10"].classes, 80, 40, (0, 0, 0), (1, 1, 1), False, blank)
"""


def test_a_plugin_that_has_changed_goes_on_with_nothing(folder, tmp_path):
    plugin, run = tmp_path / "my.py", tmp_path / "r"
    plugin.write_text(BLOCKS["plugin"])
    shutil.copytree(folder / "r", run)
    shutil.copytree(folder / "study", tmp_path / "study")
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"state": "interrupted"}))
    plugin.write_text(BLOCKS["plugin"] + "\n")
    for options, words in (
        (("train", "--resume", run), "was made with the plugins my.py ("),
        (("claim", "--study", tmp_path / "study", "--seeds", 2), "was made with the plugins my.py ("),
    ):
        code, _, error = minise("--plugin", plugin, *options)
        assert (code, error.count("\n")) == (1, 1), error
        assert words in error
    code, _, error = minise("--plugin", plugin, "evaluate", run)
    assert code == 0
    assert "made with the plugins my.py" in error
    assert "my.py" in minise("report", folder / "study", "-o", "-", plugins=str(folder / "my.py"))[1]


def test_names_of_plugins_are_told_apart_and_their_bugs_are_theirs(tmp_path):
    (tmp_path / "q").mkdir()
    for path in ("a.py", "q/a.py"):
        (tmp_path / path).write_text("")
    two = [part for path in ("a.py", "q/a.py") for part in ("--plugin", tmp_path / path)]
    assert "found two files a.py" in minise(*two, "models")[2]
    (tmp_path / "a.py").write_text("from minise.models import MODELS; MODELS['bar'] = 'x'")
    assert "minise or a plugin (a.py) has a bug" in minise("models", "--plugin", tmp_path / "a.py")[2]


@pytest.mark.parametrize("arm", ["se = false", 'se = false\nmodel = "convnet"'])
def test_an_arm_without_se_is_without_se(tmp_path, arm):
    (tmp_path / "net.py").write_text(PLAIN_NET)
    text = STUDY.replace("se-convnet", "gated").replace('model = "eca-convnet"', arm).replace("swish", "felu")
    (tmp_path / "net.toml").write_text(text.replace("cifar10", "shapes10"))
    plan = ("claim", "--dry-run", "--config", tmp_path / "net.toml", "--study", tmp_path / "s")
    code, _, error = minise("--plugin", tmp_path / "net.py", *plan)
    assert (code, error.count("\n")) == (2, 1)
    assert "arms.eca has se = false and" in error


def test_a_data_set_of_ones_own_is_cut_down_to_the_limits(tmp_path):
    (tmp_path / "data.py").write_text(DATA)
    options = ("--dataset", "blank", "--model", "convnet", "--epochs", 1, "--val-size", 0, "--batch-size", 10)
    limits = ("--limit-train", 30, "--limit-test", 20, "--run", tmp_path / "r", "--json")
    code, out, error = minise("train", *options, *limits, "--plugin", tmp_path / "data.py")
    assert code == 0, error
    start, *_, done = map(json.loads, out.splitlines())
    assert (start["train_images"], done["test_images"]) == (30, 20)
