"""`minise data`: data sets on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np
from minise_cli.errors import Failure
from minise_cli.options import METAVARS
from minise_cli.progress.lines import print_json
from minise_cli.render.console import Waiting, is_screen

from minise.data import DATASETS, FileCheck, contact_sheet, fetch, load, locate, verify, write_png
from minise.data.places import search_places
from minise.errors import ConfigError

NAME = click.argument("name", type=click.Choice(list(DATASETS)))
DATA_DIR = click.option("--data-dir", metavar=METAVARS["data_dir"], help="The folder of the files.")
MIRROR = click.option("--mirror", metavar=METAVARS["mirror"], help="Where to download from.")
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


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
        for row in rows:
            print_json(row)
        return
    from minise_cli.render.draw import draw_datasets

    draw_datasets(rows)


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
        "path": str(path) if path else None,
        "ready": path is not None or not spec.downloadable,
        "how": how,
    }


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
        for check in checks:
            print_json(as_object(check))
    elif not checks:
        click.echo(f"{name} is generated when it is used: there is nothing to verify")
    else:
        from minise_cli.render.draw import draw_checks

        draw_checks(checks)
    wrong = [check for check in checks if not check.ok]
    if wrong:
        raise Failure(f"{name}: {len(wrong)} of {len(checks)} files are missing or not the official ones")


def as_object(check: FileCheck) -> dict[str, Any]:
    """The verdict on a file, for JSON."""
    return {"path": str(check.path), "found": check.found, "expected": check.expected, "ok": check.ok}


@command.command("show")
@NAME
@click.option(
    "--split", type=click.Choice(["train", "test"]), default="train", show_default=True, help="Which images."
)
@click.option("--label", metavar="CLASS", help="Only images of this class.")
@click.option(
    "--columns", type=click.IntRange(1), default=5, show_default=True, metavar="N", help="Images in a row."
)
@click.option(
    "--rows", type=click.IntRange(1), default=3, show_default=True, metavar="N", help="Rows of images."
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Write a PNG."
)
@DATA_DIR
@MIRROR
def show_(
    name: str,
    split: str,
    label: str | None,
    columns: int,
    rows: int,
    out: Path | None,
    data_dir: str | None,
    mirror: str | None,
) -> None:
    """Show the first images of NAME, in a terminal with colours or as a PNG file."""
    if out is None and not is_screen():
        raise ConfigError("show: stdout is no terminal, expected one, or --out FILE.png")
    generated = not DATASETS[name].downloadable
    some = 1000 if generated else None  # drawing all of them takes long
    with Waiting(f"preparing {name}") as waiting:
        dataset = load(
            name, data_dir=data_dir, mirror=mirror, progress=waiting, limit_train=some, limit_test=some
        )
    chosen = dataset.train if split == "train" else dataset.test
    if label is not None:
        if label not in dataset.classes:
            raise ConfigError(f"label: found {label!r}, expected one of {', '.join(dataset.classes)}")
        chosen = chosen.select(np.flatnonzero(chosen.labels == dataset.classes.index(label)))
    chosen = chosen.take(columns * rows)
    from minise_cli.render.draw import draw_images, draw_saved

    if is_screen():
        draw_images(chosen.images, [dataset.classes[i] for i in chosen.labels], columns)
    if out is not None:
        write_png(out, contact_sheet(chosen.images, columns))
        draw_saved(out, len(chosen))
