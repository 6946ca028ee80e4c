"""The events of a study as lines: JSON for programs, words where nobody looks at a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, Self

from minise_cli.progress.lines import LineReport, compile_object, compiling
from minise_cli.render.format import clock, percent

from minise.runs.job import Compiling
from minise.study import Look, Outcome, RunEnded, RunEpoch, RunStarted, StudyEvent, StudyStarted, Verdict


class StudyReport(Protocol):
    """What a study is shown with."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def show(self, event: StudyEvent) -> None: ...


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """A run's outcome, for JSON."""
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    values |= {"planned": outcome.planned.name, "path": str(outcome.path), "dead_share": outcome.dead_share}
    return values | {"microscope": list(outcome.microscope)}


def verdict_object(verdict: Verdict, looks: Sequence[Look]) -> dict[str, Any]:
    """The verdict, what it rests on, and the looks at it before, for JSON."""
    return {
        "event": "verdict",
        **dataclasses.asdict(verdict),
        "looks": [dataclasses.asdict(o) for o in looks],
    }


class JsonStudyReport(LineReport):
    """One JSON object a line."""

    def __init__(self) -> None:
        rows = {
            StudyStarted: lambda e: {
                "event": "study",
                "folder": str(e.study.folder),
                "runs": len(e.study.outcomes),
                "todo": e.todo,
            },
            Compiling: compile_object,
            RunStarted: lambda e: {"event": "run", "run": e.planned.name, "resumed": e.resumed},
            RunEpoch: lambda e: {"event": "epoch", "run": e.planned.name, **e.line},
            RunEnded: lambda e: {"event": "outcome", **outcome_object(e.outcome)},
        }
        super().__init__(rows)


class TextStudyReport(LineReport):
    """A line for the start and for every run that ends; no control characters."""

    def __init__(self) -> None:
        self.todo = self.ended = 0
        super().__init__({StudyStarted: self.start, Compiling: compiling, RunEnded: self.end})

    def start(self, event: StudyStarted) -> str:
        self.todo = event.todo
        return f"study {event.study.folder}: {event.todo} of {len(event.study.outcomes)} runs to do"

    def end(self, event: RunEnded) -> str:
        self.ended += 1
        return f"{self.ended:{len(str(self.todo))}}/{self.todo}  {ended(event.outcome)}"


def ended(outcome: Outcome) -> str:
    """How a run ended, in words."""
    if outcome.test_acc is not None:
        return f"{outcome.planned.name}  test {percent(outcome.test_acc)}  {clock(outcome.seconds)}"
    reason = f": {outcome.reason}" if outcome.reason else ""
    return f"{outcome.planned.name}  {outcome.state} after {outcome.epochs} epochs{reason}"
