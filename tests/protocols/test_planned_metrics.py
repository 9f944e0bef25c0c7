"""What every protocol's record holds: the metric that the field reports, calibration beside accuracy, every answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.predictions import Classes, Truth
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.cli.conftest import Command, command
from tests.protocols import faulty
from tests.protocols.test_bad_input import RECIPES, task

__all__ = ["command"]
OWN = {"clustering", "episodic", "label_free", "retrieval", "robustness"}
"""Protocols whose answers are no single class of each test image."""
UNSURE = {"few_shot_ridge", "knn"}
"""Protocols whose confidence is a score or a share of votes, and no probability."""


@pytest.fixture
def measured(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    def run(protocol: str, metric: str) -> Record:
        monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
        card = task(tmp_path, "fine", protocol, metric)
        (tmp_path / "faulty.toml").write_text(faulty.CARD.format(fault=""))
        asked = ",".join(word for word in (protocol, RECIPES[protocol]) if word)
        said = command("run", "-m", tmp_path / "faulty.toml", "-t", card, "-p", asked, "--seeds", 0)
        assert said.code == 0, said.err
        [record] = Results(tmp_path / "results").records()
        return record

    return run


@pytest.mark.parametrize("metric", ["top1", "mean_per_class", "roc_auc"])
@pytest.mark.parametrize("protocol", sorted(set(RECIPES) - OWN))
def test_what_the_task_reports(protocol: str, metric: str, measured: object, tmp_path: Path) -> None:
    """Every protocol of classes gives the task's metric, the usual ones, and ECE where it gives probabilities; the
    area under the ROC curve is that of scikit-learn on the scores that are kept."""
    record = measured(protocol, metric)  # type: ignore[operator]
    assert record.task.metric == metric
    assert {"top1", "top5", "mean_per_class"} <= set(record.metrics)
    assert ("ece" in record.metrics) == (protocol not in UNSURE)
    samples = Results(tmp_path / "results").read_samples(record)
    assert len(samples["sample_id"]) == 18
    assert (samples["pred"] == samples["target"]).mean() == pytest.approx(record.metrics["top1"].value)
    if metric == "roc_auc":
        from sklearn.metrics import roc_auc_score

        scores = samples["scores"].astype(np.float64)
        parts = [roc_auc_score(samples["target"] == label, scores[:, label]) for label in range(3)]
        assert record.headline.value == pytest.approx(np.mean(parts))
        np.testing.assert_array_equal(scores.max(axis=1), scores[np.arange(18), samples["pred"]])


@pytest.mark.parametrize("protocol", sorted(OWN))
def test_every_answer_is_kept(protocol: str, measured: object, tmp_path: Path) -> None:
    """The other protocols keep what their values can be computed from again."""
    record = measured(protocol, "top1")  # type: ignore[operator]
    samples = Results(tmp_path / "results").read_samples(record)
    if protocol == "episodic":
        assert (samples["pred"] == samples["target"]).mean() == pytest.approx(record.headline.value)
    elif protocol == "label_free":
        right = [(samples[f"turn_{90 * turn}"][:18] == turn).mean() for turn in range(4)]
        assert np.mean(right) == pytest.approx(record.headline.value)
    elif protocol == "robustness":
        assert {"test/top1", "test/ece", "other/top1", "other/ece"} <= set(record.metrics)
        here = np.array(samples["set"]) == "other"
        assert (samples["pred"][here] == samples["target"][here]).mean() == record.metrics["other/top1"].value
    else:
        assert {"clustering": "cluster", "retrieval": "hits"}[protocol] in samples
        assert len(samples["sample_id"]) == 18


def test_ece_by_hand() -> None:
    """Two bins: 0.9 right and 0.9 wrong are off by 0.4, and 0.6 right by 0.4; the mean over three samples is 0.4."""
    said = Classes(np.array([[0], [1], [0]]), np.array([0.9, 0.9, 0.6], dtype=np.float32), probability=True)
    assert metrics.get("ece").score(said, Truth({"test": np.zeros(3, np.int64)}, 2))[0] == pytest.approx(0.4)
