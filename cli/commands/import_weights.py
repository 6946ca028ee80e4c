"""`minise import`: a run folder from weights that were trained elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from minise_cli.arguments import FILE, PATH, choice, json_option
from minise_cli.options import absolute, train_option
from minise_cli.render.console import Waiting, print_json, unofficial, warn
from minise_cli.render.format import percent

from minise.data import DATASETS
from minise.interchange.importing import Imported, import_run
from minise.interchange.names import NAMES
from minise.interchange.renormalise import NORMALISED
from minise.models import MODELS
from minise.ops import ACTIVATIONS
from minise.runs.job import result_of

NOTED = "as `minise export` noted"
"""Where a file may answer itself."""


@click.command("import")
@click.argument("file", type=FILE)
@click.option("--run", type=PATH, required=True, metavar="DIR", help="The folder to make.")
@choice("--model", among=MODELS, words="What the weights are of.", show_default=NOTED)
@choice("--dataset", among=DATASETS, words="What they are tested on.", show_default=NOTED)
@choice(
    "--act",
    among=ACTIVATIONS,
    words="The activation inside SE blocks.",
    show_default=f"{NOTED}, else that of --names",
)
@choice(
    "--trunk-act",
    among=ACTIVATIONS,
    words="The activation outside SE blocks.",
    show_default=f"{NOTED}, else relu",
)
@click.option(
    "--names",
    type=click.Choice(["auto", *NAMES]),
    default="auto",
    help="How the arrays are named, see docs/interchange.md; auto: as most of them are.",
)
@click.option(
    "--normalised",
    type=click.Choice(list(NORMALISED)),
    show_default="as minise normalises them",
    help="How images were normalised where the weights were trained, see docs/interchange.md.",
)
@train_option("data_dir", "Where the files are.")
@train_option("limit_test", "Take only the first N test images.")
@train_option("device", "auto takes the GPU where there is one.")
@train_option("threads", "How many cores to use.")
@json_option()
def command(file: Path, run: Path, as_json: bool, **options: Any) -> None:
    """Make a run folder from the weights in FILE: a state_dict of PyTorch's, or safetensors.

    Nothing in the file is run. The model is tested once, as after a training, so that its run folder is whole.

    \b
    minise import resnet20.th --model resnet20 --dataset cifar10 --run runs/theirs
    """
    options["data_dir"] = absolute(options["data_dir"])
    with Waiting(f"reading {file}") as waiting:
        imported = import_run(file, run, progress=waiting, **options)
    warn(*doubts(imported))
    if as_json:
        print_json(as_object(imported))
        return
    config, test = imported.config, imported.test
    act = f", {config.act}" if config.act else ""
    click.echo(f"{config.model}{act}, names as in {imported.names}")
    click.echo(
        f"top-1 {percent(test.top1)}, top-5 {percent(test.top5)} of {test.images} images of {config.dataset}"
    )
    click.echo(f"run in {imported.run}")


def doubts(imported: Imported) -> list[str]:
    """What a reader should know before taking the figures for those of the weights where they come from."""
    found = []
    if imported.unheeded:
        found.append(
            "the code behind these names normalises images in another way; if these weights were trained with it,"
            f" --normalised {imported.unheeded} makes up for that"
        )
    return found + unofficial(imported.dataset)


def as_object(imported: Imported) -> dict[str, Any]:
    """The import, for JSON."""
    config = imported.config
    return {
        "event": "import",
        "run": imported.run,
        "sha256": imported.sha256,
        "names": imported.names,
        **{name: getattr(config, name) for name in ("model", "dataset", "act", "reduction")},
        "warnings": doubts(imported),
        **result_of(imported.test),
    }
