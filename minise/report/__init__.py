"""A report on a run or a study: one HTML file that needs nothing else, or data as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minise._util.optional import optional
from minise._util.to_json import plain
from minise.errors import ConfigError, RunError
from minise.study.outcome import is_study

FORMATS: dict[str, tuple[str, ...]] = {"html": ("jinja2", "matplotlib"), "json": ()}
"""Format -> the modules that it needs of the extra `report`. The statistics of a study need SciPy, too."""


def report(path: str | Path, format: str = "html", *, images: int = 24) -> str:
    """Return the report on the run or the study in the folder `path`, in a format of `FORMATS`.

    images: how many of a run's worst mistakes to show. Nothing is downloaded and nothing is written. Raises
    ConfigError, also where the extra `report` is missing, or RunError.
    """
    if format not in FORMATS:
        raise ConfigError(f"report: found the format {format!r}, expected one of {', '.join(FORMATS)}")
    path = Path(path)
    if not is_study(path) and not (path / "run.json").is_file():
        raise RunError(
            f"report: {path} has no run.json and no study.toml, expected the folder of a run or a study"
        )
    for module in FORMATS[format]:
        optional(module, "report", "report")
    text = _study(path, format) if is_study(path) else _run(path, format, images)
    return text.encode("utf-8", errors="replace").decode("utf-8")  # a file may hold half a surrogate pair


def _run(path: Path, format: str, images: int) -> str:
    from minise.report.facts_run import run_facts

    facts = run_facts(path, images=images)
    if format == "json":
        given = {name: value for name, value in vars(facts).items() if name != "pictures"}
        return as_json({"kind": "run", "accuracy": facts.accuracy, **given})
    from minise.report.render import run_html

    return run_html(facts)


def _study(path: Path, format: str) -> str:
    from minise.report.facts_study import study_facts

    facts = study_facts(path)
    if format == "json":
        return as_json({"kind": "study", **vars(facts)})
    from minise.report.render import study_html

    return study_html(facts)


def as_json(value: Any) -> str:
    """One object on one line, with null for every NaN and infinity."""
    return json.dumps(plain(value), allow_nan=False) + "\n"
