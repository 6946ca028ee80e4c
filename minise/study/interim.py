"""The looks at a study's verdict, noted in its folder: the rule is for one.

looks.jsonl       a line for each state of the runs of which a verdict was shown
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from minise._util.files import write_atomically
from minise.errors import RunError
from minise.study.outcome import Study
from minise.study.verdict import UNCLAIMED, Verdict

LOOKS = "looks.jsonl"


@dataclass(frozen=True)
class Look:
    """When it was, how many runs were done, of how many seeds, and the verdict."""

    time: str
    seeds: int
    done: int
    verdict: str


def earlier_looks(study: Study, verdict: Verdict) -> tuple[Look, ...]:
    """Those that are noted, but for one at what is there now; none where they cannot be read."""
    try:
        noted = _noted(study.folder / LOOKS) if _shows(verdict) else ()
    except RunError:  # `note_look` says so
        noted = ()
    return noted[:-1] if noted and _same(noted[-1], verdict) else noted


def note_look(study: Study, verdict: Verdict) -> None:
    """Note that the verdict is shown, if this is new. Raises RunError, as where the folder cannot be written."""
    noted = _noted(study.folder / LOOKS)
    if not _shows(verdict) or (noted and _same(noted[-1], verdict)):
        return
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    seeds = len({o.planned.seed for o in study.outcomes if o.state == "done"})
    lines = [json.dumps(asdict(o)) for o in (*noted, Look(now, seeds, verdict.done, verdict.verdict))]
    write_atomically(study.folder / LOOKS, ("\n".join(lines) + "\n").encode())


def look_words(earlier: tuple[Look, ...]) -> str:
    """Which look it is: "look 2; before at 3 seeds (9 runs)", "" for the first."""
    if not earlier:
        return ""
    before = (f"{o.seeds} seed{'s' * (o.seeds != 1)} ({o.done} runs)" for o in earlier)
    return f"look {len(earlier) + 1}; before at {', '.join(before)}"


def _shows(verdict: Verdict) -> bool:
    """Whether there is anything to see."""
    return verdict.verdict != UNCLAIMED and verdict.done > 0


def _same(look: Look, verdict: Verdict) -> bool:
    return (look.done, look.verdict) == (verdict.done, verdict.verdict)


def _noted(path: Path) -> tuple[Look, ...]:
    if not path.exists():
        return ()
    try:
        noted = tuple(Look(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise RunError(f"study: cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise RunError(f"study: {path} has a line that is no look ({error})") from error
    for o in noted:
        if not (isinstance(o.seeds, int) and isinstance(o.done, int) and isinstance(o.verdict, str)):
            raise RunError(f"study: {path} has {o}, expected numbers of seeds and runs, and a verdict")
    return noted
