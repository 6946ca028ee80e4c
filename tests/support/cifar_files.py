"""Small data sets in the official formats, for the tests of their readers."""

import gzip
import hashlib
import io
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from minise.data.official import CIFAR, CifarSet, Form

PYTHON_10, BINARY_10 = CIFAR["cifar10"].forms
PYTHON_100, BINARY_100 = CIFAR["cifar100"].forms
PER_FILE = 3  # images in each file


def py2_pickle(value: object) -> bytes:
    """`value` as Python 2 and an old NumPy wrote it with protocol 2: the official files' very form."""
    return b"\x80\x02" + _py2(value) + b"."


def _py2(value: object) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int() if 0 <= value < 256:
            return b"K" + struct.pack("<B", value)
        case int():
            return b"J" + struct.pack("<i", value)
        case bytes() if len(value) < 256:
            return b"U" + struct.pack("<B", len(value)) + value + b"q\x07"
        case bytes():
            return b"T" + struct.pack("<i", len(value)) + value + b"r\x07\x01\x00\x00"
        case list():
            return b"]q\x02(" + b"".join(map(_py2, value)) + b"e"
        case dict():
            return b"}q\x01(" + b"".join(_py2(k) + _py2(v) for k, v in value.items()) + b"u"
        case np.ndarray():
            dtype = b"cnumpy\ndtype\n" + _py2(b"u1") + b"K\x00K\x01\x87R(K\x03" + _py2(b"|")
            dtype += b"NNN" + _py2(-1) * 2 + b"K\x00tb"
            shape = _py2(value.shape[0]) + _py2(value.shape[1]) + b"\x86"
            new = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + _py2(b"b") + b"\x87R"
            return new + b"(K\x01" + shape + dtype + b"\x89" + _py2(value.tobytes()) + b"tb"
    raise TypeError(type(value))


def batch(form: Form, file: str, n: int = PER_FILE) -> dict:
    """The content of one file: n images with labels that fit, different for each file."""
    rng = np.random.default_rng([*file.encode()])
    labels = (
        {b"labels": rng.integers(0, 10, n).tolist()}
        if "10-" in form.folder
        else {
            b"fine_labels": rng.integers(0, 100, n).tolist(),
            b"coarse_labels": rng.integers(0, 20, n).tolist(),
        }
    )
    names = [b"a_s_%06d.png" % i for i in range(n)]
    data = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
    return {b"batch_label": b"a batch", **labels, b"data": data, b"filenames": names}


def record_bytes(content: dict) -> bytes:
    """A batch in the binary form."""
    keys = [key for key in (b"labels", b"coarse_labels", b"fine_labels") if key in content]
    columns = [np.array(content[key], np.uint8)[:, None] for key in keys]
    return np.concatenate([*columns, content[b"data"]], axis=1).tobytes()


def meta(form: Form) -> dict[str, bytes]:
    """The files with class names. The names are not the built-in ones, to show that they are read."""
    fine, coarse = [b"f%d" % i for i in range(100)], [b"c%d" % i for i in range(20)]
    ten = [b"n%d" % i for i in range(10)]
    return {
        PYTHON_10.folder: {"batches.meta": py2_pickle({b"label_names": ten, b"num_vis": 3072})},
        PYTHON_100.folder: {"meta": py2_pickle({b"fine_label_names": fine, b"coarse_label_names": coarse})},
        BINARY_10.folder: {"batches.meta.txt": b"\n".join(ten) + b"\n\n"},
        BINARY_100.folder: {
            "fine_label_names.txt": b"\n".join(fine) + b"\n",
            "coarse_label_names.txt": b"\n".join(coarse) + b"\n",
        },
    }[form.folder]


def files(form: Form) -> dict[str, bytes]:
    """Every file of the form. A python file and its binary brother have the same content."""
    write = {"python": py2_pickle, "binary": record_bytes}[form.kind]
    return {name: write(batch(form, name.removesuffix(".bin"))) for name in form.required} | meta(form)


def write_folder(form: Form, place: Path, content: dict[str, bytes] | None = None) -> Path:
    folder = place / form.folder
    folder.mkdir(parents=True)
    for name, data in (files(form) if content is None else content).items():
        (folder / name).write_bytes(data)
    return folder


def archive_bytes(form: Form, content: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        folder = tarfile.TarInfo(form.folder)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in (files(form) if content is None else content).items():
            member = tarfile.TarInfo(f"{form.folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write_archive(form: Form, place: Path, content: dict[str, bytes] | None = None) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / form.archive
    path.write_bytes(archive_bytes(form, content))
    return path


def small_set(name: str) -> CifarSet:
    """The facts of the small data set: as the official ones, with the MD5s of what is written here."""
    facts = CIFAR[name]
    forms = [
        replace(
            form,
            archive_md5=hashlib.md5(archive_bytes(form)).hexdigest(),
            md5={file: hashlib.md5(data).hexdigest() for file, data in files(form).items()},
        )
        for form in facts.forms
    ]
    return replace(facts, forms=tuple(forms))
