"""`minise bench`: how fast this machine trains, and what a step spends its time on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from minise_cli.arguments import choice, json_option, number
from minise_cli.options import train_option
from minise_cli.render.console import console, print_json
from minise_cli.render.format import percent
from minise_cli.render.tables import Column, figure, show

from minise.backend import BACKENDS
from minise.kernels.threads import set_threads
from minise.train.profile import OpTime, StepTimes, time_steps, usable_backends

LEAST_SHARE = 0.005
"""Ops that take less of a step than this share one row."""


@click.command("bench")
@train_option("model", "What to time.")
@train_option("act", "The activation inside SE blocks.")
@train_option("trunk_act", "The activation outside SE blocks.")
@train_option("batch_size", "Images a step.")
@choice(
    *("--backend", "backends"),
    among=BACKENDS,
    words="What computes.",
    show_default="all that work here",
    multiple=True,
)
@number("--steps", default=10, words="To time.")
@click.option("--forward", is_flag=True, help="Time the evaluation of a batch in place of a training step.")
@train_option("threads", "CPU threads.")
@json_option("One JSON object a backend, one a line.")
def command(model: str, backends: tuple[str, ...], forward: bool, as_json: bool, **options: Any) -> None:
    """Time training steps of a model, whole and op by op, on every backend in turn.

    \b
    minise bench
    minise bench --model se-resnet56 --backend numba --threads 1
    """
    set_threads(options.pop("threads"))
    names = backends or [name for name, problem in usable_backends().items() if problem is None]
    times = time_steps(model, dict.fromkeys(names), training=not forward, **options)
    if as_json:
        print_json(*(as_object(model, result) for result in times))
    else:
        draw(model, times)


def as_object(model: str, times: StepTimes) -> dict[str, Any]:
    """What was measured, for JSON: seconds, of each step and of each op in a step."""
    return {
        "backend": times.backend,
        "model": model,
        "batch_size": times.images,
        "median": times.median,
        "images_per_second": times.images_per_second,
        "seconds": times.seconds,
        "ops": times.ops,
    }


def draw(model: str, times: Sequence[StepTimes]) -> None:
    """What a step takes on each backend, and for the fastest what it consists of."""
    out = console()
    best = min(times, key=lambda t: t.median)
    if len(times) > 1:
        columns = (
            Column("backend", lambda t: t.backend),
            figure("ms a step", lambda t: f"{t.median * 1e3:.1f}"),
            figure("images/s", lambda t: f"{t.images_per_second:.0f}", 1),
            figure("to fastest", lambda t: f"{t.median / best.median:.2f}", 2),
        )
        show(out, columns, times)
        out.print()
    out.print(
        f"{model}, batch {best.images}, backend {best.backend}: {best.median * 1e3:.1f} ms a step,"
        f" {best.images_per_second:.0f} images/s (median of {len(best.seconds)},"
        f" {min(best.seconds) * 1e3:.1f} to {max(best.seconds) * 1e3:.1f})"
    )
    whole = sum(op.seconds for op in best.ops)
    ops = (
        Column("op", lambda row: row[0]),
        figure("calls", lambda row: row[1].calls, 4),
        figure("ms", lambda row: f"{row[1].seconds * 1e3:.2f}"),
        figure("share", lambda row: percent(row[1].seconds / whole), 1),
        figure("GFLOP/s", lambda row: giga(row[1].flops / row[1].seconds, ".0f"), 2),
        figure("GB/s", lambda row: giga(row[1].bytes / row[1].seconds, ".1f"), 3),
    )
    show(out, ops, op_rows(best.ops, LEAST_SHARE * whole))


def giga(rate: float, spec: str) -> str:
    """1.5e9 -> "1.5", nothing for 0."""
    return format(rate / 1e9, spec) if rate else ""


def op_rows(ops: Sequence[OpTime], least: float) -> list[tuple[str, OpTime]]:
    """Each op and way with its name; those of less than `least` seconds added up in one row."""
    rows = [(f"{op.op} {'backward' if op.backward else 'forward'}", op) for op in ops if op.seconds >= least]
    small = [op for op in ops if op.seconds < least]
    if small:
        sums = (sum(getattr(op, name) for op in small) for name in ("calls", "seconds", "flops", "bytes"))
        rows.append((f"{len(small)} others", OpTime("others", False, *sums)))
    return rows
