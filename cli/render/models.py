"""Models and recipes: what `minise models` and `minise recipes` show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minise_cli.render.console import console
from minise_cli.render.format import count, flops, widths
from minise_cli.render.tables import Column, figure, show

from minise.models import ModelInfo
from minise.nn import Module

MODELS = (
    Column("model", lambda row: row[0]),
    figure("parameters", lambda row: count(row[1].parameters), 1),
    figure("FLOPs", lambda row: flops(row[1].flops).removesuffix("FLOPs"), 2),
    Column("SE widths", lambda row: widths(row[1].se_widths) or None, 3),
)
RECIPES = (
    Column("recipe", lambda row: row["name"]),
    Column("model", lambda row: row["options"]["model"], 1),
    figure("parameters", lambda row: count(row["info"].parameters), 4),
    figure("epochs", lambda row: row["options"]["epochs"], 2),
    figure("batch", lambda row: row["options"]["batch_size"], 3),
    Column("for", lambda row: row["summary"], least=24, wraps=True),
)
LAYERS = (
    Column("parameter", lambda row: row[0], least=16),
    Column("kind", lambda row: row[1].kind, 2),
    Column("shape", lambda row: " x ".join(map(str, row[1].shape)) or "one number", 1),
    figure("numbers", lambda row: count(row[1].size)),
)


def draw_models(infos: dict[str, ModelInfo]) -> None:
    """A row for each model."""
    show(console(), MODELS, list(infos.items()))


def draw_recipes(rows: Sequence[dict[str, Any]]) -> None:
    """A row for each recipe: name, options, summary, and the info of its model."""
    show(console(), RECIPES, rows)


def draw_layers(name: str, model: Module, info: ModelInfo) -> None:
    """Every parameter of a model, with its shape and size."""
    out = console()
    show(out, LAYERS, list(model.named_parameters()))
    se = f" · SE widths {widths(info.se_widths)}" if info.se_widths else ""
    out.print(f"\n[b]{name}[/b] · {count(info.parameters)} parameters · {flops(info.flops)}{se}")
