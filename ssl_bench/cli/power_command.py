"""`ssl-bench power`: which differences a comparison could see."""

from __future__ import annotations

import click

from ssl_bench import tasks as task_cards
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import UsageError
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved

KEYS = ("task", "n", "detectable", "detectable_alone", "power", "needed")
Row = tuple[str, int, float, float, float, int]


@click.command(name="power")
@click.option("--suite", "-s", default="", help="Tasks of this suite; else all that have records.")
@click.option("--effect", default="0.5pt", show_default=True, help="Difference to be seen, such as 0.5pt.")
@click.option("--discordance", default=0.03, show_default=True, help="Share of samples right on one side alone.")
@click.option("--alpha", default=0.05, show_default=True, help="Share of comparisons that may raise a false alarm.")
@click.option("--target", default=0.8, show_default=True, help="Power that makes a difference detectable.")
@click.option("-n", "size", type=click.IntRange(1), help="Test samples of each task whose size no record tells.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def command(
    suite: str,
    effect: str,
    discordance: float,
    alpha: float,
    target: float,
    size: int | None,
    resolved: Resolved,
    as_json: bool,
) -> None:
    """Say, per task and for the mean, the smallest difference that `compare` sees, and how likely it sees --effect.

    Sizes of test sets are read from the records. Discordance is the share of samples that one side alone gets right:
    a comparison shows it as lost/won, `ssl-bench compare --calibrate` measures it for runs of one commit.

    \b
    Examples:
      ssl-bench power --suite small7 --effect 0.5pt
      ssl-bench power --effect 1pt --discordance 0.08
    """
    from ssl_bench.comparison.margins import parse
    from ssl_bench.statistics import detectable_mean

    margin = parse(effect, "--effect")
    wanted = margin.of(1.0, "fraction")
    for name, value in (("effect", wanted), ("discordance", discordance), ("alpha", alpha), ("target", target)):
        if not 0 < value < 1:  # false for nan, which click lets through
            raise UsageError(f"--{name} must lie between 0 and 1, or 0pt and 100pt, and not be {value}")
    sizes = _sizes(resolved, suite, size)
    rows = _rows(sizes, wanted, discordance, alpha, target)
    mean = detectable_mean([discordance / n for n in sizes.values()], alpha, target)
    if as_json:
        told = [dict(zip(KEYS, row, strict=True)) for row in rows]
        echo_json({"effect": wanted, "discordance": discordance, "alpha": alpha, "tasks": told, "mean": mean})
        return
    echo_table(
        ("task", "n", "detectable pt", "alone pt", f"power at {margin}", "n needed"),
        [
            (name, f"{n:,}", f"{100 * least:.2f}", f"{100 * alone:.2f}", f"{chance:.2f}", f"{many:,}")
            for name, n, least, alone, chance, many in rows
        ],
        (1, 2, 3, 4, 5),
    )
    click.echo(
        f"mean over {len(rows)} tasks: detectable from {100 * mean:.2f} pt. Power {target:g}, {100 * discordance:g} % "
        f"discordant; tasks as in {len(rows)} tests at once, the strictest step of Holm's correction",
        err=True,
    )


def _rows(sizes: dict[str, int], wanted: float, discordance: float, alpha: float, target: float) -> list[Row]:
    """Return the table's rows; tests at once share α as the strictest step of Holm's correction does."""
    from ssl_bench.statistics import detectable, needed, power

    corrected = alpha / len(sizes)
    return [
        (
            name,
            n,
            detectable(n, discordance, corrected, target),
            detectable(n, discordance, alpha, target),
            power(wanted, n, discordance, corrected),
            needed(wanted, discordance, corrected, target),
        )
        for name, n in sizes.items()
    ]


def _sizes(resolved: Resolved, suite: str, size: int | None) -> dict[str, int]:
    """Return test samples per task; raise UsageError where a task's are not known."""
    settings = resolved.settings
    known = {record.task.name: record.task.samples["test"] for record in Results(settings.results).records()}
    names = task_cards.get_suite(suite, settings.shelves).tasks if suite else tuple(sorted(known))
    if not names:
        raise UsageError(f"no record is under {settings.results}, so no test set's size is known; name a suite, and -n")
    unknown = [name for name in names if name not in known]
    if unknown and size is None:
        raise UsageError(
            f"no record under {settings.results} tells the size of {', '.join(unknown[:5])}"
            f"{f' and {len(unknown) - 5} more' if len(unknown) > 5 else ''}; -n N takes them for N samples each"
        )
    return {name: known.get(name, size or 0) for name in names}
