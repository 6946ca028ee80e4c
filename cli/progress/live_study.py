"""The display of a running study, drawn with Rich: a bar for it, one for each run at work, a line for each done."""

from __future__ import annotations

from typing import Self

from minise_cli.progress.study_lines import ended
from minise_cli.render.format import percent
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from minise.runs.job import Compiling
from minise.study import RunEnded, RunEpoch, RunStarted, StudyEvent, StudyStarted


class LiveStudyReport:
    """Shows a study's events on a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[words]}"),
            console=console or Console(highlight=False),
        )
        self.whole: TaskID | None = None
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        for task in self.tasks.values():
            self.progress.remove_task(task)
        self.progress.stop()

    def show(self, event: StudyEvent) -> None:
        if isinstance(event, StudyStarted):
            done = len(event.study.outcomes) - event.todo
            self.whole = self.progress.add_task(
                "[b]runs[/]",
                total=len(event.study.outcomes),
                completed=done,
                words=escape(str(event.study.folder)),
            )
        elif isinstance(event, Compiling):
            self.progress.console.print(f"compiling the {event.backend} kernels: once, then they are cached")
        elif isinstance(event, RunStarted):
            name = event.planned.name
            total = event.planned.config.epochs
            self.tasks[name] = self.progress.add_task(escape(name), total=total, words="")
        elif isinstance(event, RunEpoch):
            line = event.line
            val = f"  val {percent(line['val_acc'])}" if line["val_acc"] is not None else ""
            words = f"loss {line['train_loss']:.4f}{val}"
            self.progress.update(self.tasks[event.planned.name], completed=line["epoch"], words=words)
        elif isinstance(event, RunEnded):
            self.progress.remove_task(self.tasks.pop(event.outcome.planned.name))
            style = "green" if event.outcome.state == "done" else "red"
            self.progress.console.print(f"[{style}]•[/] {escape(ended(event.outcome))}")
            if self.whole is not None:
                self.progress.advance(self.whole)
