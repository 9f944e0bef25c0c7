"""Which numbers may stand side by side."""

from __future__ import annotations

import dataclasses
import random

import pytest

from ssl_bench.errors import IncomparableError, UsageError
from ssl_bench.leaderboard.ranking import Mean, make_board
from ssl_bench.leaderboard.text import csv_text, markdown
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.tasks import SuiteCard
from tests.results.factory import make_grid, make_model, make_protocol, make_record, make_task

SUITE = SuiteCard("s", "S", {"A": ("cifar10", "cifar100"), "B": ("dtd",)}, ("knn",))


def only(board):
    """Return the board's one table."""
    (table,) = board.tables
    return table


def test_order_does_not_matter():
    """The same records in any order give the same board."""
    records = list(make_grid(models=4, tasks=3, seeds=2))
    shuffled = random.Random(1).sample(records, len(records))
    assert make_board(records) == make_board(shuffled)


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (make_record("b", protocol=make_protocol("knn", {"k": 10, "temperature": 0.07})), "recipe.k = 10"),
        (make_record("b", make_task("cifar10", version=2)), "task.version = 2"),
        (make_record("b", pooled="mean"), 'features.pooled = "mean"'),
        (
            make_record("b", protocol=dataclasses.replace(make_protocol("knn"), version=2)),
            "protocol.version = 2",
        ),
    ],
)
def test_two_questions(other, difference):
    """Two questions in one column are refused, naming column, models, what differs and how to choose."""
    record = make_record("a")
    with pytest.raises(IncomparableError) as caught:
        make_board([record, other])
    message = str(caught.value)
    assert difference in message
    assert "cifar10 × knn" in message
    assert "--question" in message
    assert "\n" not in message
    board = make_board([record, other], questions=[other.question[:8]])
    assert [row.model.name for row in only(board).rows] == ["b"]


def test_choice_by_recipe():
    """One of two recipes can be chosen in the words of the command line."""
    other = make_record("b", protocol=make_protocol("knn", {"k": 10, "temperature": 0.07}))
    records = [make_record("a"), other]
    for word, name in (("knn,k=20", "a"), ("knn,k=10,version=1", "b")):
        assert [row.model.name for row in only(make_board(records, protocols=[word])).rows] == [name]
    with pytest.raises(UsageError, match="'knn,k=11'"):
        make_board(records, protocols=["knn,k=11"])


def test_seeds_are_averaged():
    """Seeds of one model and question become one value with their number and spread."""
    (row,) = only(make_board([make_record(value=value, seed=i) for i, value in enumerate((0.7, 0.8))])).rows
    (cell,) = row.cells
    assert cell.value == pytest.approx(0.75)
    assert cell.spread == pytest.approx(0.0707, abs=1e-3)
    assert [record.seed for record in cell.records] == [0, 1]


def test_coverage():
    """A mean needs every task of its group; else there is none, and the number of tasks is told."""
    records = [make_record("a", task, value=0.5) for task in ("cifar10", "cifar100", "dtd")]
    records += [make_record("b", task, value=0.9) for task in ("cifar10", "cifar100")]
    full, partial = only(make_board(records, SUITE)).rows
    assert (full.model.name, full.mean.value) == ("a", pytest.approx(0.5))
    assert (partial.mean.value, partial.mean.present, partial.mean.total) == (None, 2, 3)
    assert partial.groups["A"].value == pytest.approx(0.9)
    assert partial.groups["B"].value is None


def test_task_without_records():
    """A suite's task that nobody has answered withholds every mean and is named."""
    table = only(make_board([make_record(task="cifar10"), make_record(task="cifar100")], SUITE))
    assert table.absent == ("dtd",)
    assert table.rows[0].mean.value is None
    assert table.chance.value is None


def test_mean_of_groups():
    """A suite that averages groups weighs each group alike."""
    values = {"cifar10": 0.5, "cifar100": 0.7, "dtd": 0.9}
    records = [make_record(task=task, value=value) for task, value in values.items()]
    for aggregate, expected in (("mean_of_tasks@1", 0.7), ("mean_of_groups@1", 0.75)):
        suite = dataclasses.replace(SUITE, aggregate=aggregate)
        assert only(make_board(records, suite)).rows[0].mean.value == pytest.approx(expected, abs=1e-3)


