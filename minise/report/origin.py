"""Where the results of a report come from, as rows of words."""

from __future__ import annotations

from typing import Any

from minise._util.plugins import plugin_words
from minise.report.filters import count, date, label

OFFICIAL = {True: "the official content", False: "not the official content", None: "generated"}
MACHINE = "{system} on {machine}, {cores} cores; device {device}, backend {backend}, threads {threads}"


def origin(path: str, *infos: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, words) from run.json of one run or several: every value that occurs, and no row without any."""
    said: dict[str, dict[str, None]] = {"folder": {path: None}}
    parts = [info | part for info in infos for part in ({}, *_resumed(info))]
    for part in parts:
        for name, words in _rows(part).items():
            said.setdefault(name, {}).update({str(words): None} if words else {})
    return [(name, label("; ".join(words), 1000)) for name, words in said.items() if words]


def _resumed(info: dict[str, Any]) -> list[dict[str, Any]]:
    """The versions and the hardware that went on with a run; once, the versions alone were recorded."""
    return [part if "hardware" in part else {"versions": part} for part in info.get("resumed_with", [])]


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
        "machine": MACHINE.format_map(_Known(hardware)) if hardware else None,
    }


class _Known(dict[str, Any]):
    """What run.json does not say is a question mark."""

    def __missing__(self, key: str) -> str:
        return "?"
