"""`ssl-bench cache`: look at the feature cache, check it, and make room."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.groups import SuggestingGroup
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import EXIT_OK, EXIT_USAGE
from ssl_bench.settings import Resolved

if TYPE_CHECKING:
    from ssl_bench.cache import Entry


@click.group(name="cache", cls=SuggestingGroup)
def command() -> None:
    """Look at the feature cache, check it, and make room. Whatever is removed is extracted again when needed.

    \b
    Examples:
      ssl-bench cache ls
      ssl-bench cache gc --older-than 30
      ssl-bench cache clear dinov2_vitb14
    """


@command.command(name="ls")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def ls(resolved: Resolved, as_json: bool) -> None:
    """List what is cached, the largest first: a line per model, input, pooling and precision."""
    from ssl_bench import cache

    found = cache.entries(resolved.settings.cache)
    if as_json:
        echo_json([dataclasses.asdict(entry) for entry in found])
        return
    header = ("key", "first asked for", "pooling", "input", "precision", "images", "features", "MB", "written")
    echo_table(header, [_row(entry) for entry in found], (5, 7))


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.key[:8],
        entry.first_asked_for or "?",
        " ".join(word for word in (entry.pooled, entry.view) if word),
        "x".join(map(str, entry.size)),
        entry.precision,
        entry.images,
        "x".join(map(str, entry.shape)),
        f"{entry.bytes / 1e6:.1f}",
        datetime.datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M"),
    )


@command.command(name="stats")
@with_settings(PLACES)
def stats(resolved: Resolved) -> None:
    """Print how much is cached, where, and how much room is left."""
    from ssl_bench import cache

    root = resolved.settings.cache
    found = cache.entries(root)
    click.echo(f"folder    {root}")
    click.echo(f"features  {len(found)} kinds, {sum(entry.images for entry in found):,} rows")
    click.echo(f"size      {sum(entry.bytes for entry in found) / 1e9:.2f} GB")
    if root.exists():
        click.echo(f"free      {shutil.disk_usage(root).free / 1e9:.1f} GB")


@command.command(name="check")
@click.argument("words", nargs=-1)
@with_settings(PLACES)
def check(words: tuple[str, ...], resolved: Resolved) -> int:
    """Read all cached features and name every file that is broken; WORDS are beginnings of keys, or parts of models.

    A broken block costs nothing but time: a run sets it aside and extracts again. Exits with 2 where there is one.
    """
    from ssl_bench import cache

    chosen = cache.choose(cache.entries(resolved.settings.cache), words)
    lines = [line for entry in chosen for line in cache.faults(entry)]
    for line in lines:
        click.echo(line)
    click.echo(f"{len(chosen)} kinds of features checked, {len(lines)} faults", err=True)
    return EXIT_USAGE if lines else EXIT_OK


@command.command(name="gc")
@click.option("--older-than", type=click.FloatRange(min=0), help="Also remove features not written for N days.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@with_settings(PLACES)
def gc(older_than: float | None, dry_run: bool, resolved: Resolved) -> None:
    """Remove what killed runs left behind and, if asked, old features."""
    from ssl_bench import cache

    found = cache.entries(resolved.settings.cache)
    old = cache.choose(found, (), older_than) if older_than is not None else []
    files = [path for entry in found if entry not in old for path in cache.leftovers(entry)]
    freed = sum(entry.bytes for entry in old) + sum(path.stat().st_size for path in files)
    if not dry_run:
        for path in files:
            path.unlink(missing_ok=True)
        for entry in old:
            cache.remove(entry)
    said = "would free" if dry_run else "freed"
    click.echo(f"{len(files)} files and {len(old)} kinds of features: {said} {freed / 1e6:.1f} MB", err=True)


@command.command(name="clear")
@click.argument("words", nargs=-1)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@with_settings(PLACES)
def clear(words: tuple[str, ...], yes: bool, resolved: Resolved) -> None:
    """Remove cached features: all, or those that WORDS name by the beginning of a key or a part of a model's name."""
    from ssl_bench import cache

    chosen = cache.choose(cache.entries(resolved.settings.cache), words)
    size = f"{len(chosen)} kinds of features, {sum(entry.bytes for entry in chosen) / 1e6:.1f} MB"
    if not yes and chosen:
        click.confirm(f"Remove {size} of {resolved.settings.cache}?", abort=True, err=True)
    for entry in chosen:
        cache.remove(entry)
    click.echo(f"removed {size}", err=True)
