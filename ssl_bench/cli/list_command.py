"""`ssl-bench list`: what there is."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ssl_bench import aggregators, cards, model_zoo, protocols, tasks
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.settings import Resolved, Settings

Row = dict[str, Any]


def _models(settings: Settings) -> list[Row]:
    rows = []
    for name, path in model_zoo.names(settings.shelves).items():
        card = model_zoo.read(path)
        state = model_zoo.weights_state(card, settings.weight_folders)
        weights = "none needed" if not state.needed else "to fetch" if state.missing else "here"
        rows.append({"name": name, "title": card.title, "adapter": card.adapter, "weights": weights})
    return rows


def _tasks(settings: Settings) -> list[Row]:
    return [
        {"name": name, "title": card.title, "classes": card.classes, "metric": card.metric, "reader": card.reader}
        for name, path in tasks.names(settings.shelves).items()
        for card in [tasks.read(path)]
    ]


def _suites(settings: Settings) -> list[Row]:
    return [
        {"name": name, "title": suite.title, "tasks": len(suite.tasks), "mean": suite.aggregate}
        for name, path in tasks.suite_names(settings.shelves).items()
        for suite in [tasks.read_suite(path)]
    ]


def _aggregators(settings: Settings) -> list[Row]:
    return [{"name": name, "what": found.what} for name, found in aggregators.AGGREGATORS.items()]


def _protocols(settings: Settings) -> list[Row]:
    return [
        {"name": name, "what": protocols.summary(name), "install": protocols.lacks(name)} for name in protocols.names()
    ]


def _metrics(settings: Settings) -> list[Row]:
    from ssl_bench import metrics  # brings NumPy, which no other list needs

    return [
        {"name": metric.name, "unit": metric.unit, "better": "higher" if metric.higher_is_better else "lower"}
        for metric in metrics.METRICS.values()
    ]


def _plugins(settings: Settings) -> list[Row]:
    return [{"shelf": str(folder)} for folder in (*cards.plugin_shelves(), *settings.shelf)]


KINDS: dict[str, Callable[[Settings], list[Row]]] = {
    "models": _models,
    "tasks": _tasks,
    "suites": _suites,
    "aggregators": _aggregators,
    "protocols": _protocols,
    "metrics": _metrics,
    "plugins": _plugins,
}


@click.command(name="list")
@click.argument("kind", default="")
@click.argument("pattern", default="")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def command(kind: str, pattern: str, resolved: Resolved, as_json: bool) -> None:
    """List models, tasks, suites, aggregators, protocols, metrics or plugins; PATTERN is a part of a name or a glob.

    \b
    Examples:
      ssl-bench list models
      ssl-bench list models 'dino*'
      ssl-bench list tasks --json
    """
    kinds = [kind if kind.endswith("s") else f"{kind}s"] if kind else list(KINDS)
    if kinds[0] not in KINDS:
        raise UsageError(f"there is no list of {kind!r}.{did_you_mean(kind, KINDS)} Known: {', '.join(KINDS)}")
    tables = {name: [row for row in KINDS[name](resolved.settings) if _matches(row, pattern)] for name in kinds}
    if as_json:
        echo_json(tables if not kind else tables[kinds[0]])
        return
    for name, rows in tables.items():
        if not kind:
            click.secho(f"{name} ({len(rows)})", bold=True)
        if rows:
            echo_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
        if not kind:
            click.echo()


def _matches(row: Row, pattern: str) -> bool:
    name = str(next(iter(row.values())))
    return not pattern or pattern in name or fnmatch.fnmatch(Path(name).name, pattern)
