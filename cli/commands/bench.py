"""`minise bench`: how fast this machine trains, and what a step spends its time on."""

from __future__ import annotations

from typing import Any

import click
from minise_cli.arguments import choice, json_option, number
from minise_cli.options import train_option
from minise_cli.render.console import print_json

from minise.backend import BACKENDS
from minise.kernels.threads import set_threads
from minise.train.profile import StepTimes, time_steps, usable_backends


@click.command("bench")
@train_option("model", "What to time.")
@train_option("act", "The activation inside SE blocks.")
@train_option("trunk_act", "The activation outside SE blocks.")
@train_option("batch_size", "Images a step.")
@choice(
    *("--backend", "backends"),
    among=BACKENDS,
    words="What computes; may be given again.",
    multiple=True,
    show_default="all that work here",
)
@number("--steps", default=10, words="To time.")
@click.option("--forward", is_flag=True, help="Time the evaluation of a batch in place of a training step.")
@train_option("threads", "CPU threads.")
@json_option("One JSON object a backend, one a line.")
def command(
    backends: tuple[str, ...],
    model: str,
    act: str | None,
    trunk_act: str,
    batch_size: int,
    steps: int,
    **options: Any,
) -> None:
    """Time training steps of a model, whole and op by op, on every backend in turn.

    \b
    minise bench
    minise bench --model se-resnet56 --backend numba --threads 1
    """
    set_threads(options["threads"])
    names = backends or [name for name, problem in usable_backends().items() if problem is None]
    times = time_steps(
        model,
        dict.fromkeys(names),
        batch_size=batch_size,
        steps=steps,
        training=not options["forward"],
        act=act,
        trunk_act=trunk_act,
    )
    if options["as_json"]:
        print_json(*(as_object(model, result) for result in times))
        return
    from minise_cli.render.speed import draw_speed

    draw_speed(model, times)


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
