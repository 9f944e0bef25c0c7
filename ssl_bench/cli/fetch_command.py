"""`ssl-bench fetch`: get weights and data."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ssl_bench import model_zoo, protocols, tasks
from ssl_bench.cli.options import MIRROR, PLACES, with_settings
from ssl_bench.errors import EXIT_MISSING, EXIT_OK, SslBenchError, UsageError
from ssl_bench.progress import choose
from ssl_bench.settings import Resolved, Settings


@click.command(name="fetch")
@click.option("--model", "-m", "models", multiple=True, help="Model whose weights to get.")
@click.option("--suite", "-s", default="", help="Suite whose data to get.")
@click.option("--task", "-t", "names", multiple=True, help="Task whose data to get.")
@click.option("--protocol", "-p", "asked", multiple=True, help="Protocol whose published subsets of train to get.")
@click.option("--offline", is_flag=True, default=None, help="Only say what is not here.")
@MIRROR
@with_settings(PLACES)
def command(
    models: tuple[str, ...], suite: str, names: tuple[str, ...], asked: tuple[str, ...], resolved: Resolved
) -> int:
    """Get weights and data, on a machine with a network; `run --offline` then needs none.

    Weights go to the weights folder, data to the data folder (`ssl-bench run --print-config` shows both).
    An interrupted download goes on where it stopped, and what a card pins is verified. Mirrors: --mirror or
    SSL_BENCH_MIRROR for files with an address of their own, HF_ENDPOINT for another Hugging Face hub. Exits with 6
    where something could not be had.

    \b
    Examples:
      ssl-bench fetch --model dinov2_vitb14 --suite vtab
      ssl-bench fetch --suite vtab --mirror http://files.local/datasets
    """
    if not (models or suite or names or asked):
        raise UsageError("nothing to fetch is named; give --model, --suite, --task or --protocol")
    return fetch(models, suite, names, resolved.settings, asked)


def fetch(
    models: Sequence[str], suite: str, names: Sequence[str], settings: Settings, asked: Sequence[str] = ()
) -> int:
    """Get the weights of models, the data of tasks and the subsets that protocols `asked` for; print a line for each,
    and return the exit code."""
    from ssl_bench.fetch import fetch_all, fetch_subsets

    wanted = [*(tasks.get_suite(suite, settings.shelves).tasks if suite else ()), *names]
    cards = [tasks.get(name, settings.shelves) for name in dict.fromkeys(wanted)]
    zoo = [model_zoo.get(name, settings.shelves) for name in models]
    subsets = [name for text in asked for name in protocols.get(text).subsets]
    failed, progress = False, choose(settings.progress)
    if asked and not subsets:
        click.echo(f"{' and '.join(asked)}: nothing to fetch")
    for what, found in [*fetch_all(zoo, cards, settings, progress), *fetch_subsets(subsets, settings, progress)]:
        failed |= isinstance(found, SslBenchError)
        click.echo(f"{what}: {'MISSING: ' if isinstance(found, SslBenchError) else ''}{found or 'nothing to put here'}")
    return EXIT_MISSING if failed else EXIT_OK
