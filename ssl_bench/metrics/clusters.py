"""Scores of clusters against classes.

With n_uv the samples of class u in cluster v, and a_u, b_v the sums of its rows and columns:

    hungarian_accuracy   max over one-to-one matchings m of Σ_u n_u,m(u) / n        (Kuhn's Hungarian method)
    nmi                  I / ½(H_classes + H_clusters), with I = Σ n_uv/n · log(n·n_uv / a_u b_v)   (arithmetic mean)
    ari                  (Σ C(n_uv,2) − E) / (½(A + B) − E), E = A·B / C(n,2), A = Σ C(a_u,2), B = Σ C(b_v,2)
                         (Hubert and Arabie 1985)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Clusters, Truth


def hungarian_accuracy(predictions: Clusters, truth: Truth) -> NDArray[np.bool_]:
    """Return whether each sample's cluster is matched to its class, under the matching that is right most often.

    The matching is made on the same labels, so an interval over samples holds for this matching alone.
    """
    from scipy.optimize import linear_sum_assignment

    table, targets, assigned = _contingency(predictions, truth)
    classes, clusters = linear_sum_assignment(table, maximize=True)
    matched = np.full(table.shape[1], -1)
    matched[clusters] = classes
    right: NDArray[np.bool_] = matched[assigned] == targets
    return right


def nmi(predictions: Clusters, truth: Truth) -> float:
    """Return the normalised mutual information; 1 where classes and clusters are one group each."""
    table, _, _ = _contingency(predictions, truth)
    joint = table / table.sum()
    rows, columns = joint.sum(1), joint.sum(0)
    if len(rows) == len(columns) == 1:
        return 1.0
    there = joint > 0
    information = float((joint[there] * np.log(joint[there] / np.outer(rows, columns)[there])).sum())
    entropies = -float((rows * np.log(rows)).sum()) - float((columns * np.log(columns)).sum())
    return min(1.0, max(0.0, 2 * information / entropies))


def ari(predictions: Clusters, truth: Truth) -> float:
    """Return the Rand index adjusted for chance; 1 where classes and clusters are the same partition."""
    table, _, _ = _contingency(predictions, truth)
    pairs = _pairs(table)
    rows, columns, total = _pairs(table.sum(1)), _pairs(table.sum(0)), _pairs(table.sum())
    expected = rows * columns / total if total else 0.0
    most = (rows + columns) / 2
    return 1.0 if most == expected else (pairs - expected) / (most - expected)


def _pairs(counts: NDArray[np.int64]) -> float:
    """Return Σ C(count, 2)."""
    exact = np.asarray(counts, dtype=np.float64)
    return float((exact * (exact - 1) / 2).sum())


def _contingency(predictions: Clusters, truth: Truth) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the table (classes, clusters) of those that have a sample, and each sample's row and column in it."""
    _, targets = np.unique(truth.targets, return_inverse=True)
    _, assigned = np.unique(predictions.assigned, return_inverse=True)
    table = np.zeros((targets.max() + 1, assigned.max() + 1), dtype=np.int64)
    np.add.at(table, (targets, assigned), 1)
    return table, targets, assigned


METRICS = (
    Metric("hungarian_accuracy", "clusters", lambda classes: None, outcomes=hungarian_accuracy, interval="wilson"),
    Metric("nmi", "clusters", lambda classes: None, number=nmi),
    Metric("ari", "clusters", lambda classes: 0.0, number=ari, low=-0.5),
)
