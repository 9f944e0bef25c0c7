"""`ssl-bench data`: what data there is, where it lies, how to get it, and whether it is whole."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import own_data, tasks
from ssl_bench.cards import plain
from ssl_bench.cli import fetch_command
from ssl_bench.cli.data_check import check
from ssl_bench.cli.groups import SuggestingGroup
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_facts, echo_json, echo_table
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.files import megabytes
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.tasks import TaskCard

HERE, PARTLY, DOWNLOAD, BY_HAND, BOTH = "here", "partly here", "to download", "by hand", "partly by hand"
"""States of a task's data; of what is partly here the rest is to download, of what is partly by hand a part is."""


@click.group(name="data", cls=SuggestingGroup)
def command() -> None:
    """What data there is, where it lies, how to get it, and whether it is whole.

    \b
    Examples:
      ssl-bench data ls --suite vtab
      ssl-bench data show vtab1k_pets
      ssl-bench data fetch vtab1k_pets vtab1k_dtd
      ssl-bench data check ./my_folder --duplicates
      ssl-bench data import ./my_folder > tasks/mine.toml
    """


@command.command(name="ls")
@click.argument("pattern", default="*")
@click.option("--suite", "-s", default="", help="Only the tasks of a suite.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, with every file, address and checksum.")
@with_settings(PLACES)
def ls(pattern: str, suite: str, resolved: Resolved, as_json: bool) -> None:
    """List the data of all tasks: whether it is here, its size and licence; PATTERN is a part of a name or a glob.

    \b
    Examples:
      ssl-bench data ls 'caltech*'
      ssl-bench data ls --suite vtab
      ssl-bench data ls --json | jq -r '.[].files[].urls[0]' | wget -x -i -     a mirror
    """
    settings = resolved.settings
    known = tasks.get_suite(suite, settings.shelves).tasks if suite else tasks.names(settings.shelves)
    chosen = [tasks.get(name, settings.shelves) for name in known if fnmatch.fnmatch(name, pattern) or pattern in name]
    if not chosen:
        raise UsageError(f"no task{f' of {suite}' if suite else ''} has a name like {pattern!r}; see ssl-bench data ls")
    states = [_state(card, settings) for card in chosen]
    if as_json:
        echo_json([_json(card, state, settings) for card, state in zip(chosen, states, strict=True)])
        return
    echo_table(
        ("task", "data", "size", "samples", "licence"),
        [_row(card, state) for card, state in zip(chosen, states, strict=True)],
        (2, 3),
    )
    click.echo(_summary(chosen, states, settings), err=True)


def _state(card: TaskCard, settings: Settings) -> str:
    from ssl_bench import datasets
    from ssl_bench.datasets import sources

    lacking = sources.missing(card.source.files, settings.data)
    if card.source.files and not (lacking or card.source.manual):
        return HERE  # each is whole, if it is there; a folder's files need not be counted
    try:
        datasets.locate(card, settings.data)
        return HERE
    except MissingError:
        pass
    if card.source.files and card.source.manual:
        return BOTH if lacking else BY_HAND
    if 0 < len(lacking) < len(card.source.files):
        return PARTLY
    return DOWNLOAD if datasets.automatic(card) else BY_HAND


def _row(card: TaskCard, state: str) -> tuple[Any, ...]:
    size = megabytes(card.source.bytes) if card.source.bytes else ""
    samples = sum(card.source.samples.values())
    return card.name, state, size, f"{samples:,}" if samples else "", card.source.licence


def _json(card: TaskCard, state: str, settings: Settings) -> dict[str, Any]:
    here = [{"here": (settings.data / file.path).exists()} for file in card.source.files]
    files = [plain(file) | found for file, found in zip(card.source.files, here, strict=True)]
    source: dict[str, Any] = plain(card.source)
    return {"task": card.name, "title": card.title, "state": state} | source | {"files": files}


def _summary(chosen: Sequence[TaskCard], states: Sequence[str], settings: Settings) -> str:
    """Return how much is here and what to do about the rest."""
    waiting = [card for card, state in zip(chosen, states, strict=True) if state in (PARTLY, DOWNLOAD, BOTH)]
    text = f"{states.count(HERE)} of {len(chosen)} here, in {settings.data}."
    if waiting:
        text += f"\n{len(waiting)} to download{_in_all(waiting, settings)}: ssl-bench data fetch NAME"
    if by_hand := states.count(BY_HAND) + states.count(BOTH):
        text += f"\n{by_hand} by hand: ssl-bench data show NAME tells the step"
    return text


def _in_all(cards: Sequence[TaskCard], settings: Settings) -> str:
    """Return the size of what tasks lack, files that they share once; where a file's is not known, by its card's."""
    from ssl_bench.datasets import sources

    total, seen, unknown = 0, set(), False
    for card in cards:
        lacking = [file for file in sources.missing(card.source.files, settings.data) if file.path not in seen]
        seen |= {file.path for file in lacking}
        total += sum(file.bytes for file in lacking)
        if not all(file.bytes for file in lacking):
            total += max(0, card.source.bytes - sum(file.bytes for file in card.source.files))
            unknown |= not card.source.bytes
    return f", {'at least ' if unknown else ''}{megabytes(total)} in all" if total else ""


