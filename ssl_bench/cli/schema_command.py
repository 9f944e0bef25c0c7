"""`ssl-bench schema`: what files and outputs look like, as JSON Schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ssl_bench.cli.tables import echo_json


def _record() -> dict[str, Any]:
    from ssl_bench.results.schema import record_schema

    return record_schema()


def _plan() -> dict[str, Any]:
    from ssl_bench import json_schema
    from ssl_bench.cli.plan_command import Row

    return json_schema.array_of(Row, "What `ssl-bench plan --json` prints")


def _model() -> dict[str, Any]:
    from ssl_bench.model_zoo import ModelCard

    return _card(ModelCard, "A model's card: model_zoo/<name>.toml")


def _task() -> dict[str, Any]:
    from ssl_bench.tasks import TaskCard

    return _card(TaskCard, "A task's card: tasks/<name>.toml")


def _suite() -> dict[str, Any]:
    from ssl_bench.tasks import SuiteCard

    return _card(SuiteCard, "A suite's card: tasks/suites/<name>.toml")


def _entry() -> dict[str, Any]:
    from ssl_bench import json_schema
    from ssl_bench.leaderboard.entries import Entry

    return json_schema.of(Entry, "A submitted model's card: leaderboard/entries/<name>.toml")


def _bundle() -> dict[str, Any]:
    from ssl_bench import json_schema
    from ssl_bench.submission.manifest import Manifest

    return json_schema.of(Manifest, "The manifest of a bundle: manifest.json")


def _verification() -> dict[str, Any]:
    from ssl_bench import json_schema
    from ssl_bench.results.verifications import Verification

    return json_schema.of(Verification, "What others found of records: <model>/verifications~/<level>-….json")


def _card(kind: type, title: str) -> dict[str, Any]:
    """Return the schema of a card's file, whose place says its name."""
    from ssl_bench import json_schema

    return json_schema.of(kind, title, without=("name", "folder"))


KINDS: dict[str, Callable[[], dict[str, Any]]] = {
    "record": _record,
    "plan": _plan,
    "model": _model,
    "task": _task,
    "suite": _suite,
    "entry": _entry,
    "bundle": _bundle,
    "verification": _verification,
}


@click.command(name="schema")
@click.argument("kind", type=click.Choice(list(KINDS)))
def command(kind: str) -> None:
    """Print the JSON Schema (draft 2020-12) of records, plans, cards, bundles and verifications.

    It is made from the types that check them, with the sentences written there.

    \b
    Examples:
      ssl-bench schema record > record.schema.json
      ssl-bench schema task
    """
    echo_json(KINDS[kind]())
