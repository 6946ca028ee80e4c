"""What a training step costs: what `minise bench` shows."""

from __future__ import annotations

from collections.abc import Sequence

from minise_cli.render.console import console
from minise_cli.render.format import percent
from minise_cli.render.tables import Column, figure, show

from minise.train.profile import OpTime, StepTimes

LEAST_SHARE = 0.005
"""Ops that take less of a step than this share one row."""


def draw_speed(model: str, times: Sequence[StepTimes]) -> None:
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
        figure(
            "GFLOP/s", lambda row: f"{row[1].flops / row[1].seconds / 1e9:.0f}" if row[1].flops else "", 2
        ),
        figure("GB/s", lambda row: f"{row[1].bytes / row[1].seconds / 1e9:.1f}", 3),
    )
    show(out, ops, op_rows(best.ops, LEAST_SHARE * whole))


def op_rows(ops: Sequence[OpTime], least: float) -> list[tuple[str, OpTime]]:
    """Each op and way with its name; those of less than `least` seconds added up in one row."""
    rows = [(f"{op.op} {'backward' if op.backward else 'forward'}", op) for op in ops if op.seconds >= least]
    small = [op for op in ops if op.seconds < least]
    if small:
        totals = {
            name: sum(getattr(op, name) for op in small) for name in ("calls", "seconds", "flops", "bytes")
        }
        rows.append((f"{len(small)} others", OpTime("others", backward=False, **totals)))
    return rows
