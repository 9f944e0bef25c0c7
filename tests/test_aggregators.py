"""How the values of a suite's tasks become one number."""

from __future__ import annotations

import dataclasses

import pytest

from ssl_bench import aggregators, tasks
from ssl_bench.aggregators import Answer
from ssl_bench.errors import UsageError
from ssl_bench.tasks import SuiteCard

GROUPS = {
    "a": {"x": Answer(0.5, chance=0.1), "y": Answer(0.7, chance=0.2)},
    "b": {"z": Answer(0.9, chance=0.5)},
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mean_of_tasks@1", (0.5 + 0.7 + 0.9) / 3),
        ("mean_of_groups@1", ((0.5 + 0.7) / 2 + 0.9) / 2),
        ("chance_normalised_mean@1", (0.4 / 0.9 + 0.5 / 0.8 + 0.4 / 0.5) / 3),
        ("groups_only@1", None),
    ],
)
def test_values(name: str, expected: float | None) -> None:
    """An aggregator gives what its formula gives by hand, and one that leaves groups apart gives nothing."""
    found = aggregators.get(name).aggregate(GROUPS)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_task_in_two_groups_counts_once() -> None:
    """The mean over tasks counts a task that stands in two groups once."""
    x, y = Answer(0.5), Answer(1.0)
    assert aggregators.get("mean_of_tasks@1").aggregate({"a": {"x": x, "y": y}, "b": {"x": x}}) == pytest.approx(0.75)


def test_kinds() -> None:
    """Values of two units or directions have no plain mean, but a chance-normalised one, where lower may be better."""
    error = Answer(0.2, higher_is_better=False, chance=0.8, best=0.0)
    groups = {"a": {"x": Answer(0.5, chance=0.0), "y": error}}
    assert aggregators.get("mean_of_tasks@1").aggregate(groups) is None
    assert aggregators.get("chance_normalised_mean@1").aggregate(groups) == pytest.approx((0.5 + 0.75) / 2)
    assert aggregators.get("chance_normalised_mean@1").mean([Answer(0.5)]) is None


def test_unknown() -> None:
    """An unknown aggregator, such as one without its version, is answered with the nearest, in the suite's card too."""
    with pytest.raises(UsageError, match=r"Did you mean mean_of_tasks@1"):
        aggregators.get("mean_of_tasks")
    with pytest.raises(UsageError, match=r"'vtab.mean19@2'. Did you mean vtab.mean19@1"):
        SuiteCard("s", "S", {"a": ("x",)}, aggregate="vtab.mean19@2")


def test_number_of_tasks() -> None:
    """An aggregator that is defined over a number of tasks is refused to a suite of another number."""
    suite = tasks.get_suite("vtab")
    with pytest.raises(UsageError, match=r"vtab\.mean19@1 is for 19 tasks, and the suite has 18"):
        dataclasses.replace(suite, groups=suite.groups | {"natural": suite.groups["natural"][1:]})


def test_names() -> None:
    """Every aggregator is found by the name and version that it says of itself."""
    assert all(found.reference == name for name, found in aggregators.AGGREGATORS.items())
    assert aggregators.DEFAULT in aggregators.AGGREGATORS


def test_groups_that_are_asked_otherwise() -> None:
    """A group may be asked by protocols of its own; a protocol that the suite does not name asks all groups."""
    suite = SuiteCard("s", "S", {"a": ("x",), "b": ("y",)}, ("knn",), asked_by={"b": ("robustness",)})
    assert suite.all_protocols == ("knn", "robustness")
    assert suite.asks("knn") == {"a": ("x",)}
    assert suite.asks("robustness") == {"b": ("y",)}
    assert suite.asks("few_shot_ridge") == {"a": ("x",), "b": ("y",)}
    with pytest.raises(UsageError, match=r"asked_by: there is no group 'bb'\. Did you mean b\?"):
        dataclasses.replace(suite, asked_by={"bb": ("robustness",)})
