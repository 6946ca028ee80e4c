"""`minise data`: data sets on this machine."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import click
import numpy as np
from minise_cli.arguments import FILE, json_option, number
from minise_cli.errors import CommandError
from minise_cli.options import METAVARS
from minise_cli.render.console import Waiting, console, is_screen, print_json
from minise_cli.render.format import count
from minise_cli.render.images import draw_images
from minise_cli.render.tables import Column, figure, show

from minise.data import DATASETS, FileCheck, contact_sheet, fetch, load, locate, verify, write_png
from minise.data.places import search_places
from minise.errors import ConfigError

NAME = click.argument("name", type=click.Choice(list(DATASETS)))
DATA_DIR = click.option("--data-dir", metavar=METAVARS["data_dir"], help="The folder of the files.")
MIRROR = click.option("--mirror", metavar=METAVARS["mirror"], help="Where to download from.")
JSON = json_option("One JSON object a line.")


DATASETS_SHOWN = (
    Column("data set", lambda row: (row["name"], "bold")),
    figure("images", lambda row: f"{count(row['train'])} + {count(row['test'])}", 1),
    figure("classes", lambda row: row["classes"], 2),
    Column("where", lambda row: place(row), least=20, wraps=True),
)
CHECKS_SHOWN = (
    Column("file", lambda check: check.path.name, least=16),
    Column("MD5", lambda check: check.found, 1),
    Column("verdict", lambda check: verdict(check), least=12, wraps=True),
)


@click.group("data")
def command() -> None:
    """List, fetch, verify and look at data sets."""


@command.command("list")
@DATA_DIR
@JSON
def list_(data_dir: str | None, as_json: bool) -> None:
    """List the data sets, and where each is or how to get it."""
    rows = [describe(name, data_dir) for name in DATASETS]
    if as_json:
        print_json(*rows)
    else:
        show(console(), DATASETS_SHOWN, rows)


def describe(name: str, data_dir: str | None = None) -> dict[str, Any]:
    """What is known about a data set without reading it. ready: whether it can be used without a download."""
    spec, path = DATASETS[name], locate(name, data_dir)
    how = "" if path else f"minise data fetch {name}" if spec.downloadable else "generated when it is used"
    return {
        "name": name,
        "title": spec.title,
        "train": spec.train,
        "test": spec.test,
        "classes": len(spec.classes),
        "path": path and str(path),
        "ready": path is not None or not spec.downloadable,
        "how": how,
    }


def place(row: dict[str, Any]) -> tuple[str, str]:
    """Where a data set is, or how to get it."""
    return (row["path"], "green") if row["path"] else (row["how"], "" if row["ready"] else "yellow")


@command.command("fetch")
@NAME
@DATA_DIR
@MIRROR
def fetch_(name: str, data_dir: str | None, mirror: str | None) -> None:
    """Download NAME, check its MD5 and unpack it; nothing is done twice."""
    if not DATASETS[name].downloadable:
        click.echo(f"{name} is generated when it is used: there is nothing to fetch")
        return
    with Waiting(f"fetching {name}") as waiting:
        folder = fetch(name, search_places(data_dir)[0], mirror=mirror, progress=waiting)
    click.echo(f"{name} is in {folder}")


@command.command("verify")
@NAME
@DATA_DIR
@JSON
def verify_(name: str, data_dir: str | None, as_json: bool) -> None:
    """Compare the MD5 of every file of NAME with the official one; exit code 1 where one is not that."""
    checks = verify(name, data_dir)
    if as_json:
        print_json(*(check._asdict() for check in checks))
    elif not checks:
        click.echo(f"{name} is generated when it is used: there is nothing to verify")
    else:
        out = console()
        for folder, files in itertools.groupby(checks, key=lambda check: check.path.parent):
            out.print(str(folder), style="bold", markup=False)
            show(out, CHECKS_SHOWN, list(files))
    if wrong := sum(not check.ok for check in checks):
        raise CommandError(f"{name}: {wrong} of {len(checks)} files are missing or not the official ones")


def verdict(check: FileCheck) -> tuple[str, str]:
    """What a file's MD5 says, and its color."""
    if check.found is None:
        return "missing", "red"
    if check.expected is None:
        return "no official MD5", "yellow"
    return ("official", "green") if check.ok else (f"differs from {check.expected}", "red")


@command.command("show")
@NAME
@click.option("--split", type=click.Choice(["train", "test"]), default="train", help="Which images.")
@click.option("--label", metavar="CLASS", help="Only images of this class.")
@number("--columns", default=5, words="Images in a row.")
@number("--rows", default=3, words="Rows of images.")
@click.option("--out", type=FILE, metavar="FILE.png", help="Write a PNG.")
@DATA_DIR
@MIRROR
def show_(
    name: str, split: str, label: str | None, columns: int, rows: int, out: Path | None, **where: Any
) -> None:
    """Show the first images of NAME, in a terminal with colors or as a PNG file."""
    if out is None and not is_screen():
        raise ConfigError("show: stdout is no terminal, expected one, or --out FILE.png")
    some = None if DATASETS[name].downloadable else 1000  # drawing all of them takes long
    with Waiting(f"preparing {name}") as waiting:
        dataset = load(name, at_most=some, progress=waiting, **where)
    chosen = dataset.train if split == "train" else dataset.test
    if label is not None:
        if label not in dataset.classes:
            raise ConfigError(f"label: found {label!r}, expected one of {', '.join(dataset.classes)}")
        chosen = chosen.select(np.flatnonzero(chosen.labels == dataset.classes.index(label)))
    chosen = chosen.take(columns * rows)
    if is_screen():
        draw_images(chosen.images, [dataset.classes[i] for i in chosen.labels], columns)
    if out is not None:
        write_png(out, contact_sheet(chosen.images, columns))
        click.echo(f"{len(chosen)} images in {out}")
