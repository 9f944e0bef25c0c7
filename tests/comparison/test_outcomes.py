"""What is read back from per-sample files is what the metrics scored, for every kind of predictions."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ssl_bench
from ssl_bench import episodes, metrics
from ssl_bench.comparison import alignment, resampled
from ssl_bench.errors import IncomparableError
from ssl_bench.predictions import (
    Classes,
    Clusters,
    Episodic,
    Judgements,
    Multilabel,
    Predictions,
    Quantities,
    Rankings,
    Shifted,
    Truth,
)
from ssl_bench.results import predicted
from ssl_bench.results.store import Results
from tests.comparison.factory import STOCHASTIC, answers, classes_of, put, truth_of

DRAW = np.random.default_rng(0)
TURNS = {f"turn_{90 * turn}": np.array([turn, 0.0]) for turn in range(4)}
LABELS = DRAW.integers(5, size=60)


def rankings() -> tuple[Predictions, Truth]:
    order = np.array([DRAW.permutation(np.delete(np.arange(60), i)) for i in range(60)], dtype=np.int32)
    return Rankings(order), Truth({"test": LABELS}, 5)


def judged() -> tuple[Predictions, Truth]:
    kinds = [[np.flatnonzero(row == kind) for row in DRAW.integers(6, size=(12, 40))] for kind in range(3)]
    order = np.array([DRAW.permutation(40) for _ in range(12)], dtype=np.int32)
    labels = {"test": np.zeros(12, dtype=np.int64), "train": np.zeros(40, dtype=np.int64)}
    return Rankings(order, "train"), Truth(labels, 0, judgements=Judgements(*map(tuple, kinds)))


def shifted() -> tuple[Predictions, Truth]:
    names = {"test": 50, "sketch": 30, "blur": 20}
    labels = {name: DRAW.integers(10, size=n) for name, n in names.items()}
    parts = {name: classes_of(np.where(DRAW.random(n) < 0.7, labels[name], 0)) for name, n in names.items()}
    ids = {name: [f"{name}{i}" for i in range(n)] for name, n in names.items()}
    return Shifted(parts.pop("test"), parts), Truth(labels, 10, ids)


def episodic() -> tuple[Predictions, Truth]:
    drawn = episodes.Draw(ways=3, shots=2, queries=4, episodes=9, seed=0)
    truth = Truth({"test": LABELS}, 5)
    _, answers_ = episodes.draw(LABELS, drawn)
    return Episodic(np.where(DRAW.random(answers_.shape) < 0.6, answers_, 0), drawn), truth


@pytest.mark.parametrize(
    ("make", "metric"),
    [
        (rankings, "map"),
        (rankings, "recall_at_1"),
        (rankings, "recall_at_10"),
        (judged, "map_easy"),
        (judged, "map_medium"),
        (judged, "map_hard"),
        (shifted, "shift_top1"),
        (episodic, "episode_accuracy"),
    ],
)
def test_units_are_the_metrics(make: Any, metric: str, tmp_path: Path) -> None:
    """What every query, sample or episode gives, read from the file, is what the metric gave."""
    said, truth = make()
    record = put(tmp_path, "t", said, truth, metric=metric)
    found = predicted.units(record, Results(tmp_path).read_samples(record))
    expected = metrics.get(metric).outcomes
    assert expected is not None
    assert found is not None
    assert found == pytest.approx(np.asarray(expected(said, truth), dtype=float))


def test_a_ranking_that_was_cut_has_no_units(tmp_path: Path) -> None:
    """Where a ranking's depth hides how much there was to find, samples are not paired, and it is said."""
    full, truth = rankings()
    assert isinstance(full, Rankings)
    cut = Rankings(full.order[:, :12])
    record = put(tmp_path, "t", cut, truth, metric="map")
    changed = Rankings(full.order[:, 1:13])
    put(tmp_path / "other", "t", changed, truth, metric="map")
    assert predicted.units(record, Results(tmp_path).read_samples(record)) is None
    (one,) = ssl_bench.compare(tmp_path, tmp_path / "other").tasks
    assert (one.verdict, one.paired) == ("inconclusive", False)


def scored() -> Classes:
    scores = DRAW.normal(size=(300, 3)).round(1).astype(np.float32)  # rounded, so that there are ties
    return Classes(np.argsort(-scores, axis=1), scores.max(axis=1), scores=scores)


