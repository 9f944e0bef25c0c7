"""Robustness: a logistic regression that is fitted once answers the test set and every shifted test set of the task.

The classifier is that of `logistic_regression`: chosen on val or on a tenth of train, never on a shifted set, and not
fitted anew for any. A set that holds some of the classes is answered among these alone, as the authors of ImageNet-A
and ImageNet-R do with their 200 (hendrycks/natural-adv-examples and imagenet-r, eval.py). The headline is the task's:
the mean of the sets' top-1, or the mean corruption error; the clean figure stands beside it as "test/top1".
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ssl_bench.predictions import Classes, Shifted
from ssl_bench.protocols import base
from ssl_bench.protocols._probe import Probe


@dataclasses.dataclass(frozen=True)
class Protocol(Probe):
    """One linear map and a softmax, asked of other conditions than it learnt from."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the held-out samples where a task has no val."""
    kinds: ClassVar[tuple[str, ...]] = ("robustness",)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes of every set by falling logit; confidence is the softmax probability of the first.

        Raises what `logistic_regression` raises, and DataError for a set of classes that train has no sample of.
        """
        fitted = self.fitted(trial)
        clean = fitted.predicted(trial.features("test"))
        sets = {name: fitted.predicted(trial.features(name), among) for name, among in trial.shifts.items()}
        return base.Answer(Shifted(clean, sets), **fitted.choice)

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the most frequent classes of train, among those that a set may be answered with."""
        counts = np.bincount(trial.labels["train"], minlength=trial.classes)

        def prior(split: str, among: tuple[int, ...]) -> Classes:
            chosen = np.array(among or range(trial.classes), dtype=np.int64)
            order = chosen[np.argsort(-counts[chosen], kind="stable")[:5]]
            share = counts[order[0]] / max(counts[chosen].sum(), 1)
            samples = trial.sizes[split]
            return Classes(np.tile(order, (samples, 1)), np.full(samples, share, dtype=np.float32), probability=True)

        return base.Answer(Shifted(prior("test", ()), {name: prior(name, a) for name, a in trial.shifts.items()}))
