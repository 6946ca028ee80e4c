"""The command `minise` as a whole: help, version, speed, errors, completion."""

import errno
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from cli_runs import MINISE, environment, failed, lines, minise, start, succeeded
from minise_cli import main as main_module
from minise_cli.errors import failure
from minise_cli.main import COMMANDS, cli
from minise_cli.options import merged_config

from minise.backend import BACKENDS
from minise.errors import ConfigError, DataError, RunError, ShapeError
from minise.train.config import TrainConfig, read_toml
from minise.train.recipes import recipe, recipes

SUBCOMMANDS = [(name,) for name in COMMANDS] + [
    ("data", name) for name in ("list", "fetch", "verify", "show")
]


def test_help_names_every_command():
    out = succeeded(minise("--help"))
    for name, (_, words) in COMMANDS.items():
        assert name in out
        assert words in out


def test_without_a_command_it_helps():
    assert succeeded(minise()) == succeeded(minise("--help"))


@pytest.mark.parametrize("command", SUBCOMMANDS, ids=" ".join)
def test_every_command_has_help_with_a_line_for_each_option(command):
    assert "Usage:" in succeeded(minise(*command, "--help"))
    assert succeeded(minise(*command, "-h")) == succeeded(minise(*command, "--help"))
    found = cli
    for name in command:
        found = found.get_command(None, name)
    for parameter in found.params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_the_table_has_the_modules():
    for name in COMMANDS:
        assert cli.get_command(None, name).name == name


def test_version():
    import minise as library

    assert succeeded(minise("--version")) == f"minise {library.__version__}\n"


def test_it_runs_as_a_module_and_imports_nothing_from_the_current_folder(tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit('executed')")
    command = [sys.executable, "-m", "minise", "models", "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=True
    )
    assert done.stdout == succeeded(minise("models", "--json"))


@pytest.mark.parametrize("text", ["epochs = 3\n", "# Übung\nepochs = 3\n"])
def test_a_config_file_may_begin_with_a_byte_order_mark(text, tmp_path):
    (tmp_path / "own.toml").write_text(text, encoding="utf-8-sig")
    assert read_toml(tmp_path / "own.toml") == {"epochs": 3}
    assert merged_config({}, tmp_path / "own.toml").epochs == 3


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({missing}))
from minise_cli.main import main
sys.argv = ["minise", *{args}]
main()
"""
TRAINING = (
    "train --dataset shapes10 --model convnet --limit-train 64 --limit-test 32 --epochs 1 --warmup 0 --run r"
)


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        (["ssl", "_ssl"], "doctor"),
        (["ssl", "_ssl", "http.client", "urllib.request"], TRAINING),
        (["ctypes", "_ctypes"], TRAINING),
        (["ctypes", "_ctypes"], "doctor"),
        (["lzma", "_lzma", "bz2", "_bz2", "sqlite3", "curses", "readline"], "data list"),
        (["fcntl", "termios", "resource", "pwd"], TRAINING),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value.split()[0],
)
def test_optional_parts_of_python_may_be_missing(missing, command, tmp_path):
    code = WITHOUT.format(missing=missing, args=command.split())
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment(), check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_download_by_https_needs_ssl(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ssl", None)
    options = ("--data-dir", tmp_path / "d", "--mirror", "https://127.0.0.1:9/")
    failed(minise("data", "fetch", "cifar10", *options), 1, "cannot download by https", "its module ssl")


NOWHERE = """
import os, sys, tempfile

def refuse(*args, dir=None, make=tempfile.TemporaryFile, **options):
    if dir is not None and "__pycache__" in str(dir):
        raise PermissionError(13, "Permission denied", dir)
    return make(*args, dir=dir, **options)

tempfile.TemporaryFile = refuse
sys.modules["pwd"] = None  # where HOME is not set, it would know one
os.environ.pop("HOME")
from minise_cli.main import main
sys.argv[0] = "minise"
main()
"""


def nowhere(folder, *args):
    """`minise args` for a user without a home, who cannot write beside minise's files."""
    (folder / "temporary").mkdir()
    command = [sys.executable, "-c", NOWHERE, *args]
    env = environment(TMPDIR=str(folder / "temporary"))
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env, check=False)


