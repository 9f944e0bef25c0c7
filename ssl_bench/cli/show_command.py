"""`ssl-bench show`: one card, with what is resolved and what is missing; or one record."""

from __future__ import annotations

import re
from typing import Any

import click

from ssl_bench import cards, model_zoo, protocols, tasks
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.settings import Resolved, Settings


@click.command(name="show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def command(name: str, resolved: Resolved, as_json: bool) -> None:
    """Show a model, task, suite or protocol by its name, a card by its path, or a record by the first digits of its id.

    \b
    Examples:
      ssl-bench show dinov2_vitb14
      ssl-bench show knn
      ssl-bench show 4f2a9c
    """
    facts = [facts for kind in (_model, _task, _suite, _protocol) if (facts := kind(name, resolved.settings))]
    if not facts and re.fullmatch("[0-9a-f]{4,64}", name):
        from ssl_bench.cli.results_command import echo_record

        echo_record(resolved, name, as_json)
        return
    if not facts:
        shelves = resolved.settings.shelves
        known = [*model_zoo.names(shelves), *tasks.names(shelves), *tasks.suite_names(shelves), *protocols.names()]
        raise UsageError(f"nothing is called {name!r}.{did_you_mean(name, known)} `ssl-bench list` shows all.")
    if as_json:
        echo_json(facts[0] if len(facts) == 1 else facts)
        return
    for table in facts:
        _echo_table(table)


def _model(name: str, settings: Settings) -> dict[str, Any] | None:
    head = name.partition(",")[0]
    if head not in model_zoo.names(settings.shelves) and ":" not in head:
        return None
    card = model_zoo.get(name, settings.shelves)
    state = model_zoo.weights_state(card, settings.weight_folders)
    where = "none needed" if not state.needed else str(state.path or f"to fetch: ssl-bench fetch --model {name}")
    return {"model": name} | _compact(card) | {"card digest": card.digest, "weights file": where}


def _task(name: str, settings: Settings) -> dict[str, Any] | None:
    if name not in tasks.names(settings.shelves):
        return None
    from ssl_bench.datasets import index

    card = tasks.get(name, settings.shelves)
    facts = {"task": name} | _compact(card)
    if card.classes and card.kind in ("classification", "robustness"):
        facts |= {"chance (top1)": round(1 / card.classes, 6)}
    try:
        known = index.lookup(card, settings.data, settings.cache)
    except MissingError:
        return facts | {"data": f"not here; ssl-bench data show {name} says how to get it"}
    return facts | ({"samples": dict(known.samples), "task digest": known.task_digest} if known else {})


def _suite(name: str, settings: Settings) -> dict[str, Any] | None:
    if name.replace("-", "_") not in tasks.suite_names(settings.shelves):
        return None
    suite = tasks.get_suite(name, settings.shelves)
    mean = f"{suite.aggregate}, {suite.aggregator.what}"
    return {"suite": suite.name} | _compact(suite) | {"aggregate": mean, "tasks": len(suite.tasks)}


def _protocol(name: str, settings: Settings) -> dict[str, Any] | None:
    if name.partition(",")[0] not in protocols.names():
        return None
    protocol = protocols.get(name)
    return {
        "protocol": name,
        "what": protocols.summary(name.partition(",")[0]),
        "version": protocol.version,
        "deterministic": protocol.deterministic,
        "recipe": protocols.recipe(protocol),
    }


def _compact(card: Any) -> dict[str, Any]:
    """Return a card's filled fields."""
    return {key: value for key, value in _filled(cards.plain(card)).items() if key not in ("name", "folder")}


def _filled(value: Any) -> Any:
    """Return a value without what is empty in its tables."""
    if isinstance(value, dict):
        kept = {key: _filled(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ("", None, {}, [], 0)}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _echo_table(table: dict[str, Any], indent: int = 0) -> None:
    for key, value in table.items():
        label = f"{' ' * indent}{click.style(key, bold=indent == 0)}"
        if isinstance(value, dict):
            click.echo(label)
            _echo_table(value, indent + 2)
        elif isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, start=1):
                click.echo(f"{label} {number}")
                _echo_table(_filled(item), indent + 2)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            click.echo(f"{label}: {text}")
