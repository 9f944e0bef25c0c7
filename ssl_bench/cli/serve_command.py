"""`ssl-bench serve`: the board and its pages in a browser, as the records are now."""

from __future__ import annotations

import contextlib
import sys
import webbrowser
from collections.abc import Callable, Mapping
from typing import Any

import click

from ssl_bench.cli import board_command, board_material
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.files import digest_json
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved


@click.command(name="serve")
@board_command.choosing
@click.option("--port", type=click.IntRange(0, 65535), default=8642, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; another lets others read.")
@click.option("--open", "open_browser", is_flag=True, help="Open the board in a browser.")
@board_command.EXAMPLES
@with_settings(PLACES)
def command(
    choice: Mapping[str, Any],
    port: int,
    host: str,
    open_browser: bool,
    examples: int,
    resolved: Resolved,
) -> None:
    """Serve the board, with a page per model and task, to a browser of this machine.

    Pages are made when they are asked for, and anew when records have changed. Ctrl-C ends it.

    \b
    Examples:
      ssl-bench serve --suite small7 --open
      ssl-bench serve --results s3://bucket/results --port 9000
    """
    from ssl_bench.leaderboard import folder, server

    settings = resolved.settings
    listing = Results(settings.results).files

    def stamp() -> str:
        files = listing.record_files() | listing.sample_files()
        return digest_json([[name, file.size, file.stamp] for name, file in files.items()])

    def files() -> dict[str, Callable[[], str]]:
        results = Results(settings.results, settings.cache)  # anew, since an index belongs to one thread
        with contextlib.closing(results.index):
            board = board_command.make(results, settings, **choice)
            material = board_material.gathered(results, board, settings, examples)
        return folder.files_of(material) | folder.records_of(board)

    pages = server.Pages(files, stamp)
    pages.get("")  # what is wrong with the records or the words is said now, not in a browser
    with server.open_server(host, port, pages) as listener:
        if not listener.local:
            print(f"warning: whoever reaches {host} can read these pages", file=sys.stderr)
        click.echo(f"{listener.url}  records: {settings.results}; Ctrl-C ends it")
        with contextlib.suppress(KeyboardInterrupt):
            if open_browser:
                webbrowser.open(listener.url)
            listener.serve_forever()
