"""The display of a running study, drawn with Rich: a bar for it, one for each run at work, a line for each done."""

from __future__ import annotations

from typing import Self

from minise_cli.progress.display import Display
from minise_cli.progress.lines import compiling, outcome_words
from minise_cli.render.console import console
from minise_cli.render.format import percent
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from minise.runs.job import Compiling
from minise.study import RunEnded, RunEpoch, RunStarted, StudyEvent, StudyStarted

STUDY = "[b]runs[/]"
"""The bar of the study among those of its runs."""


class LiveStudy(Display):
    """Shows a study's events on a terminal."""

    def __init__(self, out: Console | None = None) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
            console=out or console(),
        )
        self.bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.bars.pop(STUDY, None)  # which stays in sight
        for bar in self.bars.values():
            self.progress.remove_task(bar)
        self.progress.stop()

    def show(self, event: StudyEvent) -> None:
        progress, say = self.progress, self.progress.console.print
        match event:
            case StudyStarted(study, todo):
                total = len(study.outcomes)
                self.bars[STUDY] = progress.add_task(
                    STUDY, total=total, completed=total - todo, words=escape(str(study.folder))
                )
            case Compiling():
                say(compiling(event))
            case RunStarted(planned):
                bar = progress.add_task(escape(planned.name), total=planned.config.epochs, words="")
                self.bars[planned.name] = bar
            case RunEpoch(planned, line):
                val = f"  val {percent(line['val_acc'])}" if line["val_acc"] is not None else ""
                words = f"loss {line['train_loss']:.4f}{val}"
                progress.update(self.bars[planned.name], completed=line["epoch"], words=words)
            case RunEnded(outcome):
                progress.remove_task(self.bars.pop(outcome.planned.name))
                style = "green" if outcome.state == "done" else "red"
                say(f"[{style}]•[/] {escape(outcome_words(outcome))}")
                progress.advance(self.bars[STUDY])
