"""Comparing what is claimed with what is found when it is done again; nothing here loads a network or data.

Rescoring is exact but for rounding. A feature that is extracted again differs by arithmetic alone: the cosine of its
sketch with the one that was handed in must reach 0.999, and its length agree within 1 %. Predictions may differ in a
share of 0.3 points, of three times the spread of the job's replicates, or in one sample, whichever is most.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from statistics import stdev
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.cards import plain
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import digest_json
from ssl_bench.predictions import Truth
from ssl_bench.predictions.masks import true_pixels
from ssl_bench.results import predicted, rescore
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.submission import sketch as sketches
from ssl_bench.submission.bundle import label
from ssl_bench.submission.claims import Claim
from ssl_bench.submission.sketch import Sketch
from ssl_bench.submission.validator import Report

COSINE = 0.999
"""Least cosine between a sketch and the one that was handed in."""
LENGTH = 0.01
"""Most by which a feature's length may differ, relative to it."""
POINTS = 0.003
REPLICATES = 3.0
"""Share of predictions, and standard deviations of replicates, by which a run may differ."""
STATED = "stated targets"
"""What is checked of a record whose test labels are not here."""
Outcome = Literal["agrees", "disagrees", "open"]
"""Open: it could not be checked, and says so."""


@dataclasses.dataclass(frozen=True)
class Redone:
    """One thing that was done again, and what came of it."""

    job: str
    """For people: task, protocol and seed, or the task alone."""
    what: str
    """What was done again, in a word or two."""
    outcome: Outcome
    said: str
    """What was found, with its figures."""


@dataclasses.dataclass(frozen=True, eq=False)
class Own:
    """What the verifier's own data say of a task's test split."""

    task_digest: str
    ids: Sequence[str]
    truth: Truth


def judged(report: Report) -> list[Redone]:
    """Return what the validator found of a bundle; what only asks a person to look is open."""
    found = [
        Redone(one.where, f"{one.code} {one.name}", "disagrees" if one.refuses else "open", one.what)
        for one in report.findings
    ]
    return found or [Redone(report.round, "rules", "agrees", f"{report.records} records answer the round as it asks")]


def rescored(claim: Claim, own: Callable[[Record], Own | None]) -> list[Redone]:
    """Return what comes of computing every metric of every record from its predictions once more.

    `own` gives the verifier's own data of a record's task, or None where they are not here: then the targets are those
    that came with the predictions, and it is said so.
    """
    return [one for record in claim.records for one in _rescored(claim, record, own(record))]


def _rescored(claim: Claim, record: Record, own: Own | None) -> list[Redone]:
    job = label(record)
    try:
        table = claim.table(record)
    except (UsageError, MissingError) as error:
        outcome: Outcome = "open" if isinstance(error, MissingError) else "disagrees"
        return [Redone(job, "metrics", outcome, str(error))]
    found = [Redone(job, "metrics", "disagrees", why) for why in rescore.contradictions(record, table)]
    if not found:
        again = rescore.rescored(record, table)
        rest = sorted(record.metrics.keys() - again.keys())
        more = f"; not in the predictions: {', '.join(rest)}" if rest else ""
        found = [Redone(job, "metrics", "agrees" if again else "open", f"{len(again)} computed again{more}")]
    return [*found, _targets(record, table, own)]


def _objects(job: str, record: Record, table: Table, own: Own) -> Redone:
    """Compare found boxes with the verifier's own objects once more."""
    assert own.truth.dense is not None
    if digest_json(list(table["sample_id"])) != digest_json(list(own.ids)):
        return Redone(job, "targets", "disagrees", "the predictions are of other samples, or in another order")
    try:
        wrong = predicted.misjudged(record, table, own.truth.dense)
    except rescore.FOREIGN as error:
        return Redone(job, "targets", "disagrees", f"the predictions are not what their columns tell: {error!r:.200}")
    if wrong:
        said = f"of {wrong} of {len(own.ids)} images the objects, or what was found of them, are not those here"
        return Redone(job, "targets", "disagrees", said)
    return Redone(job, "targets", "agrees", f"the objects of {len(own.ids)} images, and the boxes that find them")


def _targets(record: Record, table: Table, own: Own | None) -> Redone:
    """Compare the labels that came with predictions with the verifier's own."""
    job = label(record)
    if own is None:
        return Redone(job, STATED, "open", "the task's data are not here: targets are the submitter's")
    if own.task_digest != record.task.digest:
        said = f"the task here has the digest {own.task_digest[:12]}, the record {record.task.digest[:12]}"
        return Redone(job, "targets", "disagrees", f"{said}: other images, labels or splits")
    if "found_right" in table and own.truth.dense is not None:
        return _objects(job, record, table, own)
    column = "true_pixels" if "true_pixels" in table and own.truth.dense is not None else "target"
    try:
        rebuilt = predicted.rebuilt(record, table)
        if rebuilt is None or column not in table:
            return Redone(job, "targets", "open", "these predictions hold no label of a sample; a run tells")
        expected = rebuilt[0].table(own.ids, own.truth)
        if column == "true_pixels" and own.truth.dense is not None:
            expected[column] = true_pixels(own.truth.dense, own.truth.classes)
    except rescore.FOREIGN as error:
        return Redone(job, "targets", "disagrees", f"the predictions are not what their columns tell: {error!r:.200}")
    if digest_json(list(table["sample_id"])) != digest_json(list(expected["sample_id"])):
        return Redone(job, "targets", "disagrees", "the predictions are of other samples, or in another order")
    theirs, ours = np.asarray(table[column]), np.asarray(expected[column])
    if theirs.shape != ours.shape:
        return Redone(job, "targets", "disagrees", f"the targets have the shape {theirs.shape}, not {ours.shape}")
    wrong = int((theirs != ours).reshape(len(ours), -1).any(axis=1).sum())
    if wrong:
        return Redone(job, "targets", "disagrees", f"{wrong} of {len(ours)} targets are not the data's")
    return Redone(job, "targets", "agrees", f"{len(ours)} targets are those of the verifier's own data")


