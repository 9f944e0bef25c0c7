"""`ssl-bench submit`: from a model to a bundle that the board takes, or to what is still wrong with it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.errors import UsageError
from ssl_bench.files import check_writable, megabytes, write_text
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.leaderboard.entries import Entry
    from ssl_bench.plans.planner import Planned
    from ssl_bench.results.record import Record
    from ssl_bench.submission.bundle import Bundle
    from ssl_bench.submission.rounds import Round
    from ssl_bench.submission.validator import Report


@click.command(name="submit")
@click.argument("what", required=False)
@click.option("--model", "-m", help="The same as WHAT, for a model by name.")
@click.option("--card", type=click.Path(path_type=Path), help="The entry; `ssl-bench new entry NAME` writes one.")
@click.option("--suite", "-s", default="", help="Suite whose open round is answered; a bundle names its own.")
@click.option("--out", "-o", type=click.Path(path_type=Path), default=Path("bundle.tar"), show_default=True)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Folder of report.json and report.md [default: --out's]."
)
@click.option("--check-only", is_flag=True, help="Measure and write no bundle; say what would be wrong.")
@click.option("--sign", type=click.Path(path_type=Path), help="SSH key to sign with (ssh-keygen).")
@click.option("--board", type=click.Path(path_type=Path), help="Folder of the board's packed records.")
@with_settings(PLACES, WORK)
def command(
    what: str | None,
    model: str | None,
    card: Path | None,
    suite: str,
    out: Path,
    report: Path | None,
    check_only: bool,
    sign: Path | None,
    board: Path | None,
    resolved: Resolved,
) -> int:
    """Measure what is missing of WHAT for the suite's open round, bundle it with the card, and check the bundle as the
    board does.

    WHAT is a model's name, a .safetensors checkpoint, a folder or packed file of records, or a bundle, which is checked
    alone. Exits with 0 if the board can take it, 1 if something is to be mended, 2 for a wrong word or a damaged file.

    \b
    Examples:
      ssl-bench new entry digits_vit                              writes leaderboard/entries/digits_vit.toml: fill it in
      ssl-bench submit -m digits_vit --card leaderboard/entries/digits_vit.toml -s quick
      ssl-bench submit weights.safetensors,family=mae --card my_mae.toml -s vtab --sign ~/.ssh/id_ed25519
      ssl-bench submit bundle.tar                                 what the board's workflow runs
    """
    word, settings = what or model, resolved.settings
    if not word or (what and model):
        raise UsageError("name one model, checkpoint, folder of records or bundle to submit")
    if word.endswith(".tar"):
        return _check_file(Path(word), suite, board, settings, report or out.parent)
    if card is None:
        raise UsageError("--card is missing; `ssl-bench new entry NAME` writes one to fill in")
    if not suite:
        raise UsageError("--suite is missing; `ssl-bench list suites` shows all")
    check_writable(out.parent, "the bundle")
    found = _submit(word, card, suite, None if check_only else out, sign, board, settings)
    return _tell(found, report or out.parent)


def _check_file(path: Path, suite: str, board: Path | None, settings: Settings, folder: Path) -> int:
    """Check a bundle as the board does, write both reports, and return the exit code."""
    from ssl_bench import rounds
    from ssl_bench.cli.knowing import known
    from ssl_bench.submission import bundle, validator, waivers

    try:
        given = bundle.read(path)
        round = rounds.current(suite or given.manifest.suite.name, settings)
    except UsageError as error:
        _write(validator.unreadable(path, error), folder)
        raise
    return _tell(
        validator.validate(given, round, known(board, round, settings), waivers.read_all(settings.shelves)), folder
    )


def _submit(
    word: str,
    card: Path,
    suite: str,
    out: Path | None,
    sign: Path | None,
    board: Path | None,
    settings: Settings,
) -> Report:
    """Make the bundle, write it where `out` says, and return what the validator finds; without `out` nothing is
    measured."""
    from ssl_bench import cards, rounds
    from ssl_bench.cli.knowing import known
    from ssl_bench.leaderboard import entries
    from ssl_bench.submission import bundle, validator, waivers

    entry = entries.from_table(cards.read_toml(card), str(card))
    round = rounds.current(suite, settings)
    made = _bundle(word, card, entry, round, sign, settings, measure=out is not None)
    report = validator.validate(made, round, known(board, round, settings), waivers.read_all(settings.shelves))
    if out:
        bundle.write(made, out)
        click.echo(f"{out} ({megabytes(out.stat().st_size)}, {len(made.records)} records, sha256 {made.digest[:16]}…)")
    return report


def _bundle(
    word: str, card: Path, entry: Entry, round: Round, sign: Path | None, settings: Settings, *, measure: bool
) -> Bundle:
    """Return the bundle of what is claimed of a model, measuring before what is missing."""
    from ssl_bench import __version__, environment, submitting
    from ssl_bench.submission import assembly
    from ssl_bench.submission.manifest import Harness

    if submitting.is_records(word, settings):
        measured = submitting.of_records(word, entry, round, settings)
    else:
        measured = submitting.of_model(word, entry, round, settings, _execute if measure else None)
    return assembly.assemble(
        measured,
        round.asked,
        Harness(__version__, environment.source_digest()),
        card=card.read_bytes(),
        lock=environment.installed(),
        invocation=("ssl-bench", "submit", "--model", entry.name, "--suite", round.suite.name),
        key=sign,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _execute(planned: list[Planned], settings: Settings) -> list[Record]:
    """Run what has no record, and return all records; the validator names what could not be measured."""
    from ssl_bench.cli.run_command import execute

    outcome = execute(planned, settings)
    undone, records = [*outcome.skipped, *outcome.failures], [*outcome.present, *outcome.written]
    if undone and not records:
        raise undone[0].error
    for failure in undone:
        click.echo(f"not measured: {failure.job.label}: {failure.error}", err=True)
    return records


def _tell(report: Report, folder: Path) -> int:
    """Write both reports, print what was found, and return the exit code."""
    _write(report, folder)
    for finding in report.findings:
        note = f" (waived: {finding.waived})" if finding.waived else ""
        click.echo(f"{finding}{note}", err=True)
    errors = sum(finding.refuses for finding in report.findings)
    verdict = "can be taken" if report.accepted else f"{errors} to mend"
    click.echo(f"{report.round}: {verdict}. Reports: {folder / 'report.json'}, {folder / 'report.md'}")
    return report.exit_code


def _write(report: Report, folder: Path) -> None:
    from ssl_bench.submission import reports

    write_text(folder / "report.json", reports.to_json(report) + "\n")
    write_text(folder / "report.md", reports.markdown(report))
