"""`ssl-bench baseline`: named sets of records to compare with."""

from __future__ import annotations

from pathlib import Path

import click

from ssl_bench.cli.groups import SuggestingGroup
from ssl_bench.cli.tables import echo_json, echo_table

FOLDER = click.option(
    "--baselines",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("baselines"),
    show_default=True,
    help="Folder of named baselines.",
)


@click.group(name="baseline", cls=SuggestingGroup)
def command() -> None:
    """Keep named sets of records to compare with: a folder each, which may be committed.

    \b
    Examples:
      ssl-bench baseline set main results --reason "release 1.2"
      ssl-bench baseline push main --to git:ssl-bench-baselines
      ssl-bench baseline pull main --from git:origin/ssl-bench-baselines
      ssl-bench compare baseline:main results
    """


@command.command(name="set")
@click.argument("name")
@click.argument("source")
@click.option("--reason", default="", help="Why; asked for where other records bear the name.")
@FOLDER
def set_(name: str, source: str, reason: str, folder: Path) -> None:
    """Set the baseline NAME to the records of SOURCE.

    SOURCE is a folder, a packed file, s3://bucket/prefix, git:REF:PATH or baseline:NAME.
    """
    from ssl_bench.comparison import baselines, sources

    found = baselines.put(name, sources.get(source, folder), folder, reason)
    click.echo(f"{folder / name}\t{found.now.records} records\t{found.now.samples} with samples")


@command.command(name="show")
@click.argument("name", default="")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@FOLDER
def show(name: str, as_json: bool, folder: Path) -> None:
    """Show the baseline NAME and what it replaced, or all."""
    from ssl_bench import cards
    from ssl_bench.comparison import baselines

    found = [baselines.load(one, folder) for one in ([name] if name else baselines.names(folder))]
    if as_json:
        echo_json([cards.plain(one) for one in found])
        return
    if not found:
        click.echo(f"there is no baseline under {folder}; `ssl-bench baseline set NAME SOURCE` makes one", err=True)
        return
    rows = [baselines.describe(one) for one in found]
    echo_table(tuple(rows[0]), [tuple(row.values()) for row in rows], (1, 2, 7))
    for one in reversed(found[0].history if name else ()):
        click.echo(f"before: {one.created} {one.records} records, {one.digest[:12]}, {one.reason or 'no reason given'}")


@command.command(name="pull")
@click.argument("name")
@click.option("--from", "origin", required=True, help="Folder of baselines, or git:REF[:PATH].")
@FOLDER
def pull(name: str, origin: str, folder: Path) -> None:
    """Fetch the baseline NAME from a shared folder or a branch."""
    from ssl_bench.comparison import baselines

    found = baselines.pull(name, origin, folder)
    click.echo(f"{folder / name}\t{found.now.records} records\t{found.now.samples} with samples")


@command.command(name="push")
@click.argument("name")
@click.option("--to", "target", required=True, help="Folder of baselines, or git:BRANCH[:PATH] of this clone.")
@FOLDER
def push(name: str, target: str, folder: Path) -> None:
    """Send the baseline NAME to a shared folder or a branch.

    A branch of this clone gets a commit; it is not checked out, and its other files stay.
    """
    from ssl_bench.comparison import baselines

    found = baselines.push(name, target, folder)
    click.echo(f"{target}\t{found.now.records} records\t{found.now.samples} with samples")
