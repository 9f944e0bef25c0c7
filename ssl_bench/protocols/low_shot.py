"""Low-shot: logistic regression on one and on ten percent of train.

SimCLR's semi-supervised setting (google-research/simclr, imagenet_subsets), which SwAV, SUNCET and VISSL share, with
frozen features as MSN has it. Their lists are of ImageNet-1k alone: lists=simclr learns from these, and the seed draws
the folds alone. By default a seed draws the same share of every class of any train, rounded, and at least one image of
each, so that rare classes stay. A share that
is less than half an image in every class would be one shot under another name, and is refused.

C is chosen within the subset, by cross-validation: val, where a task has one, often holds more labels than the subset,
and a choice on it spends what low-shot means to spare. `select=val` does so nevertheless, as several peers do. Val is
never fitted to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols import _supports, base
from ssl_bench.protocols._logistic import FewLabels

SIMCLR = {0.01: "simclr_1percent", 0.1: "simclr_10percent"}
"""Share to published subset."""


@dataclasses.dataclass(frozen=True)
class Protocol(FewLabels):
    """Logistic regression with an L2 penalty on a stratified part of train."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the subset and its folds."""
    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2)

    fraction: float = 0.1
    """Share of every class of train in the headline."""
    also: tuple[float, ...] = (0.01,)
    """Further shares; a smaller subset is part of a larger one."""
    select: Literal["subset", "val"] = "subset"
    """What C is chosen on: the subset by cross-validation, or all of val."""
    lists: Literal["drawn", "simclr"] = dataclasses.field(default="drawn", metadata=base.LATER)
    """Where the subsets come from: a draw, or the lists that SimCLR published for shares of 0.01 and 0.1."""

    def __post_init__(self) -> None:
        for share in (self.fraction, *self.also):
            if not 0 < share <= 1:
                raise UsageError(f"low_shot: fraction and also must be above 0 and at most 1, not {share}")
        if self.lists == "simclr" and not {self.fraction, *self.also} <= set(SIMCLR):
            raise UsageError("low_shot: lists=simclr has fraction and also of 0.01 and 0.1 alone")
        super().__post_init__()

    def seed_matters(self, sizes: Mapping[str, int]) -> bool:
        """Return whether subsets are drawn, or folds of them to choose C on."""
        return self.lists == "drawn" or (self.select == "subset" and self.c_steps > 1)

    @property
    def subsets(self) -> tuple[str, ...]:
        return tuple(SIMCLR[share] for share in sorted({self.fraction, *self.also})) if self.lists == "simclr" else ()

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit at `fraction` and, as variants "fraction=0.01" and so on, at every other
        share that train is large enough for. Classes without a training sample come last, by number.

        Raises UsageError if train is too small for `fraction`, or if C is to be chosen on a val that is not there.
        """
        if self.select == "val" and not trial.has_val:
            raise UsageError("low_shot: this task has no val to choose C on; ask for low_shot,select=subset")
        members = _supports.shuffled(trial.labels["train"], trial.classes, trial.seed)
        shares, subsets = sorted({self.fraction, *self.also}), {}
        for share in shares:
            listed = self.lists == "simclr"
            subsets[share] = trial.supply.subset(SIMCLR[share]) if listed else _supports.stratified(members, share)
        headline, largest = subsets[self.fraction], max(len(found) for found in members)
        if not largest:
            raise DataError("low_shot: train holds no sample")
        if headline is None:
            raise UsageError(
                f"low_shot: fraction={self.fraction:g} is less than half an image of every class, the largest of which "
                f"has {largest}; ask for low_shot,fraction={1 / largest:.2g} or more"
            )
        on_val = self.select == "val"
        found = {
            share: self.fit(trial, subset, on_val=on_val) for share, subset in subsets.items() if subset is not None
        }
        chosen = found.pop(self.fraction)
        return base.Answer(
            chosen.predictions,
            variants={f"fraction={share:g}": fit.predictions for share, fit in found.items()},
            selected={
                "c": chosen.c,
                "further_c": {f"fraction={share:g}": fit.c for share, fit in found.items()},
                "support": _supports.digest(headline),
                "samples": {
                    f"fraction={share:g}": len(subset) for share, subset in subsets.items() if subset is not None
                },
                "left_out": [f"fraction={share:g}" for share, subset in subsets.items() if subset is None],
            },
            curve=chosen.curve,
            converged=chosen.converged and all(fit.converged for fit in found.values()),
            at_grid_edge=chosen.at_grid_edge,
        )
