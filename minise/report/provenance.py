"""Where the figures of a report come from, as rows of words."""

from __future__ import annotations

from typing import Any

from minise._util.plugins import plugin_words
from minise.report.document import Terms
from minise.report.words import count, date, label

UNOFFICIAL = "The data are not the official files: the results are not comparable with others'."
OFFICIAL = {True: "the official content", False: "not the official content", None: "generated"}


def provenance(path: str, *infos: dict[str, Any]) -> Terms:
    """From run.json, of one run or several: every value that occurs; what none of them says is left out."""
    said: dict[str, dict[str, None]] = {"folder": {path: None}}
    for info in infos:
        for name, words in _rows(info).items():
            said.setdefault(name, {}).update({words: None} if words else {})
    return Terms(tuple((name, label("; ".join(words), 1000)) for name, words in said.items() if words))


def _rows(info: dict[str, Any]) -> dict[str, str | None]:
    data, hardware, source = info.get("data", {}), info.get("hardware", {}), info.get("imported")
    return {
        "command": info.get("command"),
        "imported": f"from {source['file']}, SHA-256 {source['sha256']}" if source else None,
        "started": date(info["started"]) if "started" in info else None,
        "versions": ", ".join(f"{name} {version}" for name, version in info.get("versions", {}).items()),
        "plugins": plugin_words(info.get("plugins", {})) if info.get("plugins") else None,
        "data": f"{data.get('name')}, {OFFICIAL.get(data.get('official'), '')}",
        "checksum": f"SHA-256 {data['checksum']}" if "checksum" in data else None,
        "classes": count(len(data["classes"])) if "classes" in data else None,
        "machine": _machine(hardware) if hardware else None,
    }


def _machine(hardware: dict[str, Any]) -> str:
    known = {
        key: hardware.get(key, "?") for key in ("system", "machine", "cores", "device", "backend", "threads")
    }
    return (
        "{system} on {machine}, {cores} cores; device {device}, backend {backend}, threads {threads}".format(
            **known
        )
    )
