"""What is counted of per-sample predictions, against scikit-learn's counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from ssl_bench.leaderboard import answers
from ssl_bench.leaderboard.answers import Answers, answers_of
from tests.results.factory import make_record, make_task

CLASSES = 10


def drawn(seed: int, right: float = 0.7, n: int = 500) -> Answers:
    """Return answers of which about a share of `right` are right; the last class has no samples."""
    draw = np.random.default_rng(seed)
    targets = np.random.default_rng(0).integers(0, CLASSES - 1, n)
    said = np.where(draw.random(n) < right, targets, draw.integers(0, CLASSES, n))
    return Answers(tuple(map(str, range(n))), targets, said)


def test_a_confusion_matrix_is_scikit_learns() -> None:
    """Row by true class and column by answer, every sample is counted once."""
    one = drawn(1)
    counts = answers.confusion(one, range(CLASSES))
    assert counts.tolist() == metrics.confusion_matrix(one.targets, one.said, labels=range(CLASSES)).tolist()


def test_the_commonest_mistakes_are_the_largest_cells_off_the_diagonal() -> None:
    """Mistakes come by how often they were made, each with the number of samples of its class."""
    one = drawn(2)
    counts = metrics.confusion_matrix(one.targets, one.said, labels=range(CLASSES))
    off = counts - np.diag(np.diag(counts))
    found = answers.confused(one, 5)
    assert [times for *_, times, _ in found] == sorted(off.ravel().tolist(), reverse=True)[:5]
    for true, said, times, of in found:
        assert off[true, said] == times
        assert of == (one.targets == true).sum()
    whole = answers.confused(one, 10_000)
    assert sum(times for *_, times, _ in whole) == off.sum()


def test_recall_by_class_is_scikit_learns() -> None:
    """A class's recall is the share of its samples that were found; a class without samples has none."""
    one = drawn(3)
    found = answers.recalls(one)
    assert sorted(found) == sorted(set(one.targets.tolist()))
    expected = metrics.recall_score(one.targets, one.said, labels=sorted(found), average=None)
    assert [right / n for right, n in (found[label] for label in sorted(found))] == pytest.approx(expected.tolist())


def test_agreement_by_hand() -> None:
    """Of four samples both get one right, and exactly one of them two; models of other samples are not compared."""
    targets = np.array([0, 1, 2, 3])
    one = Answers(("a", "b", "c", "d"), targets, np.array([0, 1, 0, 0]))
    other = Answers(("a", "b", "c", "d"), targets, np.array([0, 0, 2, 0]))
    assert answers.agreement(one, other) == (0.25, 0.5)
    assert answers.agreement(one, dataclasses.replace(other, ids=("a", "b", "d", "c"))) is None


def test_examples_are_right_or_wrong_of_many_classes_and_the_same_every_time() -> None:
    """As many classes as there are come before a second sample of any."""
    one = drawn(4)
    for right in (True, False):
        found = answers.chosen(one, right, 9)
        assert found == answers.chosen(one, right, 9)
        assert all((one.said[i] == one.targets[i]) == right for i in found)
        assert len({int(one.targets[i]) for i in found}) == 9
    assert answers.chosen(dataclasses.replace(one, said=one.targets), False, 5) == []


def table(n: int = 6) -> dict[str, object]:
    targets = np.arange(n) % 3
    return {"sample_id": [str(i) for i in range(n)], "target": targets, "pred": targets.copy()}


def test_of_shifted_sets_the_clean_one_is_answered() -> None:
    """Samples of shifted sets, which may have several right labels, are left out."""
    record = make_record(task=make_task())
    shifted = table() | {"set": ["test"] * 4 + ["far"] * 2, "target": np.array([[i, -1] for i in (0, 1, 2, 0, 1, 2)])}
    found = answers_of(record, shifted)
    assert found is not None
    assert (found.ids, found.targets.tolist()) == (("0", "1", "2", "3"), [0, 1, 2, 0])


@pytest.mark.parametrize(
    "odd",
    [
        {"pred": np.array([0, 1, 2, 0, 1, 10])},
        {"pred": np.array([0, 1, 2, 0, 1, -1])},
        {"pred": np.array([0.0, 1, 2, 0, 1, 2])},
        {"target": np.array([0, 1, 2, 0, 1, -1])},
        {"target": np.zeros((6, 2), dtype=np.int64)},
        {"episode": np.zeros(6, dtype=np.int64)},
        {"sample_id": [], "target": np.zeros(0, dtype=np.int64), "pred": np.zeros(0, dtype=np.int64)},
    ],
    ids=["too high", "below 0", "no whole numbers", "no class", "several labels", "episodes", "nothing"],
)
def test_what_is_no_answer_is_none(odd: dict[str, object]) -> None:
    """Predictions that name no class of the task, or of which several may be right, are not counted."""
    assert answers_of(make_record(), table()) is not None
    assert answers_of(make_record(), table() | odd) is None
