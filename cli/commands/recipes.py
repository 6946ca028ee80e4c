"""`minise recipes`: whole trainings to choose from, print and copy."""

from __future__ import annotations

import click
from minise_cli.arguments import json_option
from minise_cli.render.console import print_json

from minise.models import build, describe
from minise.train.recipes import recipe, recipe_summary, recipe_text, recipes


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
        from minise_cli.render.models import draw_recipes

        draw_recipes([row | {"info": describe(build(row["options"]["model"]))} for row in rows])
