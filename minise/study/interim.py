"""The looks at a study's verdict, noted in its folder: the rule is for one.

looks.jsonl       a line for each state of the runs of which a verdict was shown
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass

from minise._util.decode import Whole, json_lines
from minise._util.files import write_atomically
from minise.errors import RunError
from minise.study.outcome import Study
from minise.study.verdict import UNCLAIMED, Verdict

LOOKS = "looks.jsonl"


@dataclass(frozen=True)
class Look:
    """When it was, how many runs were done, of how many seeds, and the verdict."""

    time: str
    seeds: Whole
    done: Whole
    verdict: str


def earlier_looks(study: Study, verdict: Verdict) -> tuple[Look, ...]:
    """Those that are noted, but for one at what is there now; none where they cannot be read."""
    try:
        noted = _noted(study) if _shows(verdict) else ()
    except RunError:  # `note_look` says so
        return ()
    return noted[:-1] if _is_last(noted, verdict) else noted


def note_look(study: Study, verdict: Verdict) -> None:
    """Note that the verdict is shown, if this is new. Raises RunError, as where the folder cannot be written."""
    noted = _noted(study)
    if not _shows(verdict) or _is_last(noted, verdict):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    seeds = len({o.planned.seed for o in study.outcomes if o.state == "done"})
    looks = (*noted, Look(now, seeds, verdict.done, verdict.verdict))
    lines = "".join(json.dumps(asdict(look)) + "\n" for look in looks)
    write_atomically(study.folder / LOOKS, lines.encode())


def look_words(earlier: tuple[Look, ...]) -> str:
    """Which look it is: "look 2; before at 3 seeds (9 runs)", "" for the first."""
    if not earlier:
        return ""
    before = (f"{o.seeds} seed{'s' * (o.seeds != 1)} ({o.done} runs)" for o in earlier)
    return f"look {len(earlier) + 1}; before at {', '.join(before)}"


def _shows(verdict: Verdict) -> bool:
    """Whether there is anything to see."""
    return verdict.verdict != UNCLAIMED and verdict.done > 0


def _is_last(noted: tuple[Look, ...], verdict: Verdict) -> bool:
    """Whether the last look showed this verdict, on as many runs."""
    return bool(noted) and (noted[-1].done, noted[-1].verdict) == (verdict.done, verdict.verdict)


def _noted(study: Study) -> tuple[Look, ...]:
    return tuple(json_lines(study.folder / LOOKS, Look, "study"))
