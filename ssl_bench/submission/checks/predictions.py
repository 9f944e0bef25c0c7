"""Whether every number follows from the predictions that lie in the bundle, and those from the test set's labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ssl_bench.errors import UsageError
from ssl_bench.results import rescore
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.submission import sketch
from ssl_bench.submission.bundle import sample_member
from ssl_bench.submission.checks.base import Case, where
from ssl_bench.submission.findings import Finding

AGAIN = "Hand in records as `ssl-bench run` wrote them, with their predictions"


def findings(case: Case) -> Iterator[Finding]:
    """Give records without predictions, with numbers or labels that are not theirs, or without sketches."""
    for record in case.bundle.records:
        yield from _of_record(case, record)
    sketched = {}
    for record in case.bundle.records:
        if record.model.embed_dim and not record.task.truncated:
            sketched[sketch.name(record)] = record
    for name, record in sorted(sketched.items()):
        yield from _of_sketch(case, name, record)


def _of_sketch(case: Case, name: str, record: Record) -> Iterator[Finding]:
    found, wanted = case.bundle.sketch(record), record.task.samples["test"]
    if found is None or len(found) != wanted:
        what = f"of {wanted} test images {0 if found is None else len(found)} have a sketch"
        yield Finding("sketch-missing", name, what, "Submit the model, or do it where its features are cached")
        return
    images = case.known.images.get(record.task.digest)
    if images is not None and (wrong := int((found.images != images[:, : sketch.IMAGE]).any(axis=1).sum())):
        what = f"{wrong} of {wanted} sketches are of other images than the test set's, or in another order"
        yield Finding("sketch-differs", name, what, AGAIN)


def labels(case: Case) -> dict[str, str]:
    """Return, task by task, whose labels the numbers were computed from."""
    held = {record.task.name: record.task.digest in case.known.targets for record in case.bundle.records}
    return {name: "held here" if here else "stated in the bundle" for name, here in sorted(held.items())}


def _of_record(case: Case, record: Record) -> Iterator[Finding]:
    if sample_member(record) not in case.bundle.contents:
        yield Finding("predictions-missing", where(record), "its predictions are not in the bundle", AGAIN)
        return
    try:
        table = case.bundle.table(record)
        rescore.check(record, table)
        again = rescore.rescored(record, table)
    except UsageError as error:
        what = str(error).removeprefix(f"{case.bundle.where}: ")
        yield Finding("metric-differs", where(record), what, AGAIN)
        return
    if record.task.metric not in again:
        what = f"{record.task.metric} cannot be computed from what its predictions hold, and is the submitter's word"
        yield Finding("headline-stated", where(record), what, "Nothing to mend; a verifier runs it again")
    held = case.known.targets.get(record.task.digest)
    if held is not None and (what := _differ(table, held)):
        yield Finding("labels-differ", where(record), what, AGAIN)


def _differ(table: Table, held: Any) -> str:
    """Return in what the labels of a table are not those of the test set, or "" where the table holds none."""
    if "target" not in table or "episode" in table:
        return ""
    stated = np.asarray(table["target"])
    if "set" in table:
        stated = stated[np.asarray(table["set"]) == "test"]
    held = np.asarray(held)
    if stated.ndim > held.ndim:  # filled up with -1 where a shifted set has samples of several labels
        stated = stated[:, 0]
    if stated.shape != held.shape:
        return f"the bundle states {len(stated)} labels, and the test set has {len(held)}"
    wrong = int((stated != held).reshape(len(held), -1).any(axis=1).sum())
    return f"{wrong} of {len(held)} labels are not those of the test set" if wrong else ""
