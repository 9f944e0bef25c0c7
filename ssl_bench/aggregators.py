"""Aggregators: how the values of a suite's tasks become one number. A suite names one as "vtab.mean19@1".

With values v_t of the tasks t in groups g:

    over tasks     (1 / T) Σ_t v_t
    over groups    (1 / G) Σ_g (1 / T_g) Σ_{t in g} v_t
    normalised     v_t replaced by (v_t - c_t) / (b_t - c_t), chance c_t and the best possible value b_t of its metric

A task without a value leaves no aggregate. The version rises when a number would.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from ssl_bench.errors import UsageError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Answer:
    """A task's value and what its metric says of values."""

    value: float
    unit: str = "fraction"
    higher_is_better: bool = True
    chance: float | None = None
    best: float = 1.0
    """The best possible value: the upper end of the metric's range, or the lower where lower is better."""


@dataclasses.dataclass(frozen=True)
class Aggregator:
    """One way of making one number of many."""

    name: str
    version: int
    what: str
    """For readers, in a few words."""
    over: Literal["tasks", "groups", ""] = "tasks"
    """What is averaged with equal weights; empty: groups have means, the suite has none."""
    normalised: bool = False
    """Whether chance is 0 and the best possible value 1."""
    tasks: int = 0
    """How many tasks a suite must have; 0: any number."""

    @property
    def reference(self) -> str:
        """The name with its version, as a suite card says it."""
        return f"{self.name}@{self.version}"

    def mean(self, answers: Sequence[Answer]) -> float | None:
        """Return the mean of a group's values; None where values of several units or directions cannot be averaged, or
        chance is not known where it is needed."""
        values = [self.placed(answer) for answer in answers]
        kinds = {("", True) if self.normalised else (answer.unit, answer.higher_is_better) for answer in answers}
        known = [value for value in values if value is not None]
        return fmean(known) if len(kinds) == 1 and len(known) == len(values) else None

    def aggregate(self, groups: Mapping[str, Mapping[str, Answer]]) -> float | None:
        """Return the suite's number, or None as `mean`; `groups` are group to task to answer, and all tasks are there.

        A task that is in two groups counts once among the tasks.
        """
        if not self.over:
            return None
        whole = self.mean([*{task: answer for tasks in groups.values() for task, answer in tasks.items()}.values()])
        if whole is None or self.over != "groups":
            return whole
        means = [self.mean([*tasks.values()]) for tasks in groups.values()]
        return fmean(mean for mean in means if mean is not None)

    def placed(self, answer: Answer) -> float | None:
        """Return what of a value enters the mean; None where chance is not known and it is needed."""
        if not self.normalised:
            return answer.value
        if answer.chance is None or answer.chance == answer.best:
            return None
        return (answer.value - answer.chance) / (answer.best - answer.chance)


_ALL = (
    Aggregator("mean_of_tasks", 1, "plain mean over the tasks"),
    Aggregator("mean_of_groups", 1, "plain mean of the groups' means", over="groups"),
    Aggregator(
        "chance_normalised_mean", 1, "mean over the tasks, each with chance at 0 and the best at 1", normalised=True
    ),
    Aggregator("vtab.mean19", 1, "plain mean over VTAB's 19 tasks (Zhai et al., 2019)", tasks=19),
    Aggregator("kornblith.mean12", 1, "plain mean over the 12 datasets of Kornblith et al., 2019", tasks=12),
    Aggregator("cog.mean5", 1, "plain mean over ImageNet-CoG's levels L1 to L5", tasks=5),
    Aggregator("medmnist.mean12", 1, "plain mean over MedMNIST's 12 sets of 2D images", tasks=12),
    Aggregator("groups_only", 1, "no number: what the groups measure does not average", over=""),
)
AGGREGATORS: dict[str, Aggregator] = {aggregator.reference: aggregator for aggregator in _ALL}
"""Every aggregator by its name and version."""
DEFAULT = "mean_of_tasks@1"


def get(reference: str) -> Aggregator:
    """Return the aggregator called such as "vtab.mean19@1"; raise UsageError that names the nearest known ones."""
    if reference not in AGGREGATORS:
        known = ", ".join(AGGREGATORS)
        raise UsageError(f"no aggregator is called {reference!r}.{did_you_mean(reference, AGGREGATORS)} Known: {known}")
    return AGGREGATORS[reference]
