"""`minise gradcheck`: every gradient against small steps, minise's and the user's."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from minise_cli.progress.lines import print_json

from minise._util.optional import optional
from minise.backend import BACKENDS
from minise.errors import ConfigError, MiniseError
from minise.gradcheck.values import VALUES

if TYPE_CHECKING:
    from minise.gradcheck.search import Outcome

EXAMPLES = {"minise": 20, "user": 100}


@click.command("gradcheck")
@click.argument("targets", nargs=-1, metavar="[NAME | FILE.py[:NAME]]...")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    type=click.Choice(list(BACKENDS)),
    help=f"Of minise's ops: what computes; may be given again. One of: {', '.join(BACKENDS)}.  [default: all here]",
)
@click.option(
    "--examples", type=click.IntRange(1), metavar="N", help="Random cases each.  [default: 20; 100 of a file]"
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of the cases."
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="n,c,h,w",
    help="Of a file: one an input. A letter is a random size, the same wherever it stands.  [default: n,c each]",
)
@click.option(
    "--option", "pairs", multiple=True, metavar="KEY=VALUE", help="Of a file: what the op takes by keyword."
)
@click.option(
    "--values",
    type=click.Choice(list(VALUES)),
    default="signed",
    show_default=True,
    help="Of a file: what inputs are filled with.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row, one a line.")
def command(targets: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Check analytic gradients against small steps, in float64, with a random upstream gradient.

    Without names: every op on every backend that works here, every layer and every model. A failing case is made as
    small as it can be, and its likeliest cause is named. Exits with 1 if a gradient is wrong.

    \b
    minise gradcheck conv2d SE se-resnet20
    minise gradcheck my_file.py:my_op --shape n,c,h,w --shape c
    """
    optional("hypothesis", "gradcheck", "check")
    failed = []
    if as_json:
        for outcome in outcomes(targets, **options):
            print_json(as_object(outcome))
            failed += [outcome] if outcome.failure else []
    else:
        from minise_cli.render.gradients import draw_outcomes

        failed = draw_outcomes(outcomes(targets, **options))
    if failed:
        raise MiniseError(
            f"gradcheck: {len(failed)} failed ({', '.join(o.name for o in failed[:3])}), expected none"
        )


def outcomes(
    targets: tuple[str, ...],
    backends: tuple[str, ...],
    examples: int | None,
    seed: int,
    shapes: tuple[str, ...],
    pairs: tuple[str, ...],
    values: str,
) -> Iterator[Outcome]:
    """What becomes of each target, as it is checked."""
    from hypothesis.configuration import set_hypothesis_home_dir

    from minise.gradcheck.suite import jobs
    from minise.gradcheck.user import check_file

    files = [t for t in targets if t.endswith(".py") or ".py:" in t]
    names = [t for t in targets if t not in files]
    given = [name for name, value in (("--shape", shapes), ("--option", pairs)) if value]
    if given and not files:
        raise click.UsageError(f"{given[0]} is for FILE.py:NAME, found only names of minise")
    rows = list(jobs(names, backends or None)) if names or not files else []
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)  # it would leave one where the user is
        for job in rows:
            yield job(examples or EXAMPLES["minise"], seed)
        for file in files:
            yield from check_file(
                file,
                shapes=shapes,
                options=dict(parse_option(pair) for pair in pairs),
                values=values,
                examples=examples or EXAMPLES["user"],
                seed=seed,
            )


def parse_option(pair: str) -> tuple[str, Any]:
    """("stride", 2) for "stride=2": the value as TOML has it, or else as text."""
    import tomllib

    key, equals, value = pair.partition("=")
    if not (equals and key.isidentifier()):
        raise ConfigError(f"--option: found {pair!r}, expected KEY=VALUE")
    try:
        return key, tomllib.loads(f"v = {value}")["v"]
    except tomllib.TOMLDecodeError:
        return key, value


def as_object(outcome: Outcome) -> dict[str, Any]:
    """A row, for JSON; of a failure the message, the shapes, the worst derivative and the cause."""
    row = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome) if f.name != "failure"}
    failure = outcome.failure
    if failure is None:
        return row | {"ok": True}
    return row | {
        "ok": False,
        "message": failure.message,
        "cause": failure.cause,
        "shapes": [list(x.shape) for x in failure.inputs if hasattr(x, "shape")],
        "options": {key: repr(value) for key, value in failure.options.items()},
        "mismatch": None if failure.mismatch is None else dataclasses.asdict(failure.mismatch),
    }