@pytest.mark.parametrize("path", ["~/p.py", "~nobody-of-that-name/p.py"])
def test_a_home_that_is_not_there_is_one_line(path, tmp_path):
    done = nowhere(tmp_path, "--plugin", path, "models")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert path in done.stderr
    assert "found no such home folder" in done.stderr


def test_without_a_home_no_folder_is_named_so(tmp_path):
    done = nowhere(tmp_path, "data", "list")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "temporary"]


def test_help_is_fast_and_imports_nothing_heavy():
    took = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([*MINISE, "--help"], check=True, stdout=subprocess.DEVNULL, env=environment())
        took.append(time.perf_counter() - began)
    assert min(took) < 0.3, took
    code = (
        "import sys; from minise_cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(', '.join(m for m in ('numpy', 'rich', 'minise') if m in sys.modules) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment())


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nope"], ["nope"]),
        (["--nope"], ["--nope", "minise --help"]),
        (["train", "--nope"], ["--nope", "minise train --help"]),
        (["train", "--epochs"], ["--epochs"]),
        (["train", "--epochs", "many"], ["--epochs", "many"]),
        (["train", "--model", "vgg"], ["--model", "vgg", "se-resnet20"]),
        (["train", "--act", "swash"], ["--act", "felu"]),
        (["train", "--optimizer", "lion"], ["sgd"]),
        (["train", "--schedule", "step"], ["cosine"]),
        (["train", "--dataset", "mnist"], ["mnist", "cifar10"]),
        (["train", "extra"], ["extra"]),
        (["train", "--epochs", "0"], ["epochs", "0", "at least 1"]),
        (["train", "--lr", "nan"], ["lr", "above 0"]),
        (["train", "--batch-size", "1"], ["batch_size"]),
        (["train", "--model", "resnet20", "--act", "relu"], ["act", "no SE blocks", "se-resnet20"]),
        (["train", "--model", "resnet20", "--reduction", "4"], ["reduction", "no SE blocks"]),
        (["train", "--warmup", "9", "--epochs", "3"], ["warmup"]),
        (["train", "--momentum", "0"], ["nesterov"]),
        (["train", "--threads", "0"], ["threads"]),
        (["models", "resnet20", "--act", "relu"], ["act", "no SE blocks"]),
        (["models", "vgg"], ["vgg"]),
        (["models", "--classes", "1"], ["--classes"]),
        (["evaluate"], ["RUN"]),
        (["data", "fetch", "mnist"], ["mnist"]),
        (["data", "nope"], ["nope"]),
        (["data", "show", "shapes10"], ["--out"]),
        (["data", "show", "shapes10", "--out", "x.png", "--label", "cat"], ["cat", "disc"]),
        (["data", "fetch", "cifar10", "--mirror", "ftp://x"], ["ftp://x"]),
        (["completion", "csh"], ["csh", "bash"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_code_2(args, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed(minise(*args), 2, *words)
    assert list(tmp_path.iterdir()) == []


class CudaError(RuntimeError):
    """As CuPy raises them, which need not be installed."""

    __module__ = "cupy_backends.cuda.api.runtime"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("lr: no"), 2, "lr: no"),
        (DataError("gone"), 1, "gone"),
        (RunError("gone"), 1, "gone"),
        (ShapeError("shape"), 1, "shape"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "x: No space left on device"),
        (MemoryError(), 1, "memory"),
        (KeyError("state"), 1, "bug: KeyError: 'state'; MINISE_TRACEBACK=1"),
        (
            CudaError("cudaErrorLaunchFailure:\n it failed"),
            1,
            "device cuda: cudaErrorLaunchFailure: it failed; `minise doctor`",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_a_line_and_a_code(error, code, words, monkeypatch):
    monkeypatch.setattr("minise_cli.errors.drop_stdout", lambda: None)
    found = failure(error)
    assert found.exit_code == code
    assert words in found.message
    assert "\n" not in found.message


def test_a_bug_is_one_line_unless_its_traceback_is_asked_for(monkeypatch):
    monkeypatch.setattr("minise_cli.commands.models.describe", lambda model: 1 / 0)
    failed(minise("models"), 1, "ZeroDivisionError", "MINISE_TRACEBACK=1")
    monkeypatch.setenv("MINISE_TRACEBACK", "1")
    assert isinstance(minise("models").exception, ZeroDivisionError)


def test_too_little_memory_is_one_line(monkeypatch):
    def build(*args, **options):
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr("minise_cli.commands.models.build", build)
    failed(minise("models"), 1, "memory", "9 TiB")


def test_a_closed_pipe_ends_it_silently():
    process = start("models", "se-resnet110")
    process.stdout.close()
    assert process.wait(60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        process = start("models", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "error: No space left on device\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script(shell):
    assert "_MINISE_COMPLETE" in succeeded(minise("completion", shell))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("minise ", "evaluate"),
        ("minise train --mod", "--model"),
        ("minise train --model se-resnet1", "se-resnet110"),
        ("minise train --act ", "felu"),
        ("minise data verify cifar1", "cifar100"),
    ],
)
def test_commands_options_and_choices_complete(words, expected):
    *_, last = words.split(" ")
    env = environment(
        _MINISE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
    )
    found = subprocess.run(MINISE, env=env, check=False, capture_output=True, text=True).stdout
    assert expected in {line.partition(",")[2] for line in found.splitlines()}, found
    assert last in expected


def test_a_terminal_without_unicode_gets_other_characters():
    process = start("doctor", env=environment(PYTHONIOENCODING="ascii"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "NumPy" in out


class TestModels:
    def test_table(self):
        out = succeeded(minise("models"))
        assert "se-resnet110" in out
        assert "1,742,254" in out
        assert "1x3, 2x3, 4x3" in out

    def test_json_has_every_model(self):
        from minise.models import MODELS

        rows = {row["name"]: row for row in lines(minise("models", "--json"))}
        assert list(rows) == list(MODELS)
        assert rows["se-resnet20"]["parameters"] == 272104
        assert rows["se-resnet20"]["se_widths"] == [1, 1, 1, 2, 2, 2, 4, 4, 4]
        assert rows["resnet20"]["se_widths"] == []

    def test_reduction_changes_the_widths(self):
        (row,) = lines(minise("models", "se-convnet", "--reduction", 4, "--act", "relu", "--json"))
        assert row["se_widths"] == [4, 8, 16]
        assert {"name": "classifier.bias", "kind": "bias", "shape": [10]} in row["layers"]
        assert not any(layer["kind"] == "alpha" for layer in row["layers"])

    def test_layers(self):
        out = succeeded(minise("models", "se-convnet", "--classes", "100"))
        assert "100 x 64" in out
        assert "SE widths 1, 2, 4" in out


class TestRecipes:
    def test_table(self):
        out = succeeded(minise("recipes"))
        for name in ("quick", "default", "accurate", "se-fastnet-slim", "se-fastnet-wide"):
            assert name in out

    def test_a_printed_recipe_is_a_config_file(self, tmp_path):
        (tmp_path / "my.toml").write_text(succeeded(minise("recipes", "quick")))
        assert read_toml(tmp_path / "my.toml") == recipe("quick")

    def test_json(self):
        rows = lines(minise("recipes", "--json"))
        assert {row["name"]: row["options"] for row in rows} == {name: recipe(name) for name in recipes()}

    def test_unknown_name(self):
        failed(minise("recipes", "slow"), 2, "'slow' is not one of", "quick")

    @pytest.mark.parametrize("name", recipes())
    def test_every_recipe_can_be_trained_with_any_activation(self, name):
        config = merged_config({"act": "felu", "dataset": "cifar100"}, None, name)
        assert config.model == recipe(name)["model"]
        assert merged_config({"act": "felu", "model": "se-fastnet"}, None, name).epochs == config.epochs

    def test_another_optimizer_does_not_get_the_recipes_learning_rate(self, tmp_path):
        (tmp_path / "own.toml").write_text('optimizer = "adamw"\nmomentum = 0.5\n')
        flag, file = (
            merged_config({"optimizer": "sgd"}, None),
            merged_config({}, tmp_path / "own.toml", "quick"),
        )
        assert (flag.lr, flag.momentum, flag.model) == (None, 0.9, recipe("default")["model"])
        assert (file.lr, file.momentum, file.model) == (None, 0.5, recipe("quick")["model"])
        assert merged_config({"optimizer": "muon"}, None, "quick") == merged_config({}, None, "quick")

    def test_which_recipe_is_taken(self, tmp_path):
        """The default, unless something else says what to train; a file and flags override a recipe."""
        own = tmp_path / "own.toml"
        own.write_text("epochs = 7\n")
        assert merged_config({}, None).to_toml() == merged_config({}, None, "default").to_toml()
        assert merged_config({"model": "se-resnet20"}, None) == TrainConfig(model="se-resnet20")
        assert merged_config({}, own) == TrainConfig(epochs=7)
        assert merged_config({"lr": 0.5}, own, "quick") == TrainConfig(
            **recipe("quick") | {"epochs": 7, "lr": 0.5}
        )


class TestDoctor:
    def test_it_names_what_is_there(self):
        out = succeeded(minise("doctor"))
        for word in ("Python", "NumPy", "CPU", "GPU", "shapes10", "cifar100", "terminal"):
            assert word in out

    def test_json(self):
        (found,) = lines(minise("doctor", "--json"))
        assert set(found) == {"software", "compute", "data sets", "terminal"}
        assert found["software"]["NumPy"]["ok"] is True

    @pytest.mark.parametrize(
        ("version", "headers", "ok", "words"),
        [
            ((13, 5), True, True, "NVRTC 13.5"),
            (None, True, None, "finds no NVRTC"),
            ((13, 5), False, None, "compiles no kernel (no CUDA headers)"),
        ],
    )
    def test_a_gpu_is_described(self, monkeypatch, version, headers, ok, words):
        def nvrtc_version():
            if version is None:
                raise RuntimeError("libnvrtc.so not found")
            return version

        def module(*, code, backend):
            if not headers:
                raise RuntimeError("no CUDA\nheaders")
            return SimpleNamespace(get_function=lambda name: None)

        runtime = SimpleNamespace(
            CUDARuntimeError=MemoryError,
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda _: {"name": b"Card", "major": 9, "minor": 0},
            memGetInfo=lambda: (3 * 2**30, 4 * 2**30),
            driverGetVersion=lambda: 13010,
        )
        cupy = ModuleType("cupy")
        cupy.__version__, cupy.ndarray = "14.2.0", type(None)
        cupy.RawModule = module
        driver = SimpleNamespace(CUDADriverError=MemoryError)
        cupy.cuda = SimpleNamespace(
            driver=driver, runtime=runtime, nvrtc=SimpleNamespace(getVersion=nvrtc_version)
        )
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        found = lines(minise("doctor", "--json"))[0]["compute"]["GPU"]
        assert found["ok"] is ok
        assert words in found["found"]
        if ok:
            card = "Card (compute capability 9.0), 3.0 of 4.0 GiB free, driver for CUDA 13.1, CuPy 14.2.0"
            assert found["found"].startswith(card)

    def test_no_writable_cache_is_told_with_what_helps(self, tmp_path):
        done = nowhere(tmp_path, "doctor", "--json")
        found = json.loads(done.stdout)["compute"]
        assert "into a temporary folder" in found["fast kernels"]["found"]
        assert "pip install" not in found["fast kernels"]["found"]
        assert found["device"]["found"].endswith("backend numba")
        assert list(tmp_path.iterdir()) == [tmp_path / "temporary"]
        assert list((tmp_path / "temporary").iterdir()) == []  # deleted in the end

    def test_a_broken_numba_is_not_to_be_installed(self, monkeypatch):
        backend = BACKENDS["numba"]
        monkeypatch.setattr(backend, "source", None)
        monkeypatch.setattr(backend, "problem", "it is broken")
        found = lines(minise("doctor", "--json"))[0]["compute"]["fast kernels"]["found"]
        assert found == "it is broken; training takes twice as long or more"

    def test_a_broken_data_folder_is_a_finding(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("x")
        monkeypatch.setenv("MINISE_DATA_DIR", str(tmp_path / "file"))
        assert "expected a folder" in succeeded(minise("doctor"))


def test_a_second_interrupt_gives_no_traceback(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module.cli, "main", interrupted)
    monkeypatch.setattr(main_module, "listen", lambda: None)
    with pytest.raises(SystemExit) as raised:
        main_module.main()
    assert raised.value.code == 130
