"""A group of commands that says what a mistyped one may have meant."""

from __future__ import annotations

import click

from ssl_bench.errors import did_you_mean


class SuggestingGroup(click.Group):
    """A group whose unknown commands are answered with the nearest known ones."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and args[0] not in known and not args[0].startswith("-"):
            raise click.UsageError(f"no command is called {args[0]!r}.{did_you_mean(args[0], known)}", ctx)
        return super().resolve_command(ctx, args)
