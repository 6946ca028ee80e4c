"""What is drawn with Rich and stands still: models, data sets, images, speed. `live.py` moves."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from minise_cli.render.format import count, flops, percent, widths
from minise_cli.render.tables import Column, figure, show
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.style import Style
from rich.table import Table
from rich.text import Text

from minise.data import FileCheck
from minise.models import ModelInfo
from minise.nn import Module
from minise.train.profile import StepTimes

WIDE = 160


class Output(Console):
    """A console that leaves a closed pipe to the command: Rich would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def console() -> Console:
    """Standard output, with nothing coloured that was not asked for; wide where no terminal bounds it."""
    wide = not (sys.stdout.isatty() or os.environ.get("COLUMNS"))
    return Output(highlight=False, width=WIDE if wide else None)


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    """An empty table in the one style that all commands share."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", no_wrap=name in right)
    return made


def byte_bar() -> Progress:
    """A bar for a download, on stderr."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


# ---- models ------------------------------------------------------------------------------------------------


MODELS = (
    Column("model"),
    figure("parameters", 1),
    figure("FLOPs", 2),
    Column("SE widths", 3),
)
RECIPES = (
    Column("recipe"),
    Column("model", 1),
    figure("parameters", 4),
    figure("epochs", 2),
    figure("batch", 3),
    Column("for", least=24, wraps=True),
)
LAYERS = (Column("parameter", least=16), Column("kind", 2), Column("shape", 1), figure("numbers"))


def draw_models(rows: dict[str, ModelInfo]) -> None:
    """A row for each model."""
    cells = []
    for name, info in rows.items():
        cost = flops(info.flops).removesuffix("FLOPs")
        cells.append((name, count(info.parameters), cost, widths(info.se_widths) or "-"))
    show(console(), MODELS, cells)


def draw_recipes(rows: Sequence[tuple[str, dict[str, Any], ModelInfo, str]]) -> None:
    """A row for each recipe: name, options, what its model is, and what it is for."""
    cells = []
    for name, options, info, summary in rows:
        epochs, batch = str(options["epochs"]), str(options["batch_size"])
        cells.append((name, options["model"], count(info.parameters), epochs, batch, summary))
    show(console(), RECIPES, cells)


def draw_layers(name: str, model: Module, info: ModelInfo) -> None:
    """Every parameter of a model, with its shape and size."""
    out = console()
    cells = [
        (parameter, p.kind, " x ".join(map(str, p.shape)) or "one number", count(p.size))
        for parameter, p in model.named_parameters()
    ]
    show(out, LAYERS, cells)
    se = f" · SE widths {widths(info.se_widths)}" if info.se_widths else ""
    out.print(f"\n[b]{name}[/b] · {count(info.parameters)} parameters · {flops(info.flops)}{se}")


# ---- data and doctor ---------------------------------------------------------------------------------------


DATASETS = (
    Column("data set"),
    figure("images", 1),
    figure("classes", 2),
    Column("where", least=20, wraps=True),
)
CHECKS = (Column("file", least=16), Column("MD5", 1), Column("verdict", least=12, wraps=True))


def draw_datasets(rows: Sequence[dict[str, Any]]) -> None:
    """A row for each data set, and where it is."""
    cells = []
    for row in rows:
        where = (
            Text(row["path"], "green") if row["path"] else Text(row["how"], "" if row["ready"] else "yellow")
        )
        images = f"{count(row['train'])} + {count(row['test'])}"
        cells.append((Text(row["name"], "bold"), images, str(row["classes"]), where))
    show(console(), DATASETS, cells)


def draw_checks(checks: Sequence[FileCheck]) -> None:
    """For each folder, a row for each file with the verdict on its MD5."""
    out = console()
    for folder, files in itertools.groupby(checks, key=lambda check: check.path.parent):
        out.print(Text(str(folder), "bold"))
        rows = [(check.path.name, check.found or "-", Text.from_markup(verdict(check))) for check in files]
        show(out, CHECKS, rows)


def verdict(check: FileCheck) -> str:
    """What a file's MD5 says, in colour."""
    if check.found is None:
        return "[red]missing[/]"
    if check.expected is None:
        return "[yellow]no official MD5[/]"
    return "[green]official[/]" if check.ok else f"[red]differs[/] from {check.expected}"


