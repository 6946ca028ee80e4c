"""What the tests of interchange share: finished runs without a training, and files as other programs write them."""

import io
import pickle
import struct
import zipfile

import numpy as np

from minise.data import load
from minise.interchange.torch_read import MAGIC
from minise.interchange.torch_write import pickled
from minise.models import build
from minise.nn import BatchNorm
from minise.runs.job import evaluation_batches, result_of
from minise.runs.provenance import provenance
from minise.runs.run import Run
from minise.tape import Tensor
from minise.train import predict
from minise.train.config import TrainConfig
from minise.train.metrics import score

IMAGES = 20


def lively(model, rng):
    """The model with weights as a training leaves them: none at its start value, statistics of some images."""
    for _, p in model.named_parameters():
        p.data = (p.data + 0.1 * rng.standard_normal(p.shape)).astype(np.float32)
    norms = [m for _, m in model.named_modules() if isinstance(m, BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(Tensor(rng.standard_normal((16, 3, 32, 32)).astype(np.float32)))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def make_run(path, model="se-convnet", **options):
    """A finished run on the first test images of shapes10."""
    config = TrainConfig(dataset="shapes10", model=model, limit_test=IMAGES, **options).resolved(1000)
    dataset = load("shapes10", limit_train=1, limit_test=IMAGES)
    built = lively(build(model, classes=10, **config.model_options()), np.random.default_rng(1))
    logits, labels = predict(built, evaluation_batches(dataset, dataset.test).epoch(0), tta=config.tta)
    run = Run.create(path, config, provenance(dataset, "cpu", "numpy", 1))
    run.save_model(built, epoch=1)
    run.save_test(logits, labels)
    run.finish(result=result_of(score(logits, labels)))
    return run


def archive(pickle_bytes, storages=(), compression=zipfile.ZIP_STORED, **members):
    """A zip archive as of torch.save: the pickle, and the bytes of the storages 0, 1, …"""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr("a/data.pkl", pickle_bytes)
        for i, raw in enumerate(storages):
            made.writestr(f"a/data/{i}", raw)
        for name, raw in members.items():
            made.writestr(f"a/{name}", raw)
    return file.getvalue()


def saved(state, **members):
    """The archive of a state_dict, without a note."""
    arrays = {name: np.array(a, np.float32, order="C") for name, a in state.items()}
    return archive(pickled(arrays), [a.tobytes() for a in arrays.values()], **members)


def legacy(state, system=None):
    """A state_dict as PyTorch wrote it before 1.6."""
    arrays = {name: np.array(a, np.float32, order="C") for name, a in state.items()}
    system = system or {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    head = [pickle.dumps(part, 2) for part in (MAGIC, 1001, system)]
    keys = [str(i) for i in range(len(arrays))][::-1]
    values = list(arrays.values())
    numbers = [struct.pack("<q", values[int(key)].size) + values[int(key)].tobytes() for key in keys]
    return b"".join([*head, pickled(arrays), pickle.dumps(keys, 2), *numbers])


def text(word):
    """A text in a pickle."""
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def wrapped(state, name="state_dict"):
    """The pickle of {"epoch": 3, "acc": 0.5, "optimizer": {0: None}, name: state_dict}."""
    arrays = {key: np.array(a, np.float32, order="C") for key, a in state.items()}
    inside = pickled(arrays)[2:-1] + b"}" + text("_metadata") + b"}sb"
    acc = b"G" + struct.pack(">d", 0.5)
    items = (
        text("epoch") + b"K\x03" + text("acc") + acc + text("optimizer") + b"}K\x00Ns" + text(name) + inside
    )
    return b"\x80\x02}(" + items + b"u."
