"""`minise export`: a run's weights, or its whole network, as a file for other programs."""

from __future__ import annotations

from pathlib import Path

import click
from minise_cli.arguments import FILE, PATH, json_option
from minise_cli.render.console import print_json, warn
from minise_cli.render.format import scaled

from minise._util.files import write_atomically
from minise.errors import ConfigError
from minise.interchange.exporting import FORMATS, export_run
from minise.interchange.names import NAMES
from minise.runs.run import Run


@click.command("export")
@click.argument("run", type=PATH)
@click.option(
    "--format",
    "format_",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="A state_dict as torch.save writes it, safetensors, or the whole network for onnxruntime.",
)
@click.option("-o", "--out", type=FILE, required=True, metavar="FILE", help="Where to write it.")
@click.option(
    "--names",
    type=click.Choice(list(NAMES)),
    default="minise",
    help="What the arrays are called: as here, as in bench/torch_models.py, or as in the repositories"
    " listed in docs/interchange.md.",
)
@json_option()
def command(run: Path, format_: str, out: Path, names: str, as_json: bool) -> None:
    """Write the weights of the run folder RUN to a file; no PyTorch is needed for it.

    \b
    minise export runs/first --format torch -o first.pt
    minise export runs/first --format onnx -o first.onnx
    """
    opened = Run.open(run)
    content = export_run(opened, format_, names=names)
    if str(out) == "-":
        raise ConfigError(
            "export: found - for the file, expected a name: a binary file does not go to stdout"
        )
    if out.resolve().parent == run.resolve():
        raise ConfigError(f"export: {out} lies in the run's own folder, expected a file elsewhere")
    write_atomically(out, content)
    if opened.state != "done":
        warn(f"{run}: the run {opened.state_words}; these are its weights so far")
    if as_json:
        print_json({"event": "export", "run": run, "out": out, "format": format_, "bytes": len(content)})
    else:
        click.echo(f"{opened.config.model} as {format_} in {out}, {scaled(len(content), 'B')}")