def same_images(record: Record, handed_in: Sketch, digests: NDArray[np.uint8]) -> Redone | None:
    """Return what is wrong with the images of a sketch, given the sha256 of one's own, uint8 (images, 32); or None."""
    own = digests[:, : sketches.IMAGE]
    if handed_in.images.shape == own.shape and (handed_in.images == own).all():
        return None
    return Redone(record.task.name, "images", "disagrees", "the sketch is of other images than the task's")


def features(record: Record, handed_in: Sketch, positions: NDArray[np.int64], again: NDArray[np.floating]) -> Redone:
    """Compare features (positions, dim) that were extracted again with the sketch that was handed in."""
    norms, values = sketches.project(again)
    theirs, ours = handed_in.values[positions].astype(np.float64), values.astype(np.float64)
    product = np.linalg.norm(theirs, axis=1) * np.linalg.norm(ours, axis=1)
    both_nothing = (handed_in.norms[positions] == 0) & (norms == 0)
    cosines = np.where(both_nothing, 1.0, (theirs * ours).sum(axis=1) / np.where(product > 0, product, 1.0))
    longer = np.maximum(handed_in.norms[positions], norms).astype(np.float64)
    lengths = np.abs(handed_in.norms[positions] - norms) / np.where(longer > 0, longer, 1.0)
    wrong = int(((cosines < COSINE) | (lengths > LENGTH)).sum())
    said = f"least cosine {cosines.min():.5f}, most difference in length {100 * lengths.max():.2g} %"
    if wrong:
        return Redone(record.task.name, "features", "disagrees", f"{wrong} of {len(positions)} images differ: {said}")
    return Redone(record.task.name, "features", "agrees", f"{len(positions)} images: {said}")


def tolerance(record: Record, replicates: Sequence[float] = ()) -> float:
    """Return by how much a second run of a job may differ, as a fraction: 0.3 points, three standard deviations of
    `replicates` (headline values of runs of this very job), or one sample, whichever is most."""
    spread = stdev(replicates) if len(replicates) > 1 else 0.0
    return max(POINTS, REPLICATES * spread, 1 / max(1, record.headline.n))


def predictions(record: Record, table: Table, again: Record, table_again: Table, allowed: float) -> list[Redone]:
    """Compare a record and its predictions with those of a second run of the same job."""
    job = label(record)
    found = [_results(record, again, allowed), _statements(record, again)]
    if "pred" in table and "pred" in table_again:
        theirs, ours = np.asarray(table["pred"]), np.asarray(table_again["pred"])
        if theirs.shape != ours.shape:
            return [Redone(job, "predictions", "disagrees", f"{len(ours)} were expected, {len(theirs)} came"), *found]
        share = float((theirs != ours).mean()) if len(ours) else 0.0
        said = f"{100 * share:.2f} % differ, {100 * allowed:.2f} % may"
        found.insert(0, Redone(job, "predictions", "agrees" if share <= allowed else "disagrees", said))
    return found


def _results(record: Record, again: Record, allowed: float) -> Redone:
    """Compare every metric, the readings that no predictions are kept of among them."""
    job, first = label(record), record.task.metric
    for name in (first, *sorted(record.metrics.keys() - {first})):
        if name not in again.metrics:
            return Redone(job, "result", "disagrees", f"{name} is claimed, and a run here does not give it")
        theirs, ours, scale = record.metrics[name].value, again.metrics[name].value, 1.0
        if record.definition(name).unit != "fraction":
            scale = max(1.0, abs(ours))
        if abs(theirs - ours) > allowed * scale:
            said = f"{name} {theirs:.6g} claimed, {ours:.6g} found, {allowed * scale:.2g} may differ"
            return Redone(job, "result", "disagrees", said)
    said = f"{first} {record.headline.value:.6g} claimed, {again.headline.value:.6g} found, {allowed:.2g} may differ"
    return Redone(job, "result", "agrees", said)


def _statements(record: Record, again: Record) -> Redone:
    """Compare what a record states beside its numbers, and a board shows or reads them by."""
    both = record.task.metrics.keys() & again.task.metrics.keys()  # a later release may know more metrics
    defined = [{name: one.task.metrics[name] for name in sorted(both)} for one in (record, again)]
    parts = {
        "definitions of the metrics": (defined[0], defined[1]),
        "headline": (record.task.metric, again.task.metric),
        "classes": (record.task.classes, again.task.classes),
        "samples": (record.task.samples, again.task.samples),
        "parameters": (record.model.parameters, again.model.parameters),
        "length of the features": (record.model.embed_dim, again.model.embed_dim),
    }
    differing = [name for name, (theirs, ours) in parts.items() if plain(theirs) != plain(ours)]
    said = ", ".join(differing) + " differ" if differing else "what the record states of model, task and metrics holds"
    return Redone(label(record), "statements", "disagrees" if differing else "agrees", said)
