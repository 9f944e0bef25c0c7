"""The commands of `ssl-bench results` that compare stores, move records, and keep them in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import EXIT_NEGATIVE, EXIT_OK
from ssl_bench.files import canonical_json
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved

if TYPE_CHECKING:
    from ssl_bench.results.difference import Difference
    from ssl_bench.results.keeping import Waste


def say(line: str) -> None:
    """Tell the user on stderr."""
    click.echo(line, err=True)


def open_results(resolved: Resolved) -> Results:
    """Return the records that the settings name, with the index in the cache folder."""
    return Results(resolved.settings.results, resolved.settings.cache, say)


def report_skipped(results: Results) -> None:
    """Name every file that could not be read as a record."""
    for skipped in results.index.skipped():
        say(f"skipped: {skipped}")


@click.command(name="pack")
@with_settings(PLACES)
def pack(resolved: Resolved) -> None:
    """Move loose records into one sorted file per model: the form that is committed and published.

    \b
    Example:
      ssl-bench results pack && git add results
    """
    results = open_results(resolved)
    _report(results.pack(), f"packed into {results.root}/")
    for skipped in results.skipped:
        say(f"left as it is: {skipped}")


@click.command(name="unpack")
@with_settings(PLACES)
def unpack(resolved: Resolved) -> None:
    """Move packed records back into one file per record: the inverse of `pack`.

    \b
    Example:
      ssl-bench results unpack
    """
    results = open_results(resolved)
    _report(results.unpack(), f"unpacked to {results.root}/")


def _report(names: list[str], words: str) -> None:
    for name in names:
        click.echo(f"{words}{name}")
    if not names:
        say("nothing to do")


@click.command(name="import")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@with_settings(PLACES)
def import_(source: str, resolved: Resolved, as_json: bool) -> None:
    """Copy the records of SOURCE here, with their per-sample predictions where SOURCE has them.

    SOURCE is a folder, a packed file, a bundle, s3://bucket/prefix or git:REF:PATH. Records that are here already stay
    as they are; other numbers for the same job are kept beside them. An import that was interrupted is finished by
    another.

    \b
    Examples:
      ssl-bench results import ../other/results
      ssl-bench results import results --results s3://bucket/prefix
      ssl-bench results import bundle.tar
    """
    from ssl_bench.results.keeping import import_records
    from ssl_bench.results.sources import open_source
    from ssl_bench.submission import bundle
    from ssl_bench.submission import source as bundled

    is_bundle = source.endswith(".tar")
    cache = resolved.settings.cache
    given = bundled.results(bundle.read(Path(source))) if is_bundle else open_source(source, cache, say)
    counts = import_records(open_results(resolved), given)
    if as_json:
        echo_json(dict(counts))
    else:
        words = {"stored": "new", "drift": "new with other numbers", "present": "here already"}
        said = [f"{count} {words.get(what, what)}" for what, count in sorted(counts.items()) if count]
        click.echo(", ".join(said) or f"{source} holds no record")
    report_skipped(given)


@click.command(name="diff")
@click.argument("a")
@click.argument("b")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def diff(a: str, b: str, resolved: Resolved, as_json: bool) -> int:
    """Say which jobs A and B do not have alike; exit code 1 if there are any.

    A and B are each a folder, a packed file, s3://bucket/prefix or git:REF:PATH. Numbers are compared exactly; whether
    a difference means anything is for `ssl-bench compare` to say.

    \b
    Examples:
      ssl-bench results diff git:main:results results
      ssl-bench results diff git:main:results/digits_vit.jsonl results/digits_vit.jsonl --json
    """
    from ssl_bench.results.difference import differences
    from ssl_bench.results.sources import open_source

    sides = [open_source(words, resolved.settings.cache, say) for words in (a, b)]
    found = differences(*(side.records() for side in sides))
    if as_json:
        echo_json([dataclasses.asdict(one) for one in found])
    elif found:
        header = ("what", "model", "task", "protocol", "seed", "differing: A, B")
        echo_table(
            header, [(one.what, one.model, one.task, one.protocol, one.seed, _fields(one)) for one in found], (4,)
        )
    else:
        click.echo("the same jobs with the same numbers")
    for side in sides:
        report_skipped(side)
    return EXIT_NEGATIVE if found else EXIT_OK


def _fields(one: Difference) -> str:
    return "; ".join(f"{name}: {canonical_json(left)}, {canonical_json(right)}" for name, left, right in one.fields)


@click.command(name="withdraw")
@click.argument("record")
@click.option("--reason", required=True, help="Why; readers of the board see it.")
@with_settings(PLACES)
def withdraw(record: str, reason: str, resolved: Resolved) -> None:
    """Take a record back. It stays readable and listed, boards leave it out, and the next run measures anew.

    RECORD is a record id or the first digits of it: all records of that job are withdrawn. To withdraw one of several
    (drift), give the first digits of its content digest, as `results show` lists them.

    \b
    Example:
      ssl-bench results withdraw 4f2a9c --reason "test images were among the training data"
    """
    results = open_results(resolved)
    made = results.withdraw(record, reason)
    for withdrawal in made:
        job = f"{withdrawal.model} · {withdrawal.task} · {withdrawal.protocol} · seed {withdrawal.seed}"
        click.echo(f"withdrawn: {job}, content digest {withdrawal.content_digest[:16]}")
    if not made:
        say("it was withdrawn before; nothing to do")


@click.command(name="dispute")
@click.argument("records", nargs=-1, required=True)
@click.option("--reason", required=True, help="What is doubted; readers of the board see it.")
@click.option("--link", default="", help="Where it is discussed (an address).")
@click.option("--by", required=True, help="Who doubts; signed, the name in the list of signers.")
@click.option("--settle", is_flag=True, help="The doubt is removed, for this reason; nothing is deleted.")
@click.option("--sign", type=click.Path(path_type=Path), help="SSH key to sign with.")
@with_settings(PLACES)
def dispute(
    records: tuple[str, ...], reason: str, link: str, by: str, settle: bool, sign: Path | None, resolved: Resolved
) -> None:
    """Say that records are in doubt. They stay where they are, and boards say so until it is settled.

    RECORDS are record ids or content digests, or the first digits of them.

    \b
    Examples:
      ssl-bench results dispute 4f2a9c --by me@lab --reason "cannot be reproduced" --link https://example.org/issues/7
      ssl-bench results dispute 4f2a9c --by me@lab --settle --reason "another GPU driver; see the issue"
    """
    from ssl_bench.results.describe import clean
    from ssl_bench.results.disputes import dispute as put

    for made in put(open_results(resolved), records, reason, by=by, link=link, settle=settle, key=sign):
        word = "settled" if settle else "disputed"
        click.echo(f"{word}: {clean(made.model)}, {len(made.records)} records; verification {made.content_digest[:16]}")


@click.command(name="gc")
@click.option("--drift", is_flag=True, help="Also younger records with other numbers than the first.")
@click.option("--yes", is_flag=True, help="Remove; without it, only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def gc(drift: bool, yes: bool, as_json: bool, resolved: Resolved) -> None:
    """Remove what no reader needs: predictions that no record names, repeats of equal numbers, leftovers of kills.

    The record that stands for a job is never removed, nor is a withdrawn one. Predictions are kept for a day.

    \b
    Examples:
      ssl-bench results gc
      ssl-bench results gc --yes
    """
    from ssl_bench.results import keeping

    results = open_results(resolved)
    found = keeping.waste(results, drift=drift)
    if as_json:
        echo_json(dataclasses.asdict(found))
    else:
        _say_waste(found)
    anything = bool(found.samples or found.repeats or found.leftovers)
    if yes and anything:
        keeping.remove(results, found)
    elif anything:
        say("nothing was removed; --yes removes it")


def _say_waste(found: Waste) -> None:
    _each("predictions that no record names", found.samples)
    _each("younger records", (f"{name}:{line} ({status})" for name, line, _, status in found.repeats))
    _each("leftovers", found.leftovers)
    click.echo(
        f"{len(found.samples)} predictions ({found.bytes / 1e6:.1f} MB), {len(found.repeats)} younger records, "
        f"{len(found.leftovers)} leftovers"
    )
    if found.held_back:
        say(f"predictions were not looked at: {found.held_back}")


def _each(what: str, names: Iterable[str]) -> None:
    for name in names:
        click.echo(f"{what}: {name.replace('.json:0', '.json')}")


COMMANDS: tuple[click.Command, ...] = (pack, unpack, import_, diff, withdraw, dispute, gc)
