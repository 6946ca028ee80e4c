"""`minise completion`: the script that makes a shell complete commands, options and choices."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

WHERE = {
    "bash": 'eval "$(minise completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(minise completion zsh)" in ~/.zshrc',
    "fish": "minise completion fish > ~/.config/fish/completions/minise.fish",
}


@click.command("completion", epilog="Where it goes: " + "; ".join(WHERE.values()) + ".")
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes minise in SHELL."""
    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(ctx.find_root().command, {}, "minise", "_MINISE_COMPLETE").source())
