"""Predictions and labels, put together again from a table of samples, and what a metric makes of each of its units.

What a table does not hold cannot be put together: the whole ranking of a gallery, the images of an episode, and the
errors of the reference network behind `mce`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.predictions import (
    Classes,
    Clusters,
    Judgements,
    Matches,
    Multilabel,
    Overlaps,
    Predictions,
    Quantities,
    Rankings,
    Shifted,
    Truth,
)
from ssl_bench.predictions.discoveries import DiscoveryOverlaps
from ssl_bench.predictions.landmarks import LandmarkErrors
from ssl_bench.predictions.matching import WAYS
from ssl_bench.predictions.objects import Compared, Found, compared
from ssl_bench.predictions.surfaces import DIRECTION_ERRORS, DISTANCE_ERRORS, DirectionErrors, DistanceErrors
from ssl_bench.predictions.tracks import TrackScores
from ssl_bench.results.invariants import kind_of
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.targets import Targets

TOLERANCE = 1e-6
"""Relative to a value, or to 1 where it is smaller, by which a record may differ from what its predictions give: scores
are kept in 32 bits, and sums may be taken in another order."""
JUDGED = ("hits_easy", "hits_hard", "junk")
"""Columns of judged rankings, in the order of `Judgements`."""


def rebuilt(record: Record, table: Table) -> tuple[Predictions, Truth] | None:
    """Return the predictions and labels that a table of a record's samples keeps; None where it keeps too little.

    Raises ValueError, or what NumPy raises, for columns that are not of predictions.
    """
    classes, kind = record.task.classes, kind_of(tuple(table))
    if kind == "episodes" or (kind == "rankings" and "hits_easy" not in table):
        return None
    if kind == "shifts":
        return _shifted(record, table)
    if kind == "rankings":
        return _judged(table)
    if kind == "detections":
        federated = any(name.startswith("lvis") for name in record.metrics)
        return _detections(table, federated), Truth(
            {"test": np.zeros((len(table["sample_id"]), 0), dtype=np.int64)}, classes
        )
    if kind == "segmentation":
        return _overlaps(table, classes)
    if kind == "landmarks":
        return _landmarks(record, table)
    if kind == "clusters":
        said: Predictions = Clusters(_labels(table["cluster"]))
    elif kind == "classes":
        said = _classes(table, "ece" in record.metrics)
    elif kind == "multilabel":
        said = Multilabel(table["scores"])
    elif kind == "tracks":
        said = TrackScores(
            tuple(table["sample_id"]), *(table[name] for name in ("object", "frames", "region", "contour"))
        )
    elif kind == "discoveries":
        said = DiscoveryOverlaps(table["objects"], table["best_overlap"])
    elif kind == "distances":
        said = DistanceErrors(table["pixels"], {name: table[name] for name in DISTANCE_ERRORS})
    elif kind == "directions":
        said = DirectionErrors(table["pixels"], {name: table[name] for name in DIRECTION_ERRORS})
    else:
        said = Quantities({}, {name: column[~np.isnan(column)] for name, column in table.items()})
    targets = table.get("target", np.zeros(len(next(iter(table.values()), ())), dtype=np.int64))
    return said, Truth({"test": targets if targets.ndim == 2 else _labels(targets, classes)}, classes)


def units(record: Record, table: Table) -> NDArray[np.float64] | None:
    """Return what the headline metric makes of every unit (a sample, a query, an episode); their mean is its value.

    None where the metric is no mean over units, or the table says too little.
    """
    metric = metrics.get(record.task.metric)
    if metric.name == "episode_accuracy":
        found = of_episodes(table)
    elif "hits" in table:
        found = of_hits(metric.name, table["hits"])
    elif metric.outcomes is None or (said := rebuilt(record, table)) is None or not metric.applies(*said):
        return None
    else:
        found = np.asarray(metric.outcomes(*said), dtype=np.float64)
    # A ranking that was cut at some depth does not tell how much there was to find.
    return found if abs(found.mean() - record.headline.value) <= TOLERANCE else None


def of_episodes(table: Table) -> NDArray[np.float64]:
    """Return, for every episode, the share of its queries that were given their way."""
    _, episode = np.unique(table["episode"], return_inverse=True)
    shares: NDArray[np.float64] = np.bincount(episode, table["pred"] == table["target"]) / np.bincount(episode)
    return shares


def of_hits(metric: str, hits: Sequence[Any]) -> NDArray[np.float64]:
    """Return the average precision ("map") or Recall@k of every query that found anything, from the places, from 0, of
    all that was to be found."""
    found = [np.sort(np.asarray(places)) for places in hits if len(places)]
    if metric == "map":
        return np.array([float((np.arange(1, len(places) + 1) / (places + 1)).mean()) for places in found])
    depth = int(metric.rpartition("_")[2])
    return np.array([float(places[0] < depth) for places in found])


def _classes(table: Table, probability: bool) -> Classes:
    if not np.array_equal(table["pred"], table["top5"][:, 0]):
        raise ValueError("pred is not the first of top5")
    return Classes(table["top5"], table["confidence"], probability, table.get("scores"))


def _detections(table: Table, federated: bool) -> Matches:
    """Return found and true objects, image by image; raise ValueError where their columns do not fit one another."""
    kinds = {"score": (np.float32, ()), "box": (np.float32, (4,))}
    columns = []
    for field in dataclasses.fields(Compared):
        side, _, what = field.name.partition("_")
        kind, shape = kinds.get(what, (np.int64, ()))
        counts = [len(row) for row in table[f"{side}_label"]]
        if what in ("right", "unused"):
            shape = (sum(map(len, table[field.name])) // max(sum(counts), 1) or len(WAYS),)
        rows = [np.asarray(row, dtype=kind) for row in table[field.name]]
        columns.append([row.reshape(count, *shape) for row, count in zip(rows, counts, strict=True)])
    return Matches(tuple(Compared(*image) for image in zip(*columns, strict=True)), federated)


def misjudged(record: Record, table: Table, targets: Targets) -> int:
    """Return of how many images a table of objects says other than comparing its boxes with `targets` gives.

    Outlines are not in a table, so what it says of them is taken as it is.
    """
    found = rebuilt(record, table)
    assert found is not None
    wrong = 0
    for index, said in enumerate(found[0].images):  # type: ignore[attr-defined]
        boxes = Found(said.found_box.astype(np.float64), said.found_label, said.found_score)
        again = vars(compared(boxes, targets[index]))
        ways = {"found_right", "found_unused", "true_unused"}
        pairs = ((value[:, : len(WAYS)] if name in ways else value, again[name]) for name, value in vars(said).items())
        wrong += not all(np.array_equal(mine, theirs) for mine, theirs in pairs)
    return wrong


def _labels(column: Any, classes: int = 0, least: int = 0) -> NDArray[np.int64]:
    """Return a column of labels, or with a `least` of -1 of several a sample; raise ValueError for what is none."""
    labels: NDArray[np.int64] = np.asarray(column)
    if labels.dtype != np.int64 or labels.ndim > 1 - least:
        raise ValueError("labels must be whole numbers")
    if classes and not (least <= labels.min(initial=0) and labels.max(initial=0) < classes):
        raise ValueError(f"labels must lie between {least} and {classes - 1}")
    return labels


def _shifted(record: Record, table: Table) -> tuple[Shifted, Truth]:
    """Return classes set by set; a sample of a shifted set may have several right labels, and then -1."""
    names, calibrated = np.asarray(table["set"]), any(name.endswith("/ece") for name in record.metrics)
    parts, labels = {}, {}
    for name in dict.fromkeys(table["set"]):
        rows = np.flatnonzero(names == name)
        part = {key: table[key][rows] for key in ("target", "pred", "top5", "confidence")}
        parts[name] = _classes(part, calibrated)
        labels[name] = _labels(part["target"], record.task.classes, -1)
    return Shifted(parts.pop("test"), parts), Truth(labels, record.task.classes)


def _judged(table: Table) -> tuple[Rankings, Truth]:
    """Return rankings of a gallery in which an image's position is its place, query by query: which places hold images
    that were judged is kept, and nothing else of the gallery is needed."""
    places = [tuple(np.asarray(row, dtype=np.int64) for row in table[name]) for name in JUDGED]
    deepest = max(int(row.max(initial=0)) for rows in places for row in rows)
    order = np.broadcast_to(np.arange(deepest + 1, dtype=np.int32), (len(table["junk"]), deepest + 1))
    nothing = np.zeros(len(order), dtype=np.int64)
    return Rankings(order, "places"), Truth({"test": nothing}, 0, judgements=Judgements(*places))


def _overlaps(table: Table, classes: int) -> tuple[Overlaps, Truth]:
    """Return the pixels of every image and class; raise ValueError for counts that no two maps can have."""
    said, images = (
        Overlaps(*(table[f"{field.name}_pixels"] for field in dataclasses.fields(Overlaps))),
        len(table["sample_id"]),
    )
    for name, pixels in vars(said).items():
        if pixels.dtype != np.int64 or pixels.shape != (images, classes) or (pixels < 0).any():
            raise ValueError(f"{name}_pixels must be {classes} whole numbers of 0 or more for every image")
    whole = (said.shared, said.true), (said.shared, said.said), (said.true_edge, said.true), (said.said_edge, said.said)
    edges = (said.shared_edge, said.true_edge), (said.shared_edge, said.said_edge), (said.shared_edge, said.shared)
    if any((part > of).any() for part, of in (*whole, *edges)) or (said.said.sum(1) > said.true.sum(1)).any():
        raise ValueError("a part of the pixels must not be larger than the whole")
    return said, Truth({"test": np.zeros((images, 0), dtype=np.int64)}, classes)


def _landmarks(record: Record, table: Table) -> tuple[LandmarkErrors, Truth]:
    """Return the errors of landmarks, and how many images there are."""
    first, second, names = (_labels(table[name]) for name in ("first", "second", "landmark"))
    said = LandmarkErrors(first, second, tuple(table["group"]), names, table["landmark_error"], table["least_error"])
    return said, Truth({"test": np.zeros((record.task.samples["test"], 0), dtype=np.int64)}, 0)
