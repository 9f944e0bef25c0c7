"""What holds of every record, whoever wrote it: its parts do not belie one another."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from ssl_bench import metrics
from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from ssl_bench.results.parts import MetricDefinition, MetricValue, Task
    from ssl_bench.results.record import Record

NO_LESS = {
    "top5": "top1",
    "recall_at_5": "recall_at_1",
    "recall_at_10": "recall_at_5",
    "pck_05": "pck_01",
    "pck_10": "pck_05",
}
"""Metric to one that it contains."""


KINDS = {
    "episode": "episodes",
    "hits": "rankings",
    "hits_easy": "rankings",
    "set": "shifts",
    "cluster": "clusters",
    "pred": "classes",
    "scores": "multilabel",
    "shared_pixels": "segmentation",
    "found_right": "detections",
    "landmark_error": "landmarks",
    "region": "tracks",
    "best_overlap": "discoveries",
    "abs_rel": "distances",
    "angle_mean": "directions",
}
"""Column to the kind of predictions that it tells; the first that is there does."""
KINDS_ASKED_ONCE = (
    "",
    "rankings",
    "clusters",
    "classes",
    "multilabel",
    "segmentation",
    "detections",
    "distances",
    "directions",
    "discoveries",
)
"""Kinds of predictions with one row for every test sample."""
KINDS_OF_SOME = ("rankings", "distances", "directions", "discoveries")
"""Kinds whose scores may be over fewer samples: of a query with nothing to find, or an image of which nothing is known,
no score is told."""


class ContradictionError(UsageError):
    """A record of the right form whose parts belie one another."""


def check(record: Record) -> None:
    """Raise ContradictionError, naming the field, where a record belies itself."""
    task, values = record.task, record.metrics
    _check_task(task)
    if task.metric not in values:
        raise ContradictionError(
            f"metrics: the headline metric {task.metric!r} is missing; there is {', '.join(values)}"
        )
    for name, value in values.items():
        _check_metric(record, name, value)
    asked = KINDS_ASKED_ONCE  # episodes ask a sample often, shifts ask others, and what has no ids asks none
    if kind_of(record.samples.columns) in asked and not task.truncated and record.samples.n != task.samples["test"]:
        raise ContradictionError(
            f"samples.n is {record.samples.n}, but the test split has {task.samples['test']} samples"
        )


def kind_of(columns: tuple[str, ...]) -> str:
    """Return the kind of predictions that a file with these columns holds; "" for none."""
    if not columns:
        return ""
    return next((kind for column, kind in KINDS.items() if column in columns), "quantities")


def _check_task(task: Task) -> None:
    if task.metric not in task.metrics:
        raise ContradictionError(f"task.metrics: the headline metric {task.metric!r} is not defined")
    if "test" not in task.samples:
        raise ContradictionError("task.samples: the number of samples of 'test' is missing")
    if task.ids is not None and task.ids.keys() != task.samples.keys():
        raise ContradictionError("task.ids: the splits are not those of task.samples")
    if task.labels is not None and task.labels.names and len(task.labels.names) != task.classes:
        raise ContradictionError(f"task.labels: {len(task.labels.names)} names for {task.classes} classes")
    for name, definition in task.metrics.items():
        _check_definition(name, definition)


@functools.lru_cache(maxsize=1024)
def _check_definition(name: str, definition: MetricDefinition) -> None:
    """Raise ContradictionError where a definition is not that of the metric that is known by its name."""
    if definition.low > definition.high:
        raise ContradictionError(f"task.metrics.{name}: low is {definition.low}, above high, {definition.high}")
    for word, value in (("chance", definition.chance), ("ceiling", definition.ceiling)):
        if value is not None and not definition.low <= value <= definition.high:
            raise ContradictionError(
                f"task.metrics.{name}: {word} is {value}, outside {definition.low}..{definition.high}"
            )
    known = metrics.METRICS.get(name)
    for word in ("unit", "higher_is_better", "low", "high") if known else ():
        said, true = getattr(definition, word), getattr(known, word)
        if said != true:
            raise ContradictionError(f"task.metrics.{name}: {word} is {said}, but it is {true} of {name}")


def _check_metric(record: Record, name: str, metric: MetricValue) -> None:
    """Raise ContradictionError where a metric leaves its range or interval, or belies another metric or the task."""
    task, (variant, slash, short) = record.task, name.rpartition("/")
    if short not in task.metrics:
        raise ContradictionError(f"metrics.{name}: task.metrics does not define {short!r}")
    definition, interval = task.metrics[short], metric.interval
    if not definition.low <= metric.value <= definition.high:
        raise ContradictionError(f"metrics.{name}: {metric.value} is outside {definition.low}..{definition.high}")
    if interval and not interval.low <= metric.value <= interval.high:
        raise ContradictionError(
            f"metrics.{name}: {metric.value} is outside its interval {interval.low}..{interval.high}"
        )
    kind, known = kind_of(record.samples.columns), metrics.METRICS.get(short)
    if kind and known and known.kind not in ((kind, "classes") if kind == "shifts" else (kind,)):
        raise ContradictionError(f"metrics.{name}: scores {known.kind}, but samples.columns are those of {kind}")
    asked, expected = _asked(record, kind, variant)
    whole = metric.n <= expected if kind in KINDS_OF_SOME else metric.n == expected
    if kind == "episodes":
        whole = metric.n > 0 and record.samples.n % metric.n == 0
    if not task.truncated and not whole:
        raise ContradictionError(f"metrics.{name}: n is {metric.n}, but {asked} has {expected} samples")
    if metric.n < 1:
        raise ContradictionError(f"metrics.{name}: n is {metric.n}, so nothing was measured")
    inner = record.metrics.get(f"{variant}{slash}{NO_LESS[short]}") if short in NO_LESS else None
    if inner and metric.value < inner.value:
        raise ContradictionError(
            f"metrics.{name}: {metric.value} is below the {inner.value} of {NO_LESS[short]}, which it contains"
        )


def _asked(record: Record, kind: str, variant: str) -> tuple[str, int]:
    """Return which samples stand behind a metric, and how many: those of test, or, where shifted sets were asked, of
    the set that it is named after or of all of them."""
    samples = record.task.samples
    shifted = {role: count for role, count in samples.items() if role not in ("train", "val", "test")}
    if kind in ("episodes", "tracks"):
        return "the file of predictions", record.samples.n
    if kind != "shifts" or variant == "test":
        return "the test split", samples["test"]
    return (variant, shifted[variant]) if variant in shifted else ("all shifted sets", sum(shifted.values()))
