from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import splits
from ssl_bench.errors import MissingError
from ssl_bench.metrics import __path__ as metrics_folder

TASKS = sorted(tasks.names())
SUITES = sorted(tasks.suite_names())
GROUPS = {"natural", "specialized", "structured"}


@pytest.mark.parametrize("name", TASKS)
def test_task_card(name: str, tmp_path: Path) -> None:
    """Every task card parses, tells its source and licence, and its reader understands its options."""
    card = tasks.get(name)
    assert card.title
    assert card.source.url
    assert card.source.licence
    assert card.source.citation
    for expression in filter(None, (card.splits.train, card.splits.val, card.splits.test)):
        assert splits.parse(expression)
    try:
        datasets.locate(card, tmp_path)
    except MissingError as error:
        assert f"task {name!r}: " in str(error)  # noqa: PT017 - digits is always there, the others never
        assert card.source.bytes > 0


@pytest.mark.parametrize("name", TASKS)
def test_metric_exists(name: str) -> None:
    """Every task card's metric is one that exists."""
    [folder] = metrics_folder
    known = {path.stem for path in Path(folder).glob("[a-z]*.py")}
    if not known:
        pytest.skip("there are no metrics yet")
    assert tasks.get(name).metric in known


@pytest.mark.parametrize("name", SUITES)
def test_suite_card(name: str) -> None:
    """Every suite card names tasks that exist, each once, in VTAB's groups."""
    suite = tasks.get_suite(name)
    named = [task for group in suite.groups.values() for task in group]
    assert set(named) <= set(TASKS)
    assert len(named) == len(set(named))
    assert set(suite.groups) <= GROUPS
