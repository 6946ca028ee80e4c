"""`minise gradcheck`: every gradient against small steps, minise's and the user's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from minise_cli.arguments import choice, json_option, number
from minise_cli.render.console import print_json

from minise._util.optional import optional
from minise.backend import BACKENDS
from minise.errors import MiniseError
from minise.gradcheck.values import VALUES

if TYPE_CHECKING:
    from minise.gradcheck.search import Checked

EXAMPLES = {"minise": 20, "user": 100}


class KeywordArgument(click.ParamType):
    """KEY=VALUE: ("stride", 2) for "stride=2", the value as TOML has it, or else as text."""

    name = "KEY=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        import tomllib

        key, equals, text = str(value).partition("=")
        if not (equals and key.isidentifier()):
            self.fail(f"found {value!r}, expected KEY=VALUE", param, ctx)
        try:
            return key, tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            return key, text


@click.command("gradcheck")
@click.argument("targets", nargs=-1, metavar="[NAME | FILE.py[:NAME]]...")
@choice(
    *("--backend", "backends"),
    among=BACKENDS,
    words="Of minise's ops: what computes.",
    show_default="all here",
    multiple=True,
)
@number("--examples", words="Random cases each.", show_default="20; 100 of a file")
@number("--seed", least=0, default=0, words="Of the cases.")
@click.option(
    *("--shape", "shapes"),
    multiple=True,
    metavar="n,c,h,w",
    help="Of a file: one an input. A letter is a random size, the same wherever it stands.",
    show_default="n,c each",
)
@click.option(
    *("--option", "options"),
    multiple=True,
    type=KeywordArgument(),
    callback=lambda ctx, option, pairs: dict(pairs),
    help="Of a file: what the op takes by keyword.",
)
@click.option(
    "--values",
    type=click.Choice(list(VALUES)),
    default="signed",
    help="Of a file: what inputs are filled with.",
)
@json_option("One JSON object a row, one a line.")
def command(targets: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Check analytic gradients against small steps, in float64, with a random upstream gradient.

    Without names: every op on every backend that works here, every layer and every model. A failing case is made as
    small as it can be, and its likeliest cause is named. Exits with 1 if a gradient is wrong.

    \b
    minise gradcheck conv2d SE se-resnet20
    minise gradcheck my_file.py:my_op --shape n,c,h,w --shape c
    """
    optional("hypothesis", "gradcheck", "check")
    results = outcomes(targets, **options)
    if as_json:
        failed = []
        for outcome in results:
            print_json(as_object(outcome))
            failed += [outcome] if outcome.failure else []
    else:
        from minise_cli.render.gradients import draw_outcomes

        failed = draw_outcomes(results)
    if failed:
        names = ", ".join(o.name for o in failed[:3])
        raise MiniseError(f"gradcheck: {len(failed)} failed ({names}), expected none")


def outcomes(
    targets: tuple[str, ...], backends: tuple[str, ...], examples: int | None, seed: int, **of_files: Any
) -> Iterator[Checked]:
    """What becomes of each target, as it is checked."""
    from hypothesis.configuration import set_hypothesis_home_dir

    from minise.gradcheck.suite import jobs
    from minise.gradcheck.user import check_file

    files = [t for t in targets if t.endswith(".py") or ".py:" in t]
    names = [t for t in targets if t not in files]
    given = [flag for flag, name in (("--shape", "shapes"), ("--option", "options")) if of_files[name]]
    if given and not files:
        raise click.UsageError(f"{given[0]} is for FILE.py:NAME, found only names of minise")
    rows = list(jobs(names, backends or None)) if names or not files else []
    with tempfile.TemporaryDirectory() as folder:
        set_hypothesis_home_dir(folder)  # it would leave one where the user is
        for job in rows:
            yield job(examples or EXAMPLES["minise"], seed)
        for file in files:
            yield from check_file(file, examples=examples or EXAMPLES["user"], seed=seed, **of_files)


def as_object(outcome: Checked) -> dict[str, Any]:
    """A row, for JSON; of a failure the message, the shapes, the worst derivative and the cause."""
    row = {name: value for name, value in vars(outcome).items() if name != "failure"}
    failure = outcome.failure
    if failure is None:
        return row | {"ok": True}
    return row | {
        "ok": False,
        "message": failure.message,
        "cause": failure.cause,
        "shapes": [x.shape for x in failure.inputs if hasattr(x, "shape")],
        "options": {key: repr(value) for key, value in failure.options.items()},
        "mismatch": failure.mismatch,
    }
