"""`minise recipes`: whole trainings to choose from, print and copy."""

from __future__ import annotations

import click
from minise_cli.progress.lines import print_json

from minise.models import build, describe
from minise.train.recipes import recipe, recipe_summary, recipe_text, recipes


@click.command("recipes")
@click.argument("name", required=False, metavar="[NAME]", type=click.Choice(recipes()))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a recipe, one a line.")
def command(name: str | None, as_json: bool) -> None:
    """List the recipes of `minise train --recipe`; or print NAME, as a TOML file to copy and change.

    \b
    minise recipes quick > my.toml
    minise train --config my.toml
    """
    names = (name,) if name else recipes()
    if as_json:
        for each in names:
            print_json({"name": each, "summary": recipe_summary(each), "options": recipe(each)})
    elif name:
        click.echo(recipe_text(name), nl=False)
    else:
        from minise_cli.render.draw import draw_recipes

        draw_recipes(
            [
                (each, recipe(each), describe(build(recipe(each)["model"])), recipe_summary(each))
                for each in names
            ]
        )
