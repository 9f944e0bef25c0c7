"""`ssl-bench data`: what data there is, where it lies, how to get it, and whether it is whole."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import own_data, tasks
from ssl_bench.cli import fetch_command
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import EXIT_OK, EXIT_USAGE, MissingError, UsageError
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.tasks import TaskCard


@click.group(name="data")
def command() -> None:
    """What data there is, where it lies, how to get it, and whether it is whole.

    \b
    Examples:
      ssl-bench data ls 'caltech*'
      ssl-bench data fetch cifar100
      ssl-bench data check ./my_folder --duplicates
      ssl-bench data import ./my_folder > tasks/mine.toml
    """


@command.command(name="ls")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def ls(pattern: str, resolved: Resolved, as_json: bool) -> None:
    """List the data of all tasks: size, licence, and whether it is here; PATTERN is a part of a name or a glob."""
    settings = resolved.settings
    chosen = [name for name in tasks.names(settings.shelves) if fnmatch.fnmatch(name, pattern) or pattern in name]
    rows = [_row(tasks.get(name, settings.shelves), settings) for name in chosen]
    if as_json:
        echo_json(rows)
        return
    echo_table(
        ("task", "here", "MB", "licence", "how to get it"),
        [(row["task"], "yes" if row["here"] else "no", row["megabytes"], row["licence"], row["get"]) for row in rows],
        (2,),
    )


def _row(card: TaskCard, settings: Settings) -> dict[str, Any]:
    from ssl_bench import datasets

    try:
        datasets.locate(card, settings.data)
        here = True
    except MissingError:
        here = False
    automatic = callable(getattr(datasets.reader(card.reader), "fetch", None))
    get = (
        "by hand: ssl-bench data show" if card.source.manual and not automatic else f"ssl-bench data fetch {card.name}"
    )
    return {
        "task": card.name,
        "here": here,
        "megabytes": f"{card.source.bytes / 1e6:.0f}" if card.source.bytes else "",
        "licence": card.source.licence,
        "get": "" if here else get,
    }


@command.command(name="show")
@click.argument("name")
@with_settings(PLACES)
def show(name: str, resolved: Resolved) -> None:
    """Show a task's source, where its files lie, its splits and its classes."""
    from ssl_bench import datasets
    from ssl_bench.datasets import index

    settings = resolved.settings
    card = own_data.get(name, settings.shelves)
    facts: dict[str, Any] = {"task": card.name, "title": card.title, "url": card.source.url}
    facts |= {"licence": card.source.licence, "cite": card.source.citation, "by hand": card.source.manual}
    facts |= {"catch": " ".join(card.note.split())}
    try:
        paths = datasets.locate(card, settings.data)
        splits = datasets.load(card, settings.data)
    except MissingError as error:
        facts["missing"] = str(error)
    else:
        facts["files"] = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files under {_common(paths)}"
        facts["samples"] = ", ".join(f"{role} {len(split):,}" for role, split in splits.items())
        facts["classes"] = ", ".join(splits["test"].class_names[:20]) or str(card.classes)
        known = index.lookup(card, settings.data, settings.cache)
        facts["task digest"] = known.task_digest if known else "not known until its images were read once"
    for key, value in facts.items():
        if value:
            click.echo(f"{key:<12} {value}")


def _common(paths: list[Path]) -> str:
    import os

    return os.path.commonpath(paths)


@command.command(name="path")
@click.argument("name")
@with_settings(PLACES)
def path(name: str, resolved: Resolved) -> None:
    """Print the files of a task's data, a line each; exits with 6 where they are not here."""
    from ssl_bench import datasets

    for found in datasets.locate(own_data.get(name, resolved.settings.shelves), resolved.settings.data):
        click.echo(found)


@command.command(name="fetch")
@click.argument("names", nargs=-1)
@click.option("--suite", "-s", default="", help="Suite whose data to get.")
@click.option("--offline", is_flag=True, default=None, help="Only say what is not here.")
@with_settings(PLACES)
def fetch(names: tuple[str, ...], suite: str, resolved: Resolved) -> int:
    """Download the data of tasks, or say the step that a person must take; exits with 6 where something is missing."""
    if not (names or suite):
        raise UsageError("nothing to fetch is named; give the names of tasks, or --suite")
    return fetch_command.fetch((), suite, names, resolved.settings)


@command.command(name="check")
@click.argument("names", nargs=-1, required=True)
@click.option("--duplicates", is_flag=True, help="Also look for images that are nearly the same in two splits.")
@with_settings(PLACES)
def check(names: tuple[str, ...], duplicates: bool, resolved: Resolved) -> int:
    """Read and decode every image of tasks: counts, digests, broken images, and images that two splits share.

    Exits with 2 where an image does not decode; shared images are told and change no exit code, since published splits
    have them too.
    """
    from ssl_bench.progress import choose

    progress = choose(resolved.settings.progress)
    cards = [own_data.get(name, resolved.settings.shelves) for name in names]
    broken = sum(_check(card, resolved.settings, duplicates, progress) for card in cards)
    return EXIT_USAGE if broken else EXIT_OK


def _check(card: TaskCard, settings: Settings, duplicates: bool, progress: Any) -> int:
    """Print what is found, and return how many images do not decode."""
    from ssl_bench import datasets
    from ssl_bench.datasets import checks, index

    splits = datasets.load(card, settings.data)
    total = sum(len(split) for split in splits.values())
    with progress.track(f"{card.name}: reading", total) as advance:
        known = index.build(card, settings.data, settings.cache, splits, advance)
    with progress.track(f"{card.name}: decoding", total) as advance:
        seen = checks.look(splits, advance)
    faults = checks.undecodable(seen)
    click.echo(f"{card.name}: {', '.join(f'{role} {len(split):,}' for role, split in splits.items())} samples")
    click.echo(f"  task digest {known.task_digest}")
    click.echo(f"  {len(faults)} images do not decode")
    for line in faults:
        click.echo(f"  {line}")
    _echo_pairs("the same bytes", checks.equal_pairs(splits, known.digests))
    if duplicates:
        _echo_pairs("nearly the same picture", checks.near_pairs(splits, seen))
    return len(faults)


def _echo_pairs(what: str, pairs: list[Any]) -> None:
    other = sum(not pair.labels_agree for pair in pairs)
    click.echo(f"  {len(pairs)} samples are {what} as one of an earlier split, {other} of them under another label")
    for pair in pairs[:20]:
        mark = "" if pair.labels_agree else "  (another label)"
        click.echo(f"    {pair.split} {pair.sample} = {pair.other_split} {pair.other}{mark}")
    if len(pairs) > 20:
        click.echo(f"    and {len(pairs) - 20} more")


@command.command(name="import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@with_settings(PLACES)
def import_(folder: Path, resolved: Resolved) -> None:
    """Print the task card of your own folder of images: train/ and test/ folders of classes, or folders of classes.

    Without train/ and test/, 70 % of every class are train, 10 % val and 20 % test, drawn by the images' paths.
    `ssl-bench run --model NAME --data FOLDER` measures on such a folder without a card.
    """
    from ssl_bench import datasets

    card = own_data.card(folder)
    splits = datasets.load(card, resolved.settings.data)
    click.echo(own_data.toml(card), nl=False)
    click.echo(f"{', '.join(f'{role} {len(split):,}' for role, split in splits.items())} samples", err=True)
