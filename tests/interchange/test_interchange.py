"""Weights to files and back, files of other programs, and what is refused: one line each, never a traceback."""

import dataclasses
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from cli_runs import failed, lines, minise, succeeded
from interchange_files import IMAGES, archive, legacy, make_run, saved, text, wrapped

from minise.data import normalise
from minise.errors import ConfigError, MiniseError
from minise.interchange.exporting import export_run
from minise.interchange.importing import import_run
from minise.interchange.match import fit
from minise.interchange.names import NAMES
from minise.interchange.read import read_weights
from minise.interchange.renormalise import NORMALISED, renormalise
from minise.interchange.torch_write import pickled, torch_bytes
from minise.interchange.weights import WeightsError
from minise.ops.conv2d import conv2d_forward
from minise.runs.run import Run

MADE = {
    "felu": {"model": "se-convnet", "tta": "flip"},
    "elu": {"model": "se-resnet20", "act": "elu", "reduction": 4},
    "prelu": {"model": "se-convnet", "act": "prelu", "alpha": "channel", "trunk_act": "felu"},
    "narrow": {"model": "se-convnet", "act": "prelu", "alpha": "channel", "reduction": 64},
    "plain": {"model": "resnet20"},
    "fast": {"model": "se-fastnet-slim"},
    "se-relu": {"model": "se-resnet20", "act": "relu"},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by the name of their row, made when they are first asked for."""
    folder, made = tmp_path_factory.mktemp("interchange"), {}

    def run(name):
        if name not in made:
            made[name] = make_run(folder / name, **MADE[name])
        return made[name]

    return run


@pytest.fixture
def write(tmp_path):
    """Writes bytes to a file."""

    def write(content, name="weights.bin"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def state_of(run, names="minise"):
    """The arrays of a run under the names of a row."""
    state = run.load_model(10).state_dict()
    theirs = NAMES[names].theirs(state)
    return {theirs[name]: a for name, a in state.items()}


OPTIONS = {"limit_test": IMAGES, "threads": 1}
ASKED = {"model": "se-convnet", "dataset": "shapes10", "act": "felu"}


def same_state(model, run):
    expected, found = run.load_model(10).state_dict(), model.state_dict()
    assert list(found) == list(expected)
    for name, a in found.items():
        np.testing.assert_array_equal(a, expected[name])


@pytest.mark.parametrize("format", ["torch", "safetensors"])
@pytest.mark.parametrize("name", MADE)
def test_there_and_back(format, name, runs, write):
    run = runs(name)
    found = fit(read_weights(write(export_run(run, format))))
    assert found.names == "minise"
    for option in ("model", "dataset", "act", "reduction", "trunk_act", "tta"):
        assert found.options.get(option) == getattr(run.config, option), option
    same_state(found.model, run)


@pytest.mark.parametrize("format", ["torch", "safetensors"])
def test_there_and_back_gives_the_same_logits(format, runs, write, tmp_path):
    run = runs("felu")
    import_run(write(export_run(run, format)), tmp_path / "back", **OPTIONS)
    back = Run.open(tmp_path / "back")
    for ours, theirs in zip(run.load_test(), back.load_test(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert back.info["result"] == run.info["result"]


@pytest.mark.parametrize(
    ("names", "name"), [("twin", "elu"), ("akamaster", "se-relu"), ("torchvision", "plain")]
)
def test_there_and_back_under_other_names(names, name, runs, write):
    found = fit(read_weights(write(export_run(runs(name), "safetensors", names=names))))
    assert found.names == names
    same_state(found.model, runs(name))


def test_equal_runs_are_equal_files(runs):
    for format in ("torch", "safetensors"):
        assert export_run(runs("felu"), format) == export_run(runs("felu"), format)


def test_the_numbers_in_an_archive_are_aligned(runs, write):
    content = export_run(runs("felu"), "torch")
    with zipfile.ZipFile(write(content)) as made:
        assert made.testzip() is None
        for info in made.infolist():
            name, extra = struct.unpack_from("<HH", content, info.header_offset + 26)
            assert (info.header_offset + 30 + name + extra) % 64 == 0


def test_names_of_the_repositories():
    run_names = {"conv.weight", "bn.running_var", "blocks.3.conv1.weight", "classifier.bias"}
    ours = {f"blocks.{i}.se.{array}" for i in range(9) for array in ("weight1", "bias2", "alpha")} | run_names
    found = NAMES["akamaster"].theirs(ours)
    assert found["conv.weight"] == "conv1.weight"
    assert found["bn.running_var"] == "bn1.running_var"
    assert found["blocks.3.conv1.weight"] == "layer2.0.conv1.weight"
    assert found["blocks.8.se.weight1"] == "layer3.2.se.fc.0.weight"
    assert found["blocks.0.se.bias2"] == "layer1.0.se.fc.2.bias"
    assert found["classifier.bias"] == "linear.bias"
    assert NAMES["torchvision"].theirs(ours)["classifier.bias"] == "fc.bias"
    assert NAMES["twin"].theirs(ours)["blocks.1.se.alpha"] == "blocks.1.se.act.alpha"
    assert not NAMES["akamaster"].fits(["groups.0.conv.weight", "classifier.weight"])


FOREIGN = {
    "an archive": saved,
    "before 1.6": legacy,
    "safetensors": lambda state: safetensors.numpy.save(dict(state)),
    "DataParallel": lambda state: saved({f"module.{name}": a for name, a in state.items()}),
    "compiled, in a module": lambda state: saved({f"net._orig_mod.{name}": a for name, a in state.items()}),
    "a checkpoint": lambda state: archive(wrapped(state), [np.float32(a).tobytes() for a in state.values()]),
    "counters": lambda state: saved(state | {"bn1.num_batches_tracked": np.float32(3)}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_others(kind, runs, write):
    """resnet20 under akamaster's names, from every kind of file."""
    run = runs("plain")
    found = fit(
        read_weights(write(FOREIGN[kind](state_of(run, "akamaster")))), model="resnet20", dataset="cifar10"
    )
    assert found.names == "akamaster"
    same_state(found.model, run)


def test_another_byte_order(write):
    a = np.arange(6, dtype=">f4").reshape(2, 3)
    content = archive(pickled({"a": np.zeros((2, 3), np.float32)}), [a.tobytes()], byteorder=b"big")
    np.testing.assert_array_equal(read_weights(write(content)).state["a"], a)


A = np.arange(6, dtype=np.float32).reshape(2, 3)
TYPES = {
    "HalfStorage": A.astype("<f2"),
    "DoubleStorage": A.astype("<f8"),
    "LongStorage": A.astype("<i8"),
    "BFloat16Storage": (A.view(np.uint32) >> 16).astype("<u2"),
}


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_of_numbers(kind, write):
    content = archive(pickled({"a": A}).replace(b"FloatStorage", kind.encode()), [TYPES[kind].tobytes()])
    np.testing.assert_array_equal(read_weights(write(content)).state["a"], A)


def test_bfloat16_of_safetensors(write):
    raw = (A.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, len(raw)]}}).encode()
    found = read_weights(write(struct.pack("<Q", len(header)) + header + raw)).state["a"]
    np.testing.assert_array_equal(found, A)


