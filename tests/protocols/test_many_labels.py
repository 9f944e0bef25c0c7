"""Tasks in which any number of classes may hold of an image: who can be asked, and what comes of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import metrics, protocols
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Multilabel, Truth
from ssl_bench.protocols.base import Trial
from ssl_bench.results.store import Results
from tests.cli.conftest import Command, command
from tests.protocols.many_labels import CARD, labels_of

__all__ = ["command"]
GRID = "logistic_regression,c_low=-3,c_high=1,c_steps=5"
PIXELS = "pixels,size=8,channels=grey"


@pytest.fixture
def trial(make_trial: Any, digits: Any) -> Trial:
    """The digits, and whether each is even, above four, a multiple of three and round."""
    parts = {name: (x, labels_of(y)) for name, (x, y) in digits.items()}
    made: Trial = make_trial(parts["train"], parts["test"][0], parts["val"], classes=4)
    return dataclasses.replace(made, metric="voc07_map")


def test_parity_with_scikit_learn(trial: Trial, digits: Any) -> None:
    """C is the best of the grid by 11-point mAP on val, and the scores are one-vs-rest's, unknown labels left out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    answer = protocols.get(GRID).predict(trial)
    assert isinstance(answer.predictions, Multilabel)

    def scores(c: float, names: tuple[str, ...], asked: str) -> np.ndarray:
        x = np.concatenate([digits[name][0] for name in names]).astype(np.float32).astype(np.float64)
        y = np.concatenate([labels_of(digits[name][1]) for name in names])
        scaler = StandardScaler().fit(x)
        columns = []
        for k in range(4):
            known = y[:, k] >= 0
            peer = LogisticRegression(C=c, tol=1e-10, max_iter=10_000)
            peer.fit(scaler.transform(x[known]), y[known, k])
            columns.append(peer.decision_function(scaler.transform(digits[asked][0])))
        return np.stack(columns, axis=1)

    truth = Truth({"test": labels_of(digits["val"][1])}, 4)
    maps = []
    for row in answer.curve:
        said = Multilabel(scores(row["c"], ("train",), "val").astype(np.float32))
        maps.append(metrics.get("voc07_map").score(said, truth)[0])
    np.testing.assert_allclose([row["val_map"] for row in answer.curve], maps, atol=2e-3)
    assert answer.selected["c"] == answer.curve[int(np.argmax([row["val_map"] for row in answer.curve]))]["c"]
    expected = scores(answer.selected["c"], ("train", "val"), "test")
    np.testing.assert_allclose(answer.predictions.scores, expected, atol=2e-3 * np.abs(expected).max())
    assert answer.converged


def test_the_vote_by_hand(make_trial: Any) -> None:
    """Of three equal votes a class gets the share of those who know of it; one that nobody knows of gets 0."""
    labels = np.array([[1, 1, -1], [0, 1, -1], [-1, 0, -1], [1, 0, 0]])
    trial = make_trial(([[1.0, 0.0]] * 3 + [[0.0, 1.0]], labels), [[1.0, 0.0]], classes=3)
    said = protocols.get("knn,k=3,also=4,weighting=uniform").predict(trial)
    np.testing.assert_allclose(said.predictions.scores, [[1 / 2, 2 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(said.variants["k=4"].scores, [[2 / 3, 1 / 2, 0]], rtol=1e-6)


def test_votes_are_those_of_single_labels(make_trial: Any, digits: Any) -> None:
    """With one class of each image, and it alone, the shares are those that the single-label vote keeps."""
    one = dataclasses.replace(make_trial(digits["train"], digits["test"][0]), every_score=True)
    labels = np.eye(10, dtype=np.int64)[digits["train"][1]]
    many = make_trial((digits["train"][0], labels), digits["test"][0])
    wanted, found = (protocols.get("knn").predict(each).predictions.scores for each in (one, many))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_class_that_cannot_be_told_apart(trial: Trial) -> None:
    """A class that holds of no training sample gets 0 everywhere and is named; where none can be learnt, an error."""
    labels = {name: np.where(np.arange(4) == 2, 0, found) for name, found in trial.labels.items()}
    answer = protocols.get(GRID).predict(dataclasses.replace(trial, labels=labels))
    assert answer.selected["not_learnt"] == [2]
    assert (answer.predictions.scores[:, 2] == 0).all()  # type: ignore[attr-defined]
    none = {name: np.zeros_like(found) for name, found in trial.labels.items()}
    with pytest.raises(DataError, match="holds of some training samples and not of others"):
        protocols.get(GRID).predict(dataclasses.replace(trial, labels=none))


def test_without_val(trial: Trial) -> None:
    """Without val a tenth of train is held out to choose C; a train too small for it is told so."""
    alone = dataclasses.replace(trial, labels={"train": trial.labels["train"]})
    assert len(protocols.get(GRID).predict(alone).curve) == 5
    few = dataclasses.replace(alone, labels={"train": trial.labels["train"][:4]}, sizes={"train": 4, "test": 597})
    few.supply.arrays["train"] = few.supply.arrays["train"][:4]  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="train has 4 samples, so none can be held out"):
        protocols.get(GRID).predict(few)


@pytest.mark.parametrize("metric", ["voc07_map", "mean_average_precision"])
def test_a_whole_run(metric: str, command: Command, tmp_path: Path) -> None:
    """Records of pixels and of nothing at all hold both mean precisions, and every score of every sample."""
    (tmp_path / "what.toml").write_text(CARD.format(metric=metric, val="val"))
    said = command(
        "run", "-m", PIXELS, "-m", "majority", "-t", "what.toml", "-p", "knn", "-p", GRID, "-p", "label_free"
    )
    assert said.code == 0, said.err
    results = Results(Path("results"))
    records = [record for record in results.records() if record.protocol.name != "label_free"]
    assert len(records) == 4
    for record in records:
        assert record.task.metric == metric
        assert {"voc07_map", "mean_average_precision"} <= set(record.metrics)
        samples = results.read_samples(record)
        assert samples["scores"].shape == samples["target"].shape == (360, 4)
    by_model = {(r.model.name, r.protocol.name): r.headline.value for r in records}
    for protocol in ("knn", "logistic_regression"):
        assert by_model[PIXELS, protocol] > by_model["majority", protocol] + 0.2
    assert command("board", "--html", "b.html", "--markdown", "b.md").code == 0


@pytest.mark.parametrize(
    "protocol", [name for name in protocols.names() if name not in ("knn", "label_free", "logistic_regression")]
)
def test_who_cannot_be_asked(protocol: str, command: Command, tmp_path: Path) -> None:
    """A protocol of single labels says in one line that it cannot ask such a task, and exits 2."""
    (tmp_path / "what.toml").write_text(CARD.format(metric="voc07_map", val=""))
    said = command("run", "-m", PIXELS, "-t", "what.toml", "-p", protocol)
    assert said.code == 2
    assert f"{protocol} cannot ask the task 'what', which is of the kind 'multilabel'" in said.err
