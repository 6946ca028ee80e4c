"""`minise models`: what each model is made of, and what it costs."""

from __future__ import annotations

from typing import Any

import click
from minise_cli.arguments import json_option, number
from minise_cli.options import train_option
from minise_cli.render.console import console, print_json
from minise_cli.render.format import count, flops, widths
from minise_cli.render.tables import Column, figure, show

from minise.models import MODELS, ModelInfo, build, describe
from minise.nn import Module

COLUMNS = (
    Column("model", lambda row: row[0]),
    figure("parameters", lambda row: count(row[1].parameters), 1),
    figure("FLOPs", lambda row: flops(row[1].flops).removesuffix("FLOPs"), 2),
    Column("SE widths", lambda row: widths(row[1].se_widths) or None, 3),
)
LAYERS = (
    Column("parameter", lambda row: row[0], least=16),
    Column("kind", lambda row: row[1].kind, 2),
    Column("shape", lambda row: " x ".join(map(str, row[1].shape)) or "one number", 1),
    figure("numbers", lambda row: count(row[1].size)),
)


@click.command("models")
@click.argument("name", required=False, metavar="[NAME]", type=click.Choice(list(MODELS)))
@train_option("act", "The activation inside SE blocks.")
@train_option("reduction", "SE hidden width = channels // R, but at least 1.")
@train_option("alpha", "Learnable activation parameters: one a layer, or one a channel.")
@number("--classes", least=2, default=10, words="To tell apart.")
@json_option("One JSON object a model, one a line.")
def command(name: str | None, as_json: bool, classes: int, **options: Any) -> None:
    """List the models with parameters, FLOPs of one image's forward and SE widths; or the layers of NAME."""
    models = {n: make(n, classes, alone=name is not None, **options) for n in ([name] if name else MODELS)}
    infos = {n: describe(model) for n, model in models.items()}
    if as_json:
        print_json(*(as_object(n, model, infos[n], layers=name is not None) for n, model in models.items()))
    elif name is None:
        show(console(), COLUMNS, list(infos.items()))
    else:
        draw_layers(name, models[name], infos[name])


def draw_layers(name: str, model: Module, info: ModelInfo) -> None:
    """Every parameter of a model, with its shape and size."""
    out = console()
    show(out, LAYERS, list(model.named_parameters()))
    se = f" · SE widths {widths(info.se_widths)}" if info.se_widths else ""
    out.print(f"\n[b]{name}[/b] · {count(info.parameters)} parameters · {flops(info.flops)}{se}")


def make(name: str, classes: int, *, alone: bool, **options: Any) -> Module:
    """The model; in a list, those without SE blocks leave the options of SE blocks to the others."""
    if not alone and not MODELS[name].has_se:
        options |= {"act": None, "reduction": None}
    return build(name, classes=classes, **options)


def as_object(name: str, model: Module, info: ModelInfo, *, layers: bool) -> dict[str, Any]:
    """What is known about a model, for JSON."""
    found: dict[str, Any] = {"name": name, **vars(info)}
    if layers:
        parameters = model.named_parameters()
        found["layers"] = [{"name": n, "kind": p.kind, "shape": p.shape} for n, p in parameters]
    return found