def test_a_view_of_a_storage_that_two_share(write):
    """a: the storage as (2, 3); b: its transpose, from the second number on."""
    two = pickled({"a": A, "b": A.T[:2, :2].copy()})
    strides = b"(J\x02\0\0\0J\x01\0\0\0t"
    assert two.count(strides) == 1
    two = two.replace(text("1") + text("cpu") + b"J\x04", text("0") + text("cpu") + b"J\x06")
    two = two.replace(
        b"tQJ\0\0\0\0(J\x02\0\0\0J\x02\0\0\0t" + strides,
        b"tQJ\1\0\0\0(J\x02\0\0\0J\x02\0\0\0t(J\1\0\0\0J\3\0\0\0t",
    )
    found = read_weights(write(archive(two, [A.tobytes()]))).state
    np.testing.assert_array_equal(found["b"], [[1, 4], [2, 5]])
    np.testing.assert_array_equal(found["a"], A)
    assert found["b"].flags.c_contiguous


def test_se_blocks_without_biases_have_biases_of_0(runs, write):
    """As in moskomule/senet.pytorch, but for its shortcuts."""
    run = runs("se-relu")
    state = {
        n: a for n, a in state_of(run, "torchvision").items() if "se.fc" not in n or n.endswith("weight")
    }
    found = fit(read_weights(write(saved(state))), model="se-resnet20", dataset="cifar10")
    assert (found.names, found.options["act"], found.options["reduction"]) == ("torchvision", "relu", 16)
    biases = {n: a for n, a in found.model.state_dict().items() if n.endswith(("se.bias1", "se.bias2"))}
    assert len(biases) == 18
    assert not any(a.any() for a in biases.values())


