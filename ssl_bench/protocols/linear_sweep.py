"""DINOv2's linear evaluation: heads on several features and at many learning rates, trained at once on random crops.

The recipe is that of facebookresearch/dinov2, dinov2/eval/linear.py: every combination of four features (the class
token of the last or of the last four blocks, with or without the mean of the patch tokens) and thirteen learning rates
is a linear layer; each image passes the network once for all of them. SGD with momentum 0.9 and no weight decay; the
rate is scaled by batch / 256 and falls by a cosine to 0. Theirs counts on 8 devices of 128 images each: the batch of
1,024 is part of the recipe here, and passes the network in parts. A model without these features gets heads on its own
feature alone, and so does a job that names one (`--pooled`).

The variant "strict" trains on train, chooses the head by top-1 on val (without one: on a stratified tenth of train that
no head has seen), and reports it once. "paper" trains on all of train and reports the best head on test, as published.

Expect 12.8 million forward passes, which ask for a GPU; a smaller recipe is `linear_sweep,iterations=500,batch=128`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Augmentation
from ssl_bench.predictions import Predictions
from ssl_bench.protocols import _heads, base

if TYPE_CHECKING:
    from ssl_bench.solvers.linear_heads import LinearHeads

FEATURES = ("cls", "cls+patch_mean", "cls_last4", "cls_last4+patch_mean")
Head = tuple[str, float]
"""A pooling and a learning rate before it is scaled."""
RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 1e-1)


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A sweep of linear layers on frozen features of augmented images."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False

    variant: Literal["strict", "paper"] = "strict"
    """"paper" reports the head that is best on the very samples that are reported."""
    iterations: int = 12_500
    """Steps; published are 10 epochs of 1,250 each, whatever the size of train."""
    batch: int = 1024
    """Images per step, over all devices."""
    learning_rates: tuple[float, ...] = RATES
    """Before they are scaled by batch / 256."""
    momentum: float = 0.9
    holdout: float = 0.1
    """Fraction of every class held out of train to choose the head, in the variant "strict" without val."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.batch < 1:
            raise UsageError("linear_sweep: iterations and batch must be 1 or more")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UsageError("linear_sweep: learning_rates must be above 0, and there must be one")
        if len(set(self.learning_rates)) < len(self.learning_rates):
            raise UsageError("linear_sweep: learning_rates must differ")
        if not 0 < self.holdout < 1 or not 0 <= self.momentum < 1:
            raise UsageError("linear_sweep: holdout must be between 0 and 1, and momentum from 0 to below 1")

    @property
    def selects_on_test(self) -> bool:
        return self.variant == "paper"

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the crops of every step, and the splits that choose and are reported."""
        choosing = () if self.selects_on_test else ("val",) if "val" in sizes else ("train",)
        return base.Passes({"": (*choosing, "test")}, self.iterations * self.batch)

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise what `_heads.parts` raises."""
        _heads.parted(labels, "linear_sweep", 0.0 if self.selects_on_test else self.holdout)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the chosen head's classes by falling logit; confidence is the softmax probability of the first.

        Raises DataError where train holds one class, or where every head grew without bound.
        """
        parts = _heads.parts(trial, "linear_sweep", 0.0 if self.selects_on_test else self.holdout)
        heads = self.trained(trial, parts)
        names = [(pooling, rate) for pooling in heads for rate in self.learning_rates]
        finite = dict(zip(names, (good for head in heads.values() for good in head.finite()), strict=True))
        if not any(finite.values()):
            raise DataError("linear_sweep: every head's weights grew without bound; give lower learning_rates")
        if self.selects_on_test:
            found = {name: said for name, said in self.answers(trial, heads).items() if finite[name]}
            written = {f"features={pooling},learning_rate={rate:g}": said for (pooling, rate), said in found.items()}
            return base.Answer(next(iter(written.values())), candidates=written)
        curve = self.curve(trial, parts, heads, finite)
        best = max(range(len(curve)), key=lambda row: (finite[names[row]], curve[row]["val_top1"], -row))
        pooling, rate = names[best]
        ends = (min(self.learning_rates), max(self.learning_rates))
        head, place = heads[pooling], self.learning_rates.index(rate)
        test = _heads.rows(trial, "test", pooling)
        return base.Answer(
            _heads.predicted(
                lambda features: head.logits(features)[:, place : place + 1], test, every=trial.every_score
            )[0],
            selected={"features": pooling, "learning_rate": rate, "selected_on": parts.told},
            curve=curve,
            at_grid_edge=rate in ends if len(self.learning_rates) > 1 else None,
        )

    def trained(self, trial: base.Trial, parts: _heads.Parts) -> dict[str, LinearHeads]:
        """Return the trained heads of each feature."""
        import torch

        from ssl_bench.solvers.linear_heads import LinearHeads

        order = parts.fitted[_heads.endless(len(parts.fitted), self.iterations * self.batch, trial.seed)]
        generator = torch.Generator().manual_seed(trial.seed)
        rates = [rate * self.batch / 256 for rate in self.learning_rates]
        heads: dict[str, LinearHeads] = {}
        batches = _heads.crops(
            trial, "linear_sweep", Augmentation(), order, self.batch, _heads.offered(trial, FEATURES)
        )
        with trial.track("linear_sweep", self.iterations) as advance:
            for step, (features, labels) in enumerate(batches):
                for pooling, values in features.items():
                    if pooling not in heads:
                        heads[pooling] = LinearHeads(
                            values.shape[1],
                            trial.classes,
                            rates,
                            momentum=self.momentum,
                            deviation=0.01,
                            generator=generator,
                            device=trial.device,
                        )
                    heads[pooling].step(values, labels, (1 + math.cos(math.pi * step / self.iterations)) / 2)
                advance(1)
        return heads

    def curve(
        self,
        trial: base.Trial,
        parts: _heads.Parts,
        heads: dict[str, LinearHeads],
        finite: dict[tuple[str, float], bool],
    ) -> tuple[dict[str, Any], ...]:
        """Return one row per head: its top-1 on the samples that choose; 0 for one that grew without bound."""
        labels = parts.labels(trial)
        rows: list[dict[str, Any]] = []
        for pooling, head in heads.items():
            features = _heads.rows(trial, parts.split, pooling, parts.held)
            for rate, top1 in zip(self.learning_rates, _heads.accuracies(head.logits, features, labels), strict=True):
                good = finite[pooling, rate]
                row = {"features": pooling, "learning_rate": rate, "val_top1": top1 if good else 0.0}
                rows.append(row if good else {**row, "diverged": True})
        return tuple(rows)

    def answers(self, trial: base.Trial, heads: dict[str, LinearHeads]) -> dict[Head, Predictions]:
        """Return every head's predictions for test."""
        found: dict[Head, Predictions] = {}
        for pooling, head in heads.items():
            rows = _heads.rows(trial, "test", pooling)
            said = _heads.predicted(head.logits, rows, every=trial.every_score)
            found |= {(pooling, rate): one for rate, one in zip(self.learning_rates, said, strict=True)}
        return found
