"""Everything drawn with Rich that stands still: tables, the confusion matrix, images. `live.py` moves."""

from __future__ import annotations

import errno
import itertools
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
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
from minise.metrics import Evaluation
from minise.models import ModelInfo
from minise.nn import Module
from minise.speed import StepTimes

from .words import clock, count, flops, percent, sparkline, widths

HEAT_CLASSES = 12
"""Up to so many classes the whole confusion matrix fits a terminal."""
LISTED, WIDE = 10, 160
COLD, HOT, GOOD = (38, 38, 44), (214, 70, 56), (46, 150, 84)


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


# ---- evaluate ----------------------------------------------------------------------------------------------


def draw_evaluation(title: str, test: Evaluation, classes: Sequence[str]) -> None:
    """Top-1, top-5, loss; then the confusion matrix, or with many classes what matters most of it."""
    out = console()
    out.print(Text(title, style="dim"))
    out.print(
        f"[b green]top-1 {percent(test.top1)}[/]   top-5 {percent(test.top5)}   loss {test.loss:.4f}"
        f"   [dim]{count(test.images)} images[/]\n"
    )
    if len(classes) <= HEAT_CLASSES:
        out.print(confusion_table(test, classes))
    else:
        draw_extremes(out, test, classes)


def confusion_table(test: Evaluation, classes: Sequence[str]) -> Table:
    """A row for each true class, a column for each answer, in per cent of the row; the diagonal is green."""
    short = [name[:4] for name in classes]
    made = Table(box=None, padding=0, header_style="dim", title_style="dim")
    made.add_column("true \\ answer", no_wrap=True, max_width=14, overflow="ellipsis")
    for name in short:
        made.add_column(f"{name:>5}", no_wrap=True, min_width=5)
    made.add_column("     right", justify="right", no_wrap=True)
    seen = test.confusion.sum(axis=1)
    for i, name in enumerate(classes):
        cells = [_heat(int(n), int(seen[i]), i == j) for j, n in enumerate(test.confusion[i])]
        made.add_row(Text(name), *cells, Text(percent(test.per_class[i]), "bold"))
    return made


def _heat(n: int, of: int, right: bool) -> Text:
    """A cell: its share in per cent (empty where none), on a ground that glows with it."""
    share = n / of if of else 0.0
    glow = share**0.5  # so that a few per cent can be told from none
    ground = [round(c + (h - c) * glow) for c, h in zip(COLD, GOOD if right else HOT, strict=True)]
    style = Style(color=Color.from_rgb(255, 255, 255), bgcolor=Color.from_rgb(*ground))
    return Text(f"{100 * share:4.0f} " if n else "   · ", style)


def draw_extremes(out: Console, test: Evaluation, classes: Sequence[str]) -> None:
    """The worst and the best classes side by side, and the pairs that are confused most."""
    accuracy = test.per_class
    order = [int(i) for i in np.argsort(accuracy, kind="stable") if np.isfinite(accuracy[i])]
    made = table("worst classes", "right ", "best classes", "right", right=("right ", "right"))
    for low, high in list(zip(order, reversed(order), strict=True))[:LISTED]:
        made.add_row(
            Text(classes[low], "red"),
            percent(accuracy[low]),
            Text(classes[high], "green"),
            percent(accuracy[high]),
        )
    out.print(made)
    out.print()
    pairs = table("is", "taken for", "times", "of", right=("times", "of"))
    for n, i, j in confused_pairs(test)[:LISTED]:
        pairs.add_row(classes[i], classes[j], str(n), str(int(test.confusion[i].sum())))
    out.print(pairs)


def confused_pairs(test: Evaluation) -> list[tuple[int, int, int]]:
    """(times, true class, answer) of every mistake that was made, the most frequent first."""
    wrong = test.confusion - np.diag(np.diag(test.confusion))
    pairs = [(int(wrong[i, j]), int(i), int(j)) for i, j in zip(*np.nonzero(wrong), strict=True)]
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))


# ---- models ------------------------------------------------------------------------------------------------


def draw_models(rows: dict[str, ModelInfo]) -> None:
    """A row for each model."""
    made = table("model", "parameters", "FLOPs", "SE widths", right=("parameters", "FLOPs"))
    for name, info in rows.items():
        cost = flops(info.flops).removesuffix("FLOPs")
        made.add_row(name, count(info.parameters), cost, widths(info.se_widths) or "-")
    console().print(made)


def draw_recipes(rows: Sequence[tuple[str, dict[str, Any], ModelInfo, str]]) -> None:
    """A row for each recipe: name, options, what its model is, and what it is for."""
    made = table(
        "recipe", "model", "parameters", "epochs", "batch", "for", right=("parameters", "epochs", "batch")
    )
    for name, options, info, summary in rows:
        epochs, batch = str(options["epochs"]), str(options["batch_size"])
        made.add_row(name, options["model"], count(info.parameters), epochs, batch, summary)
    console().print(made)


