"""What the official CIFAR files are called, what they hold, and how to tell that they are the real ones.

The facts are in `cifar.toml` beside this file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Form:
    """One form in which the files come: a folder, and an archive that holds just that folder.

    kind: which reader in `cifar.READERS` knows it; train, test: the files whose images, one after the other,
    are the split; names: files that may hold class names (they may also be missing); md5: of the official
    files, where known.
    """

    kind: str
    folder: str
    archive: str
    archive_md5: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    names: tuple[str, ...]
    md5: Mapping[str, str]

    @property
    def required(self) -> tuple[str, ...]:
        return self.train + self.test


@dataclass(frozen=True)
class CifarSet:
    """One data set: the forms it comes in (in the order in which they are looked for) and its labels.

    label_key, names_key: where labels stand in a python batch, and class names in the python meta file;
    label_bytes, label_column: how many label bytes open a binary record, and which of them is meant;
    names_file: class names of the binary form; classes: the names, in label order, where the files bring none;
    mean, std: of the official training images; checksum: `split.checksum` of the official content.
    """

    title: str
    forms: tuple[Form, ...]
    label_key: str
    names_key: str
    label_bytes: int
    label_column: int
    names_file: str
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    checksum: str


def _form(facts: Mapping[str, Any]) -> Form:
    """A table of `forms`: train, test and names are tables of their own, file -> MD5."""
    parts = {part: tuple(facts[part]) for part in ("train", "test", "names")}
    md5 = {file: md5 for part in parts for file, md5 in facts[part].items() if md5}
    return Form(**{**facts, **parts, "md5": md5})


def _sets() -> dict[str, CifarSet]:
    facts = tomllib.loads((files(__package__) / "cifar.toml").read_text(encoding="utf-8"))
    forms = {name: _form(form) for name, form in facts["forms"].items()}
    sets = {}
    for name, given in facts["sets"].items():
        lists = {key: tuple(given[key]) for key in ("mean", "std")}
        own = tuple(forms[form] for form in given["forms"])
        sets[name] = CifarSet(**{**given, **lists, "forms": own, "classes": tuple(given["classes"].split())})
    return sets


CIFAR = _sets()
