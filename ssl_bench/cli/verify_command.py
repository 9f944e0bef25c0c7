"""`ssl-bench verify`: do again what somebody claims, and write down what came of it."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench.cli.keep_records import open_results, say
from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import EXIT_NEGATIVE, EXIT_OK, UsageError
from ssl_bench.files import canonical_json, write_text
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.submission.claims import Claim
    from ssl_bench.submission.verification import Level, Report
    from ssl_bench.submission.verifying import Redone

HEX = 16
"""Bytes of a nonce."""


@click.command(name="verify")
@click.argument("claims", nargs=-1, required=True, metavar="BUNDLE|RECORD...")
@click.option(
    "--level",
    type=click.Choice(["schema", "rescore", "sample", "full"]),
    default="rescore",
    show_default=True,
    help="How much to do again; each level does what those before it do.",
)
@click.option("--nonce", default="", help="From which images and tasks are drawn [default: drawn now].")
@click.option("--images", type=click.IntRange(min=1), help="sample: images of each task [default: 32].")
@click.option("--tasks", type=click.IntRange(min=1), help="sample: tasks to run again [default: 5].")
@click.option("--model", "-m", default="", help="Your copy of the model, if its card is not called as the claim's.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="Folder for report.json, report.md, verification.json."
)
@click.option("--by", default="", help="Who verifies; signed, the name in the list of signers.")
@click.option("--sign", type=click.Path(path_type=Path), help="SSH key to sign with.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON.")
@with_settings(PLACES, WORK)
def command(
    claims: tuple[str, ...],
    level: Level,
    nonce: str,
    images: int | None,
    tasks: int | None,
    model: str,
    out: Path | None,
    by: str,
    sign: Path | None,
    as_json: bool,
    resolved: Resolved,
) -> int:
    """Verify a bundle, or records of the results folder: exit code 0 if all agrees, 1 if anything does not.

    rescore computes every metric from the predictions once more. sample also extracts images again, which are drawn
    from a nonce after the bundle is fixed, and runs some tasks again, with your copy of the weights; full runs all.
    What came of it is kept beside the records, signed with --sign, and boards show it.

    \b
    Examples:
      ssl-bench verify bundle.tar
      ssl-bench verify bundle.tar --level sample --by me@lab --sign ~/.ssh/id_ed25519 --out checked
      ssl-bench verify 4f2a9c --level full
    """
    from ssl_bench.results.trust import signed

    if sign and not by:
        raise UsageError("a signature needs the name that the list of signers has: give --by")
    results, right = open_results(resolved), True
    found = _claims(claims, resolved)
    if out and len(found) > 1:
        raise UsageError(f"--out takes one report, and these are claims of {len(found)} models")
    for claim in found:
        report = _verify(claim, level, resolved.settings, nonce=nonce, images=images, tasks=tasks, model=model, by=by)
        verification = signed(report.verification(), sign)
        if report.earned != "schema" or not report.agrees:
            results.put_verification(verification)
        if out:
            write_text(out / "report.json", f"{canonical_json(report.to_json())}\n")
            write_text(out / "report.md", report.markdown())
            write_text(out / "verification.json", f"{verification.to_text()}\n")
        echo_json(report.to_json()) if as_json else _echo(report)
        right &= report.agrees
    return EXIT_OK if right else EXIT_NEGATIVE


def _claims(words: tuple[str, ...], resolved: Resolved) -> list[Claim]:
    """Return what is claimed: each word is a bundle's file, or the first digits of a record's id."""
    from ssl_bench.submission import bundle
    from ssl_bench.submission import claims as kinds

    files = [word for word in words if "/" in word or "." in word or Path(word).is_file()]
    prefixes = [word for word in words if word not in files]
    found = [kinds.of_bundle(bundle.read(Path(word))) for word in files]
    return [*found, *(kinds.of_records(open_results(resolved), prefixes) if prefixes else ())]


def _verify(
    claim: Claim,
    level: Level,
    settings: Settings,
    *,
    nonce: str,
    images: int | None,
    tasks: int | None,
    model: str,
    by: str,
) -> Report:
    """Return the report of one claim, cheap checks first."""
    from ssl_bench.progress import choose
    from ssl_bench.submission import drawing
    from ssl_bench.submission.verification import Drawn, Report
    from ssl_bench.submission.verifying import rescored

    verifier, progress = by or "an unnamed verifier", choose(settings.progress)
    redone = _judged(claim, settings)
    if level == "schema":
        return Report(claim, level, tuple(redone), verifier)
    from ssl_bench.remeasure import Remeasure, own_targets

    redone += rescored(claim, own_targets(settings, progress))
    if level == "rescore":
        return Report(claim, level, tuple(redone), verifier)
    again = Remeasure(claim, settings, progress, model)
    again.check_here()
    redone += again.weights()
    drawn = Drawn(nonce or secrets.token_hex(HEX), images or drawing.IMAGES, claim.tasks)
    if level == "sample":
        others = [record for record in again.store.records() if record.model.name != claim.model]
        chosen = drawing.tasks(drawn.nonce, claim, tasks or drawing.TASKS, others)
        drawn = Drawn(drawn.nonce, drawn.images, chosen)
        say(f"drawn from the nonce {drawn.nonce} (after an interruption, go on with --nonce {drawn.nonce})")
    redone += again.features(drawn.nonce, drawn.images)
    redone += again.runs(drawn.tasks)
    return Report(claim, level, tuple(redone), verifier, drawn=drawn)


def _judged(claim: Claim, settings: Settings) -> list[Redone]:
    """Return what the board's validator says of a bundle; records of a store answer no round."""
    if claim.bundle is None:
        return []
    from ssl_bench import rounds
    from ssl_bench.cli.knowing import known
    from ssl_bench.submission import validator, waivers
    from ssl_bench.submission.verifying import judged

    round = rounds.current(claim.bundle.manifest.suite.name, settings)
    waived = waivers.read_all(settings.shelves)
    return judged(validator.validate(claim.bundle, round, known(None, round, settings), waived))


def _echo(report: Report) -> None:
    shown = [one for one in report.redone if one.outcome != "agrees"] or list(report.redone)
    if shown:
        echo_table(("job", "what", "outcome", "found"), [_row(one) for one in shown])
    counts = {word: sum(one.outcome == word for one in report.redone) for word in ("agrees", "disagrees", "open")}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "read and checked"
    if report.odds:
        click.echo(report.odds_line())
    if report.earned != report.level:
        say("labels of some tasks are not here, so that it counts as self-reported; `ssl-bench fetch` gets data")
    click.echo(f"{report.claim.model}: {'agrees' if report.agrees else 'DISAGREES'} at level {report.level} ({said})")


def _row(one: Redone) -> tuple[str, str, str, str]:
    from ssl_bench.submission.limits import readable

    return readable(one.job), one.what, one.outcome, readable(one.said, 200)