@command.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def show(name: str, resolved: Resolved, as_json: bool) -> None:
    """Show a task's source, where its files lie, what is missing and how to get it, its splits and its classes."""
    settings = resolved.settings
    card = own_data.get(name, settings.shelves)
    state = _state(card, settings)
    if as_json:
        echo_json(_json(card, state, settings))
        return
    source = card.source
    facts: dict[str, Any] = {"task": card.name, "title": card.title, "source": source.url, "licence": source.licence}
    facts |= {"cite": source.citation, "note": " ".join(card.note.split()), "data": state}
    echo_facts(facts | (_held(card, settings) if state == HERE else _lacking(card, settings)))


def _held(card: TaskCard, settings: Settings) -> dict[str, Any]:
    """Return where a task's files lie, and what is in them."""
    from ssl_bench import datasets
    from ssl_bench.datasets import index

    facts: dict[str, Any] = {"files": _place(datasets.locate(card, settings.data))}
    try:
        splits = datasets.load(card, settings.data)
    except SslBenchError as error:
        return facts | {"fault": str(error)}
    facts["samples"] = ", ".join(f"{role} {len(split):,}" for role, split in splits.items())
    names = next(iter(splits.values())).class_names or card.class_names
    some = f": {', '.join(names[:20])}{' …' if len(names) > 20 else ''}" if names else ""
    facts["classes"] = f"{card.classes:,}{some}" if card.classes else ""
    known = index.lookup(card, settings.data, settings.cache)
    facts["digest"] = known.task_digest if known else f"not known; ssl-bench data check {card.name} reads every image"
    return facts


def _lacking(card: TaskCard, settings: Settings) -> dict[str, Any]:
    """Return what of a task's data is missing, and how to get it."""
    from ssl_bench import datasets

    source = card.source
    lines = []
    for file in source.files:
        here = "here" if (settings.data / file.path).exists() else megabytes(file.bytes) if file.bytes else "missing"
        kind = "sha256" if file.sha256 else "md5"
        lines += [f"{file.path}  ({here})", f"  {file.urls[0]}", f"  {kind} {file.sha256 or file.md5}"]
    try:
        datasets.locate(card, settings.data)
    except MissingError as error:
        reason = str(error.__cause__ or error)
    rest = sum(file.bytes for file in source.files) if source.manual else source.bytes
    command = [f"ssl-bench data fetch {card.name}{_sized(rest)}"] if datasets.automatic(card) else []
    by_hand = [f"{source.manual}{_sized(source.bytes - rest)}"] if source.manual else []
    return {"missing": reason, "download": lines, "get it": [*command, *by_hand]}


def _sized(size: int) -> str:
    return f"  ({megabytes(size)})" if size > 0 else ""


def _place(paths: Sequence[Path]) -> str:
    if len(paths) == 1:
        return str(paths[0])
    return f"{len(paths):,} under {os.path.commonpath(paths)}"


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
@click.option(
    "--mirror", help="Folder, or address of one, to ask first: by a file's name, or as `wget -x` lays it out."
)
@with_settings(PLACES)
def fetch(names: tuple[str, ...], suite: str, resolved: Resolved) -> int:
    """Download the data of tasks, or say the step that a person must take.

    Every file is verified, and an interrupted download goes on where it stopped. Exits with 6 where something is
    missing in the end.

    \b
    Examples:
      ssl-bench data fetch vtab1k_pets
      ssl-bench data fetch --suite vtab --mirror http://files.local/datasets
    """
    if not (names or suite):
        raise UsageError("nothing to fetch is named; give the names of tasks, or --suite")
    return fetch_command.fetch((), suite, names, resolved.settings)


command.add_command(check)


@command.command(name="import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@with_settings(PLACES)
def import_(folder: Path, resolved: Resolved) -> None:
    """Print the task card of your own folder of images: train/ and test/ folders of classes, or folders of classes.

    Nothing is copied. Without train/ and test/, 70 % of every class are train, 10 % val and 20 % test, drawn by the
    images' paths. Folders images/ and masks/ of the same names are a segmentation task, with the names of its classes,
    a line each, in classes.txt beside them. `ssl-bench run --model NAME --data FOLDER` measures on such a folder
    without a card.

    \b
    Examples:
      ssl-bench data import ./my_folder
      ssl-bench data import ./my_folder > tasks/mine.toml
    """
    from ssl_bench import datasets
    from ssl_bench.datasets import checks

    card = own_data.card(folder)
    splits = datasets.load(card, resolved.settings.data)
    click.echo(own_data.toml(card), nl=False)
    counts = ", ".join(f"{role} {len(split):,}" for role, split in splits.items())
    click.echo(f"{counts} samples. Are they whole: ssl-bench data check {folder}", err=True)
    for role, names in checks.empty_classes(card, splits).items():
        click.echo(f"{role} has no sample of: {', '.join(names)}", err=True)