def test_one_learnable_parameter_as_pytorch_keeps_it(runs, write):
    run = runs("felu")
    state = {n: a.reshape(1) if n.endswith("alpha") else a for n, a in state_of(run).items()}
    found = fit(read_weights(write(saved(state))), **ASKED)
    assert found.options["alpha"] == "layer"
    assert found.model.state_dict()["groups.0.se.alpha"].shape == ()


def changed(run, **arrays):
    """The run's arrays with some others: None takes one away."""
    state = state_of(run) | {name.replace("__", "."): a for name, a in arrays.items()}
    return saved({name: a for name, a in state.items() if a is not None})


def test_what_does_not_fit_is_said_in_one_line(runs, write):
    run, plain = runs("felu"), state_of(runs("plain"), "torchvision")
    shortcut = plain | {"layer2.0.downsample.0.weight": np.zeros((32, 16, 1, 1))}
    ask = {"model": "resnet20", "dataset": "cifar10"}
    cases = [
        (changed(run, groups__1__se__weight2=None), ASKED, ["lacks 1: groups.1.se.weight2"]),
        (changed(run, extra=A), ASKED, ["has other 1: extra"]),
        (changed(run, groups__0__conv__weight=A), ASKED, ["groups.0.conv.weight", "(2, 3)", "(16, 3, 3, 3)"]),
        (
            changed(run, groups__0__bn__bias=np.full(16, np.nan)),
            ASKED,
            ["groups.0.bn.bias", "none in float32"],
        ),
        (changed(run, groups__0__bn__running_var=np.full(16, -1)), ASKED, ["variance -1"]),
        (saved({"a\nb": A, "c": A}), ASKED, ["'a\\nb', c", "names of minise, twin"]),
        (saved(shortcut), ask, ["layer2.0.downsample.0.weight", "option A", "another network"]),
        (
            saved(plain),
            ask | {"model": "resnet32"},
            ["not those of resnet32", "lacks 60: layer1.3.conv1.weight"],
        ),
        (saved(plain), ask | {"model": "se-resnet20"}, ["lacks", "layer1.0.se.fc.0.weight"]),
        (saved(plain), ask | {"dataset": "cifar100"}, ["cifar100 has 100 classes", "tells 10 apart"]),
        (saved(plain), {"dataset": "cifar10"}, ["model", "does not say it, expected --model"]),
        (saved(plain), ask | {"model": "resnet21"}, ["'resnet21' is unknown"]),
        (changed(run), ASKED | {"act": "relu"}, ["act: found relu", "felu, prelu"]),
        (changed(run), ASKED | {"act": None}, ["act: found none", "expected --act of felu, prelu"]),
        (changed(run), ASKED | {"trunk_act": "prelu"}, ["trunk_act: found prelu", "--trunk-act of relu"]),
        (changed(run), ASKED | {"names": "akamaster"}, ["names: akamaster are those of ResNets"]),
        (export_run(run, "torch"), {"act": "prelu"}, ["act: found 'prelu'", "is of 'felu'"]),
        (export_run(run, "torch"), {"model": "convnet"}, ["model: found 'convnet'", "is of 'se-convnet'"]),
    ]
    for content, asked, words in cases:
        weights = read_weights(write(content))
        with pytest.raises((WeightsError, ConfigError)) as caught:
            fit(weights, **asked)
        said = str(caught.value)
        assert "\n" not in said
        for word in words:
            assert word in said, said


def test_whole_numbers_are_no_weights(runs, write):
    state = state_of(runs("felu"))
    whole = {name: a.astype(np.int64) if name == "classifier.bias" else a for name, a in state.items()}
    with pytest.raises(WeightsError, match=r"classifier\.bias holds int64 numbers"):
        fit(read_weights(write(safetensors.numpy.save(whole))), **ASKED)