@pytest.mark.parametrize("metric", ["roc_auc", "mean_average_precision", "voc07_map"])
def test_weights_of_one_give_the_metric(metric: str) -> None:
    """Under equal weights the resampled areas are the metric itself, ties included; under weights of 0 and 1 it is the
    metric of the samples that count."""
    targets = DRAW.integers(3, size=300)
    said: Any = scored()
    truth = Truth({"test": targets}, 3)
    if metric != "roc_auc":
        truth = Truth({"test": DRAW.integers(-1, 2, size=(300, 3))}, 3)
        said = Multilabel(said.scores)
    number = metrics.get(metric).number
    of_weights = resampled._weighted(metric)
    assert number is not None
    assert of_weights is not None
    kept = np.arange(300) % 3 > 0
    few = dataclasses.replace(said, scores=said.scores[kept])
    if metric == "roc_auc":
        few = dataclasses.replace(few, ranked=said.ranked[kept], confidence=said.confidence[kept])
    found = of_weights(said, truth)(np.stack([np.ones(300), kept]).astype(np.float32))
    expected = [number(said, truth), number(few, Truth({"test": truth.targets[kept]}, 3))]
    assert found == pytest.approx(expected, rel=1e-6)


def test_two_classes_of_roc() -> None:
    """With two classes the area is of the second class, as the metric has it."""
    scores = DRAW.normal(size=(200, 2)).astype(np.float32)
    said = Classes(np.argsort(-scores, axis=1), scores.max(axis=1), scores=scores)
    truth = Truth({"test": DRAW.integers(2, size=200)}, 2)
    of_weights, number = resampled._weighted("roc_auc"), metrics.get("roc_auc").number
    assert of_weights is not None
    assert number is not None
    assert of_weights(said, truth)(np.ones((1, 200), dtype=np.float32))[0] == pytest.approx(
        number(said, truth), rel=1e-6
    )


def test_a_metric_that_knows_no_shortcut(tmp_path: Path) -> None:
    """Mutual information is computed anew on every resample; a clear loss is found."""
    truth = truth_of("coil", 500)
    clear, noisy = answers("coil", 500, 0.95), answers("coil", 500, 0.6)
    for name, said in (("base", clear), ("cand", noisy)):
        put(tmp_path / name, "coil", Clusters(said), truth, metric="nmi")
    (one,) = ssl_bench.compare(tmp_path / "base", tmp_path / "cand").tasks
    assert one.verdict == "regressed"
    assert one.difference.method == "paired bootstrap"


def test_numbers_without_samples(tmp_path: Path) -> None:
    """What rests on no named samples is tested over seeds alone, and with one seed not at all."""
    for name, values in (("base", (30.0, 31.0, 29.5, 30.2)), ("cand", (20.0, 21.1, 19.3, 20.2))):
        for seed, value in enumerate(values):
            said = Quantities({"rankme": value}, TURNS | {"spectrum": np.array([value, 1.0])})
            truth = Truth({"test": np.zeros(2, dtype=np.int64)}, 0)
            put(tmp_path / name, "t", said, truth, metric="rankme", protocol=STOCHASTIC, seed=seed)
    (one,) = ssl_bench.compare(tmp_path / "base", tmp_path / "cand").tasks
    assert (one.verdict, one.unit) == ("regressed", "dimensions")
    assert one.margin == pytest.approx(0.003 * np.mean([30.0, 31.0, 29.5, 30.2]))
    assert "tested over seeds alone" in one.notes[0]


def test_a_sample_that_is_asked_twice() -> None:
    """Queries of episodes are matched by episode, sample and turn; a sample too many is no match."""
    base = {"sample_id": ["a", "b", "a", "a"], "episode": np.array([0, 0, 1, 1]), "pred": np.array([0, 1, 2, 3])}
    order = np.array([3, 2, 1, 0])
    cand = {"sample_id": ["a", "a", "b", "a"], "episode": base["episode"][order], "pred": base["pred"][order]}
    _, found = alignment.align(base, cand, "t")
    assert found["pred"].tolist() == [0, 1, 3, 2]
    with pytest.raises(IncomparableError, match="1 only in base, such as 'b'"):
        alignment.align(base, cand | {"sample_id": ["a", "a", "c", "a"]}, "t")