def draw_findings(sections: dict[str, dict[str, tuple[bool | None, str]]]) -> None:
    """Headings with findings below: a tick, a cross or neither, a name and words."""
    signs = {True: "[green]✓[/]", False: "[red]✗[/]", None: " "}
    out = console()
    for heading, findings in sections.items():
        out.print(f"[b]{heading}[/b]")
        made = Table.grid(padding=(0, 2, 0, 0))
        made.add_column(width=1)
        made.add_column(style="dim", no_wrap=True)
        made.add_column(overflow="fold")
        for name, (good, words) in findings.items():
            made.add_row(signs[good], name, escape(words))
        out.print(made)


# ---- images ------------------------------------------------------------------------------------------------


def draw_images(images: NDArray[np.uint8], captions: Sequence[str], columns: int) -> None:
    """Images (n, 3, 32, 32) in rows over their captions: two pixels a character, shrunk to fit the width."""
    out = console()
    side = min(32, max(4, (out.width + 1) // columns - 1))
    for start in range(0, len(images), columns):
        row = [shrink(image, side) for image in images[start : start + columns]]
        for line in range(0, side, 2):
            text = Text(no_wrap=True)
            for picture in row:
                _half_blocks(text, picture[:, line], picture[:, min(line + 1, side - 1)])
                text.append(" ")
            out.print(text, crop=True)
        names = "".join(f"{name[:side]:<{side + 1}}" for name in captions[start : start + columns])
        out.print(Text(names, style="dim", no_wrap=True))


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image (3, 32, 32) as (3, side, side): each pixel the mean of those it stands for."""
    edges = [round(i * image.shape[1] / side) for i in range(side)]
    sums = np.add.reduceat(np.add.reduceat(image.astype(np.float64), edges, axis=1), edges, axis=2)
    sizes = np.diff([*edges, image.shape[1]])
    small: NDArray[np.uint8] = np.round(sums / (sizes[:, None] * sizes)).astype(np.uint8)
    return small


def _half_blocks(text: Text, upper: NDArray[np.uint8], lower: NDArray[np.uint8]) -> None:
    """Append a line of characters whose upper half is one row of pixels (3, side), the lower another."""
    for over, under in zip(upper.T, lower.T, strict=True):
        text.append(
            "▀", Style(color=Color.from_rgb(*map(int, over)), bgcolor=Color.from_rgb(*map(int, under)))
        )


def draw_saved(path: Path, n: int) -> None:
    """Where a picture was written."""
    console().print(Text(f"{n} images in {path}"))


LEAST_SHARE = 0.005
"""What takes less of a step than this is drawn as one row."""


BACKENDS = (Column("backend"), figure("ms a step"), figure("images/s", 1), figure("to fastest", 2))
OPS = (
    Column("op"),
    figure("calls", 4),
    figure("ms"),
    figure("share", 1),
    figure("GFLOP/s", 2),
    figure("GB/s", 3),
)


def draw_speed(model: str, times: Sequence[StepTimes]) -> None:
    """What a step takes on each backend, and for the fastest what it consists of."""
    out = console()
    best = min(times, key=lambda t: t.median)
    if len(times) > 1:
        backends = []
        for t in times:
            ratio = f"{t.median / best.median:.2f}"
            backends.append((t.backend, f"{t.median * 1e3:.1f}", f"{t.images_per_second:.0f}", ratio))
        show(out, BACKENDS, backends)
        out.print()
    out.print(
        f"{model}, batch {best.images}, backend {best.backend}: {best.median * 1e3:.1f} ms a step,"
        f" {best.images_per_second:.0f} images/s (median of {len(best.seconds)},"
        f" {min(best.seconds) * 1e3:.1f} to {max(best.seconds) * 1e3:.1f})"
    )
    whole = sum(op.seconds for op in best.ops)
    rows = [
        (
            f"{op.op} {'backward' if op.backward else 'forward'}",
            str(op.calls),
            f"{op.seconds * 1e3:.2f}",
            percent(op.seconds / whole),
            f"{op.flops / op.seconds / 1e9:.0f}" if op.flops else "",
            f"{op.bytes / op.seconds / 1e9:.1f}",
        )
        for op in best.ops
        if op.seconds >= LEAST_SHARE * whole
    ]
    small = [op for op in best.ops if op.seconds < LEAST_SHARE * whole]
    if small:
        seconds = sum(op.seconds for op in small)
        calls = sum(op.calls for op in small)
        rows.append(
            (f"{len(small)} others", str(calls), f"{seconds * 1e3:.2f}", percent(seconds / whole), "", "")
        )
    show(out, OPS, rows)
