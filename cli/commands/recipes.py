"""`minise recipes`: whole trainings to choose from, print and copy."""

from __future__ import annotations

import click
from minise_cli.arguments import json_option
from minise_cli.render.console import console, print_json
from minise_cli.render.format import count
from minise_cli.render.tables import Column, figure, show

from minise.models import build, describe
from minise.train.recipes import recipe, recipe_summary, recipe_text, recipes

COLUMNS = (
    Column("recipe", lambda row: row["name"]),
    Column("model", lambda row: row["options"]["model"], 1),
    figure("parameters", lambda row: count(describe(build(row["options"]["model"])).parameters), 4),
    figure("epochs", lambda row: row["options"]["epochs"], 2),
    figure("batch", lambda row: row["options"]["batch_size"], 3),
    Column("for", lambda row: row["summary"], least=24, wraps=True),
)


@click.command("recipes")
@click.argument("name", required=False, metavar="[NAME]", type=click.Choice(recipes()))
@json_option("One JSON object a recipe, one a line.")
def command(name: str | None, as_json: bool) -> None:
    """List the recipes of `minise train --recipe`; or print NAME, as a TOML file to copy and change.

    \b
    minise recipes quick > my.toml
    minise train --config my.toml
    """
    names = (name,) if name else recipes()
    rows = [{"name": each, "summary": recipe_summary(each), "options": recipe(each)} for each in names]
    if as_json:
        print_json(*rows)
    elif name:
        click.echo(recipe_text(name), nl=False)
    else:
        show(console(), COLUMNS, rows)