def draw_layers(name: str, model: Module, info: ModelInfo) -> None:
    """Every parameter of a model, with its shape and size."""
    out = console()
    made = table("parameter", "kind", "shape", "numbers", right=("numbers",))
    for parameter, p in model.named_parameters():
        made.add_row(parameter, p.kind, " x ".join(map(str, p.shape)) or "one number", count(p.size))
    out.print(made)
    se = f" · SE widths {widths(info.se_widths)}" if info.se_widths else ""
    out.print(f"\n[b]{name}[/b] · {count(info.parameters)} parameters · {flops(info.flops)}{se}")


def draw_comparison(runs: Sequence[dict[str, Any]], options: Sequence[str]) -> None:
    """A row for each run; the options in which they differ come first."""
    columns = ("epochs", "train", "val", "best val", "test", "to first", "test loss", "time")
    made = table("run", *options, *columns, "training loss", right=columns)
    first = runs[0]["test_acc"]
    for run in runs:
        test = run["test_acc"]
        state = "" if run["state"] == "done" else f" {run['state']}"
        gain = f"{100 * (test - first):+.2f}" if test is not None and first is not None else "-"
        made.add_row(
            Text(run["run"]),
            *(Text("-" if run["config"][name] is None else str(run["config"][name])) for name in options),
            f"{run['epochs']}{state}",
            *(percent(math.nan if run[key] is None else run[key]) for key in ("train_acc", "val_acc")),
            percent(run["best_val_acc"]) if run["best_val_acc"] is not None else "-",
            Text(percent(math.nan if test is None else test), "bold"),
            gain,
            "-" if run["test_loss"] is None else f"{run['test_loss']:.4f}",
            clock(run["seconds"]),
            sparkline(run["losses"], 16),
        )
    console().print(made)


# ---- data and doctor ---------------------------------------------------------------------------------------


def draw_datasets(rows: Sequence[dict[str, Any]]) -> None:
    """A row for each data set, and where it is."""
    made = table("data set", "images", "classes", "where", right=("images", "classes"))
    for row in rows:
        where = (
            Text(row["path"], "green") if row["path"] else Text(row["how"], "" if row["ready"] else "yellow")
        )
        images = f"{count(row['train'])} + {count(row['test'])}"
        made.add_row(Text(row["name"], "bold"), images, str(row["classes"]), where)
    console().print(made)


def draw_checks(checks: Sequence[FileCheck]) -> None:
    """For each folder, a row for each file with the verdict on its MD5."""
    out = console()
    for folder, files in itertools.groupby(checks, key=lambda check: check.path.parent):
        out.print(Text(str(folder), "bold"))
        made = table("file", "MD5", "")
        for check in files:
            made.add_row(Text(check.path.name), check.found or "-", verdict(check))
        out.print(made)


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


def draw_speed(model: str, times: Sequence[StepTimes]) -> None:
    """What a step takes on each backend, and for the fastest what it consists of."""
    out = console()
    best = min(times, key=lambda t: t.median)
    if len(times) > 1:
        rows = table(
            "backend", "ms a step", "images/s", "to fastest", right=("ms a step", "images/s", "to fastest")
        )
        for t in times:
            ratio = f"{t.median / best.median:.2f}"
            rows.add_row(t.backend, f"{t.median * 1e3:.1f}", f"{t.images_per_second:.0f}", ratio)
        out.print(rows)
        out.print()
    out.print(
        f"{model}, batch {best.images}, backend {best.backend}: {best.median * 1e3:.1f} ms a step,"
        f" {best.images_per_second:.0f} images/s (median of {len(best.seconds)},"
        f" {min(best.seconds) * 1e3:.1f} to {max(best.seconds) * 1e3:.1f})"
    )
    columns = ("calls", "ms", "share", "GFLOP/s", "GB/s")
    rows = table("op", *columns, right=columns)
    whole = sum(op.seconds for op in best.ops)
    for op in (op for op in best.ops if op.seconds >= LEAST_SHARE * whole):
        rows.add_row(
            f"{op.op} {'backward' if op.backward else 'forward'}",
            str(op.calls),
            f"{op.seconds * 1e3:.2f}",
            percent(op.seconds / whole),
            f"{op.flops / op.seconds / 1e9:.0f}" if op.flops else "",
            f"{op.bytes / op.seconds / 1e9:.1f}",
        )
    small = [op for op in best.ops if op.seconds < LEAST_SHARE * whole]
    if small:
        seconds = sum(op.seconds for op in small)
        calls = sum(op.calls for op in small)
        rows.add_row(
            f"{len(small)} others", str(calls), f"{seconds * 1e3:.2f}", percent(seconds / whole), "", ""
        )
    out.print(rows)
