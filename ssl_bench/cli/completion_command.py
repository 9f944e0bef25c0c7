"""`ssl-bench completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from ssl_bench.errors import UsageError


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(ssl-bench completion bash)"
      ssl-bench completion fish > ~/.config/fish/completions/ssl-bench.fish
    """
    from ssl_bench.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"no completion for {shell!r}")
    click.echo(kind(cli, {}, "ssl-bench", "_SSL_BENCH_COMPLETE").source())
