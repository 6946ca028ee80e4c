"""What `minise evaluate` shows: the figures, and the confusion matrix or what matters most of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from minise_cli.render.console import console
from minise_cli.render.fit import shortened
from minise_cli.render.format import count, percent
from minise_cli.render.tables import Column, figure, show
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from minise.train.metrics import Evaluation

HEAT_CLASSES = 12
"""Up to so many classes the whole confusion matrix fits a terminal."""
LISTED, BESIDE = 10, 60
"""Classes and pairs that are listed; the width from which the best stand beside the worst."""
NAME, RIGHT = 14, 9
"""In the matrix, the most characters of a true class, and the width of the share that is right."""
LAYOUTS = (("true \\ answer", 5), ("true", 5), ("true", 4))
"""Headings of the classes, and the widths of a cell that go with them: the widest that fits is taken."""
COLD, HOT, GOOD = (38, 38, 44), (214, 70, 56), (46, 150, 84)


def draw_evaluation(title: str, test: Evaluation, classes: Sequence[str]) -> None:
    """Top-1, top-5, loss; then the confusion matrix, or with many classes what matters most of it."""
    out = console()
    out.print(Text(title, "dim"))
    out.print(
        f"[b green]top-1 {percent(test.top1)}[/]   top-5 {percent(test.top5)}   loss {test.loss:.4f}"
        f"   [dim]{count(test.images)} images[/]\n"
    )
    if len(classes) > HEAT_CLASSES:
        draw_extremes(out, test, classes)
        return
    longest = min(NAME, max(map(len, classes)))
    for corner, cell in LAYOUTS:
        name = max(longest, len(corner)) + 1
        width = name + cell * len(classes) + RIGHT
        if width <= out.width:
            out.print(confusion_table(test, classes, corner, name, cell))
            out.print(Text("of the images of a class, how many per cent got which answer; · none", "dim"))
            return
    draw_classes(out, test, classes)
    out.print(Text(f"the confusion matrix needs {width} columns; --json has it, too", "dim"))


def confusion_table(
    test: Evaluation, classes: Sequence[str], corner: str = "true", name: int = NAME + 1, cell: int = 5
) -> Table:
    """A row for each true class, a column for each answer, in per cent of the row; the diagonal is green.

    corner: the heading of the classes; name, cell: the widths of a class, with a space, and of an answer.
    """
    made = Table(box=None, padding=0, header_style="dim")
    made.add_column(corner, no_wrap=True, width=name)
    for answer in classes:
        made.add_column(Text(f"{answer[: cell - 1]:>{cell - 1}} "), no_wrap=True, width=cell)
    made.add_column("right", justify="right", no_wrap=True, width=RIGHT)
    seen = test.confusion.sum(axis=1)
    for i, true in enumerate(shortened(classes, name - 1)):
        cells = [_heat(int(n), int(seen[i]), i == j, cell) for j, n in enumerate(test.confusion[i])]
        made.add_row(Text(true), *cells, Text(percent(test.per_class[i]), "bold"))
    return made


def _heat(n: int, of: int, right: bool, width: int = 5) -> Text:
    """A cell: its share in per cent (a dot where none), on a ground that glows with it."""
    share = n / of if of else 0.0
    glow = share**0.5  # so that a few per cent can be told from none
    ground = [round(c + (h - c) * glow) for c, h in zip(COLD, GOOD if right else HOT, strict=True)]
    style = Style(color=Color.from_rgb(255, 255, 255), bgcolor=Color.from_rgb(*ground))
    words = "·" if not n else "<1" if share < 0.01 else f"{100 * share:.0f}"
    return Text(f"{words:>{width - 1}} ", style)


def draw_classes(out: Console, test: Evaluation, classes: Sequence[str]) -> None:
    """A row for each class: how many of its images are right, and what the others are taken for most."""
    most = {pair.truth: pair for pair in reversed(test.confused_pairs)}

    def taken_for(i: int) -> str | None:
        if i not in most:
            return None
        return f"{classes[most[i].answer]}, {percent(most[i].times / most[i].of)}"

    columns = (
        Column("class", lambda i: classes[i], least=8),
        figure("right", lambda i: (percent(test.per_class[i]), "bold")),
        Column("most taken for", taken_for, least=12, wraps=True),
    )
    show(out, columns, range(len(classes)))


def draw_extremes(out: Console, test: Evaluation, classes: Sequence[str]) -> None:
    """The worst and the best classes, side by side where they fit, and the pairs that are confused most."""
    accuracy = test.per_class
    order = [int(i) for i in np.argsort(accuracy, kind="stable") if np.isfinite(accuracy[i])]
    rows = list(zip(order[:LISTED], order[::-1][:LISTED], strict=True))

    def extremes(name: str, color: str, at: int) -> tuple[Column, Column]:
        return (
            Column(f"{name} classes", lambda row: (classes[row[at]], color), least=12),
            figure("right", lambda row: percent(accuracy[row[at]])),
        )

    worst, best = extremes("worst", "red", 0), extremes("best", "green", 1)
    if out.width >= BESIDE:
        show(out, worst + best, rows)
    else:
        show(out, worst, rows)
        out.print()
        show(out, best, rows)
    out.print()
    columns = (
        Column("is", lambda pair: classes[pair.truth], least=8),
        Column("taken for", lambda pair: classes[pair.answer], least=9),
        figure("times", lambda pair: pair.times),
        figure("of", lambda pair: pair.of, 1),
    )
    show(out, columns, test.confused_pairs[:LISTED])