def test_a_note_of_something_else_is_no_note(runs, write):
    state = state_of(runs("felu"))
    hidden = json.dumps({"format": "minise-weights-1", "act": "a\nb", "tta": "x" * 99, "alpha": None})
    for note in (hidden, "[" * 10_000, '{"format": "other", "model": "se-convnet"}', "3", ""):
        weights = read_weights(write(torch_bytes(state, note)))
        assert weights.told == {}


HEAD = b"\x80\x02"
ONE = pickled({"a": A})
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x06tQ"
BUILD = b"ctorch._utils\n_rebuild_tensor_v2\n("
HOSTILE = {
    "empty": b"",
    "text": b"hello, world",
    "a zip of something else": archive(b"x").replace(b"data.pkl", b"data.txt"),
    "half a zip": saved({"a": A})[:200],
    "compressed": archive(ONE, [A.tobytes()], zipfile.ZIP_DEFLATED),
    "a bomb": archive(ONE, [bytes(10**6)], zipfile.ZIP_DEFLATED),
    "without its numbers": archive(ONE),
    "with too few numbers": archive(ONE, [A.tobytes()[:20]]),
    "with too many numbers": archive(ONE, [A.tobytes() * 2]),
    "a list": archive(HEAD + b"]."),
    "a number": archive(HEAD + b"K\x01."),
    "no tensors": archive(HEAD + b"}" + text("a") + b"K\x01s."),
    "two state_dicts": archive(HEAD + b"}(" + text("a") + ONE[2:-1] + text("b") + ONE[2:-1] + b"u.", [A.tobytes()]),
    "a tensor outside its storage": archive(ONE.replace(b"J\x02\0\0\0J\x03", b"J\x02\0\0\0J\x09"), [A.tobytes()]),
    "a tensor larger than its storage": archive(
        ONE.replace(b"J\x03\0\0\0J\x01\0\0\0t", b"J\0\0\0\0J\0\0\0\0t").replace(b"J\x02\0\0\0", b"J\xff\xff\xff\x0f"),
        [A.tobytes()],
    ),
    "a tensor with negative strides": archive(ONE.replace(b"J\x01\0\0\0t", b"J\xff\xff\xff\xfft"), [A.tobytes()]),
    "an empty tensor": archive(ONE.replace(b"J\x02\0\0\0J\x03", b"J\0\0\0\0J\x03"), [A.tobytes()]),
    "a tensor without arguments": archive(HEAD + b"}" + text("a") + BUILD + b"tRs."),
    "a tensor of a tensor": archive(HEAD + b"}" + text("a") + BUILD + b"NNNNtRs."),
    "a tensor with one stride too few": archive(
        HEAD + b"}" + text("a") + BUILD + STORAGE + b"K\0K\x06\x85)tRs.", [A.tobytes()]
    ),
    "a parameter of nothing": archive(HEAD + b"ctorch._utils\n_rebuild_parameter\n)R."),
    "a filled OrderedDict": archive(HEAD + b"ccollections\nOrderedDict\n]\x85R."),
    "OrderedDicts in one another, 50,000 deep": archive(
        HEAD + (b"ccollections\nOrderedDict\n)R" + text("a")) * 50_000 + b"N" + b"s" * 50_000 + b"."
    ),
    "a storage that is called": archive(HEAD + b"ctorch\nFloatStorage\n)R."),
    "a reference to nothing": archive(HEAD + b"NQ."),
    "a storage without a class": archive(HEAD + STORAGE.replace(b"ctorch\nFloatStorage\n", b"N") + b"."),
    "a storage of two types": archive(
        HEAD + STORAGE + STORAGE.replace(b"Float", b"Half") + b"\x86.",
    ),
    "a state for a number": archive(HEAD + b"K\x01}b."),
    "a dict with a float as a key": archive(HEAD + b"}G" + bytes(8) + b"Ns."),
    "numbers shown again and again": archive(
        HEAD
        + b"}("
        + b"".join(
            text(f"t{i}") + BUILD + STORAGE.replace(b"K\x06", b"M\x00\x20") + b"K\0M\x00\x20\x85K\x01\x85tR"
            for i in range(1000)
        )
        + b"u.",
        [bytes(4 * 8192)],
    ),
    "any pickle": pickle.dumps({"a": 1}, 2),
    "before 1.6, without its numbers": legacy({"a": A})[:-30],
    "before 1.6, with other keys": legacy({"a": A}).replace(b"X\x01\0\0\x000q\x01a", b"X\x01\0\0\x007q\x01a"),
    "half a header": struct.pack("<Q", 10**6) + b"{}",
    "an unknown type": (
        lambda header: struct.pack("<Q", len(header)) + header + b"\0"
    )(b'{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(name, write):
    path = write(HOSTILE[name])
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert len(said) < len(str(path)) + 200


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("pack", [archive, lambda raw: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + raw])
def test_nothing_in_a_file_is_run(pack, write, tmp_path):
    target = tmp_path / "pwned"
    path = write(pack(pickle.dumps({"a": Call(os.system, f"touch {target}")}, 2)))
    with pytest.raises(WeightsError, match=r"asks for '(posix|nt)\.system', which is not data; refused"):
        read_weights(path)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["an archive", "before 1.6", "safetensors"])
def test_damaged_files_give_one_line(kind, runs, write):
    """Cut off and with flipped bits, everywhere that matters: weights, or one line."""
    state = {name: a for name, a in state_of(runs("felu")).items() if a.size < 40}
    content, rng = FOREIGN[kind](state), np.random.default_rng(0)
    head = content.rindex(b"}}") if kind == "safetensors" else 3000
    places = [*rng.integers(0, head, 100), *rng.integers(0, len(content), 40)]
    damaged = [content[: len(content) * i // 40] for i in range(40)]
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for bad in damaged:
        try:
            fit(read_weights(write(bad)), **ASKED)
        except MiniseError as error:
            assert "\n" not in str(error)  # noqa: PT017


def test_the_imported_run_is_a_run(runs, write, tmp_path):
    """The commands take it as any other, and it says where it comes from."""
    file = write(export_run(runs("felu"), "torch"), "theirs.pt")
    (found,) = lines(minise("import", file, "--run", tmp_path / "run", "--limit-test", IMAGES, "--json"))
    assert (found["event"], found["names"], found["model"]) == ("import", "minise", "se-convnet")
    info = Run.open(tmp_path / "run").info
    assert info["state"] == "done"
    assert info["imported"] == {
        "file": "theirs.pt",
        "sha256": found["sha256"],
        "format": "torch",
        "names": "minise",
        "normalised": None,
    }
    result = minise("evaluate", tmp_path / "run", "--json")
    assert lines(result)[0]["top1"] == found["test_acc"]
    assert result.stderr == ""
    assert len(lines(minise("inspect", tmp_path / "run", "--images", 10, "--json"))) == 3
    assert json.loads(succeeded(minise("report", tmp_path / "run", "--format", "json")))["state"] == "done"
    succeeded(minise("compare", tmp_path / "run"))
    failed(minise("train", "--resume", tmp_path / "run"), 1, "is done")


def test_the_import_warns_of_another_normalisation(runs, write, tmp_path):
    file = write(saved(state_of(runs("plain"), "akamaster")))
    asked = ("--model", "resnet20", "--dataset", "shapes10", "--limit-test", IMAGES)
    result = minise("import", file, *asked, "--run", tmp_path / "run")
    assert "names as in akamaster" in succeeded(result)
    assert result.stderr.startswith("warning: the code behind these names normalises images in another way")
    assert result.stderr.endswith("--normalised imagenet makes up for that\n")
    heeded = minise("import", file, *asked, "--normalised", "imagenet", "--run", tmp_path / "heeded")
    succeeded(heeded)
    assert heeded.stderr == ""
    assert Run.open(tmp_path / "heeded").info["imported"]["normalised"] == "imagenet"


@pytest.mark.parametrize("name", ["plain", "felu", "fast"])
@pytest.mark.parametrize("normalised", NORMALISED)
def test_another_normalisation_moves_into_the_weights(name, normalised, runs):
    """The first convolution and batch norm make the same of inner pixels, however these were normalised."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.uint8)
    ours = (np.float32([0.49, 0.48, 0.45]), np.float32([0.25, 0.24, 0.26]))
    theirs = NORMALISED[normalised]

    def first(model, mean, std):
        state = model.state_dict()
        weight = next(a for a in state.values() if a.ndim == 4 and a.shape[1] == 3)
        mean_of_it = next(a for name, a in state.items() if name.endswith("running_mean"))
        y, _ = conv2d_forward(normalise(images, mean, std), weight)
        return y - mean_of_it[:, None, None]

    model = runs(name).load_model(10)
    expected = first(model, *theirs)
    renormalise(model, theirs, *ours)
    np.testing.assert_allclose(first(model, *ours), expected, atol=2e-5)


def test_a_failed_import_leaves_nothing(runs, write, tmp_path):
    file, folder = write(export_run(runs("felu"), "torch")), tmp_path / "runs"
    folder.mkdir()
    huge = {
        n: np.full_like(a, 1e38) if n.endswith("weight") else a for n, a in state_of(runs("felu")).items()
    }
    endless = write(saved(huge), "huge.pt")
    told = ("--model", "se-convnet", "--dataset", "shapes10", "--act", "felu", "--limit-test", IMAGES)
    failed(minise("import", endless, *told, "--run", folder / "a"), 1, "infinite or none")
    failed(minise("import", file, "--limit-test", 10**6, "--run", folder / "a"), 2, "limit_test")
    failed(minise("import", tmp_path / "no.pt", "--run", folder / "a"), 1, "cannot be read")
    failed(minise("import", file, "--run", tmp_path), 1, "not empty")
    assert not list(folder.iterdir())


def test_export_does_not_take_a_dash_for_stdout(runs):
    failed(minise("export", runs("felu").path, "--format", "torch", "-o", "-"), 2, "found - for the file")


def test_export_says_what_it_wrote(runs, tmp_path):
    run, out = runs("elu").path, tmp_path / "out.pt"
    assert f"se-resnet20 as torch in {out}" in succeeded(
        minise("export", run, "--format", "torch", "-o", out)
    )
    (found,) = lines(minise("export", run, "--format", "safetensors", "--names", "twin", "-o", out, "--json"))
    assert found["bytes"] == out.stat().st_size
    assert "blocks.0.se.fc1.weight" in safetensors.numpy.load_file(out)


def test_export_refuses_what_does_not_go_together(runs, tmp_path):
    out = ("-o", tmp_path / "out")
    for name, args, words in [
        (
            "felu",
            ("--format", "torch", "--names", "akamaster"),
            ["akamaster are those of ResNets", "se-convnet"],
        ),
        ("elu", ("--format", "torch", "--names", "torchvision"), ["torchvision has relu", "act elu"]),
        ("elu", ("--format", "onnx", "--names", "twin"), ["names", "onnx"]),
    ]:
        failed(minise("export", runs(name).path, *args, *out), 2, *words)
    failed(minise("export", tmp_path / "none", "--format", "torch", *out), 1, "not a folder")
    failed(
        minise("export", runs("elu").path, "--format", "torch", "-o", tmp_path / "no" / "out"),
        1,
        "cannot write",
    )
    inside = runs("elu").path / "run.json"
    failed(minise("export", runs("elu").path, "--format", "torch", "-o", inside), 2, "the run's own folder")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    failed(minise("export", runs("elu").path, "--format", "torch", "-o", pipe), 1, "it is there and no file")
    assert not (tmp_path / "out").exists()


def test_export_follows_a_link(runs, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert minise("export", runs("elu").path, "--format", "torch", "-o", tmp_path / "link").exit_code == 0
    assert (tmp_path / "file").is_file()
    assert (tmp_path / "link").is_symlink()


def test_export_of_an_unfinished_run_warns(tmp_path):
    run = make_run(tmp_path / "run")
    run.update(state="interrupted")
    result = minise("export", run.path, "--format", "torch", "-o", tmp_path / "out.pt")
    succeeded(result)
    assert "was interrupted; these are its weights so far" in result.stderr


def test_every_row_names_repositories():
    for row in NAMES.values():
        assert dataclasses.is_dataclass(row)
        assert row.repositories
