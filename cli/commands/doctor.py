"""`minise doctor`: what this machine has, what is missing, and what minise makes of it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.util import find_spec

import click
import numpy as np
from minise_cli.arguments import json_option
from minise_cli.commands.data import describe
from minise_cli.render.console import console, is_screen, print_json

import minise
from minise.backend import BACKENDS, cupy_module, resolve_device, usable_backend
from minise.data import DATASETS
from minise.data.places import search_places
from minise.errors import MiniseError
from minise.kernels.threads import available_threads, blas

Finding = tuple[bool | None, str]
"""Whether it is good (None: neither), and words."""

EXTRAS = {
    "report": ("scipy", "matplotlib", "jinja2"),
    "check": ("hypothesis",),
    "onnx": ("onnx",),
    "tensorboard": ("tensorboardX",),
}
"""Extra -> the modules that it brings."""


@click.command("doctor")
@json_option()
def command(as_json: bool) -> None:
    """Show what this machine has, what is missing and how to get it."""
    sections = {
        "software": software(),
        "compute": compute(),
        "data sets": data_sets(),
        "terminal": terminal(),
    }
    if as_json:
        print_json({heading: as_object(findings) for heading, findings in sections.items()})
    else:
        draw(sections)


def as_object(findings: dict[str, Finding]) -> dict[str, dict[str, bool | str | None]]:
    """The findings, for JSON."""
    return {name: {"ok": ok, "found": words} for name, (ok, words) in findings.items()}


def draw(sections: dict[str, dict[str, Finding]]) -> None:
    """Headings with findings below: a tick, a cross or neither, a name and words."""
    from rich.markup import escape
    from rich.table import Table

    out = console()
    signs = {True: "[green]✓[/]", False: "[red]✗[/]", None: " "}
    for heading, findings in sections.items():
        out.print(f"[b]{heading}[/b]")
        made = Table.grid(padding=(0, 2, 0, 0))
        made.add_column(width=1)
        made.add_column(style="dim", no_wrap=True)
        made.add_column(overflow="fold")
        for name, (ok, words) in findings.items():
            made.add_row(signs[ok], name, escape(words))
        out.print(made)


def software() -> dict[str, Finding]:
    found = blas()
    names = [f"{x['internal_api']} {x['version']}" for x in (found.info() if found else ())]
    return {
        "minise": (True, f"{minise.__version__} in {os.path.dirname(minise.__file__)}"),
        "Python": (True, f"{platform.python_version()} in {sys.executable}"),
        "NumPy": (True, f"{np.__version__} with {', '.join(names) or 'an unknown BLAS'}"),
        "extras": extras(),
    }


def compute() -> dict[str, Finding]:
    """Which backend `--device auto` takes here."""
    device = resolve_device("auto")
    backend = usable_backend(device).name
    return {
        "CPU": (True, f"{platform.machine()}, {os.cpu_count()} cores, {available_threads()} usable threads"),
        "fast kernels": fast_kernels(),
        "GPU": gpu(),
        "device": (None, f"--device auto is {device}, with the backend {backend}"),
    }


def fast_kernels() -> Finding:
    """Whether numba works, which the kernels compiled for the CPU need."""
    backend = BACKENDS["numba"]
    backend.load()
    if backend.problem is not None:
        how = "" if find_spec("numba") else ": pip install 'minise[fast]'"
        return None, f"{backend.problem}; training takes twice as long or more{how}"
    import numba

    from minise.kernels.numba.register import TEMPORARY, compiled

    if TEMPORARY is not None:
        return None, (
            f"numba {numba.__version__}, compiled anew by every command into a temporary folder: no cache can be"
            " written, expected NUMBA_CACHE_DIR to name a folder for it"
        )
    return True, f"numba {numba.__version__}, {'compiled' if compiled() else 'to be compiled at first use'}"


def extras() -> Finding:
    """Which of the extras that commands need are there."""
    there = [extra for extra, modules in EXTRAS.items() if all(map(find_spec, modules))]
    missing = [extra for extra in EXTRAS if extra not in there]
    words = [", ".join(there)] if there else []
    words += [f"not there: pip install 'minise[{','.join(missing)}]'"] if missing else []
    return (True if not missing else None), "; ".join(words)


def gpu() -> Finding:
    try:
        cupy = cupy_module()
    except MiniseError as error:
        return None, str(error).removeprefix("device cuda: ")
    runtime = cupy.cuda.runtime
    card = runtime.getDeviceProperties(0)
    free, memory = (size / 2**30 for size in runtime.memGetInfo())
    driver, nvrtc = cuda_version(runtime.driverGetVersion()), ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    return True, (
        f"{card['name'].decode()} (compute capability {card['major']}.{card['minor']}),"
        f" {free:.1f} of {memory:.1f} GiB free, driver for CUDA {driver}, CuPy {cupy.__version__}, NVRTC {nvrtc}"
    )


def cuda_version(number: int) -> str:
    """13000 as 13.0."""
    return f"{number // 1000}.{number % 1000 // 10}"


def data_sets() -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for name in DATASETS:
        try:
            row = describe(name)
            found[name] = (row["ready"] or None, row["path"] or row["how"])
        except MiniseError as error:
            found[name] = (False, str(error))
    places = ", ".join(map(str, search_places()))
    return {**found, "searched": (None, f"{places} (set MINISE_DATA_DIR or --data-dir to look elsewhere)")}


def terminal() -> dict[str, Finding]:
    stdout = "a screen: training is drawn" if is_screen() else "no screen: training prints lines"
    size, colors = shutil.get_terminal_size(), os.environ.get("COLORTERM", "not announced")
    return {
        "stdout": (None, stdout),
        "size": (None, f"{size.columns} x {size.lines}"),
        "kind": (None, f"{os.environ.get('TERM', 'none')}, colors {colors}"),
        "encoding": (None, sys.stdout.encoding or "unknown"),
    }