def test_chance_normalised_mean():
    """A suite may average values with chance at 0 and the best at 1; chance itself is then 0, and all means percent."""
    values = {"cifar10": 0.55, "cifar100": 0.505, "dtd": 1.0}
    records = [make_record(task=task, value=value) for task, value in values.items()]
    table = only(make_board(records, dataclasses.replace(SUITE, aggregate="chance_normalised_mean@1")))
    assert table.rows[0].mean.value == pytest.approx((0.5 + 0.5 + 1.0) / 3, abs=1e-3)
    assert table.rows[0].groups["A"].value == pytest.approx(0.5, abs=1e-3)
    assert table.chance.value == pytest.approx(0)
    assert table.means.unit == "fraction"


def test_groups_asked_otherwise():
    """A table holds the groups that its protocol asks, needs no others for its mean, and tells what is left out."""
    suite = dataclasses.replace(SUITE, asked_by={"B": ("logistic_regression",)})
    records = [make_record(task=task, value=0.5) for task in ("cifar10", "cifar100", "dtd")]
    records.append(make_record(task="dtd", protocol="logistic_regression", value=0.7))
    board = make_board(records, suite)
    knn, logistic = board.tables
    assert (knn.groups, knn.absent, knn.rows[0].mean.value) == (("A",), (), pytest.approx(0.5, abs=1e-3))
    assert (logistic.groups, logistic.rows[0].mean.value) == (("B",), pytest.approx(0.7, abs=1e-3))
    assert [what for what, _ in board.skipped] == ["dtd × knn"]
    assert "| model | mean | dtd |" in markdown(board)
    assert "mean,A,B," in csv_text(board)


def test_no_aggregate():
    """A suite whose groups do not average shows none but theirs, and no coverage mark where nothing is missing."""
    records = [make_record(task=task) for task in ("cifar10", "cifar100", "dtd")]
    board = make_board(records, dataclasses.replace(SUITE, aggregate="groups_only@1"))
    assert only(board).rows[0].mean == Mean(None, 3, 3)
    assert only(board).rows[0].groups["A"].value is not None
    assert "| dinov2_vits14 | — | " in markdown(board)


def test_truncated_records():
    """A truncated record never enters a table and is listed."""
    board = make_board([make_record("a"), make_record("b", make_task("cifar10", truncated=64))])
    assert [row.model.name for row in only(board).rows] == ["a"]
    assert [why for _, why in board.skipped] == ["truncated to 64 samples per split"]


def test_outside_the_suite():
    """Records of other tasks and protocols are counted, not shown."""
    records = [make_record(), make_record(task="svhn"), make_record(protocol="logistic_regression")]
    board = make_board(records, SUITE)
    assert len(board.records) == 1
    assert [what for what, _ in board.skipped] == ["protocol logistic_regression", "task svhn"]


def test_best():
    """Bold are the best and all that a test does not tell from it; controls never are."""
    values = {"a": 0.900, "b": 0.896, "c": 0.85}
    records = [make_record(name, value=value) for name, value in values.items()]
    records.append(make_record(make_model("r", adapter="random"), value=0.95))
    rows = {row.model.name: row for row in only(make_board(records)).rows}
    assert {name for name, row in rows.items() if row.cells[0].best} == {"a", "b"}
    assert rows["r"].control


def test_lower_is_better():
    """Where a metric falls with quality, the lowest value is best and stands first."""

    def flipped(name, value):
        record = make_record(name, protocol="logistic_regression", value=value)
        definition = dataclasses.replace(record.definition("top1"), higher_is_better=False)
        task = dataclasses.replace(record.task, metric="error", metrics={"error": definition})
        return dataclasses.replace(record, task=task, metrics={"error": record.headline})

    rows = only(make_board([flipped("a", 0.9), flipped("b", 0.1)])).rows
    assert [(row.model.name, row.cells[0].best) for row in rows] == [("b", True), ("a", False)]


def test_one_name_two_networks():
    """Two networks or two inputs under one name are two rows that say what differs."""
    board = make_board([make_record("a"), make_record("a", size=96), make_record("b")])
    variants = {(row.model.name, row.variant) for row in only(board).rows}
    assert variants == {("a", "input.size [224,224]"), ("a", "input.size [96,96]"), ("b", "")}
    board = make_board([make_record("a"), make_record(make_model("a", weights="other"))])
    assert all(row.variant.startswith("weights ") for row in only(board).rows)


def test_published():
    """A model card's published number stands beside ours."""
    published = Published(0.9, "https://example.org")
    card = ModelCard("dinov2_vits14", "timm", published={"cifar10/knn": published})
    board = make_board([make_record(), make_record(task="dtd")], cards={"dinov2_vits14": card})
    assert [cell.published for cell in only(board).rows[0].cells] == [published, None]


def test_no_records():
    """No records make an empty board, not a crash."""
    assert make_board([]).tables == ()
    assert make_board([], SUITE, protocols=["knn"]).tables == ()
