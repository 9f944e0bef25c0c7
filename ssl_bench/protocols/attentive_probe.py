"""An attentive probe: one learnt query attends to the patch tokens, and a linear layer reads what it gathers.

The recipe is CAPI's (facebookresearch/capi, eval_classification.py): cross-attention of one query token with parts of
width 64, no output projection, no norm and no feed-forward; AdamW with β = (0.9, 0.95); ten learning rates, scaled by
batch / 256, times three weight decays (none on biases), all trained at once; 1,250 steps of linear warm-up, then a
cosine to 0, 12,500 steps in all. The probe is chosen by top-1 on val, or without one on a stratified tenth of train,
and reported once.

Theirs trains on random crops. This one reads the maps of the images as they are, which pass the network once and are
kept in half precision: images × positions × dim × 2 bytes on disk, 385 GB for ImageNet and a ViT-B/16.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols import _heads, base

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.solvers.attentive_heads import AttentiveHeads

RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
DECAYS = (5e-4, 1e-3, 5e-2)


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A sweep of attention pools with a linear layer each."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False

    iterations: int = 12_500
    warmup: int = 1250
    """Steps in which the rate rises from 0."""
    batch: int = 1024
    """Images per step, over all devices; theirs are 8 of 128 images each."""
    learning_rates: tuple[float, ...] = RATES
    """Before they are scaled by batch / 256."""
    weight_decays: tuple[float, ...] = DECAYS
    holdout: float = 0.1
    """Fraction of every class held out of train to choose the probe, where the task has no val."""

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.batch < 1 or not 0 <= self.warmup < self.iterations:
            raise UsageError("attentive_probe: iterations and batch must be 1 or more, and warmup less than iterations")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise UsageError("attentive_probe: learning_rates must be above 0, and there must be one")
        if not self.weight_decays or min(self.weight_decays) < 0:
            raise UsageError("attentive_probe: weight_decays must be 0 or more, and there must be one")
        if not 0 < self.holdout < 1:
            raise UsageError(f"attentive_probe: holdout must be between 0 and 1, not {self.holdout}")

    @property
    def grid(self) -> list[tuple[float, float]]:
        """Every candidate's learning rate and weight decay."""
        return list(itertools.product(self.learning_rates, self.weight_decays))

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the maps of all splits."""
        return base.Passes({"dense": tuple(sizes)})

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise what `_heads.parts` raises."""
        _heads.parted(labels, "attentive_probe", self.holdout)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the chosen probe's classes by falling logit; confidence is the softmax probability of the first.

        Raises DataError where train holds one class or every probe failed, UsageError for a model without maps.
        """
        import torch

        parts = _heads.parts(trial, "attentive_probe", self.holdout)
        heads = self.trained(trial, parts)
        with torch.no_grad():
            curve = self.curve(trial, parts, heads)
            best = max(range(len(curve)), key=lambda row: ("diverged" not in curve[row], curve[row]["val_top1"], -row))
            if "diverged" in curve[best]:
                raise DataError("attentive_probe: every probe's weights grew without bound; give lower learning_rates")
            said = [logits[:, best : best + 1] for logits in self.said(trial, "test", None, heads)]
        answer = _heads.joined([_heads.classes_of(logits, every=trial.every_score) for logits in said])[0]
        rate, decay = self.grid[best]
        return base.Answer(
            answer,
            selected={"learning_rate": rate, "weight_decay": decay, "selected_on": parts.told},
            curve=curve,
            at_grid_edge=rate in (min(self.learning_rates), max(self.learning_rates))
            if len(self.learning_rates) > 1
            else None,
        )

    def curve(self, trial: base.Trial, parts: _heads.Parts, heads: AttentiveHeads) -> tuple[dict[str, Any], ...]:
        """Return one row per probe: its top-1 on the samples that choose; 0 for one that grew without bound."""
        import torch

        labels = torch.tensor(parts.labels(trial), device=trial.device)[:, None]
        right, good = (
            labels.new_zeros(len(self.grid)),
            torch.ones(len(self.grid), dtype=torch.bool, device=trial.device),
        )
        start = 0
        for logits in self.said(trial, parts.split, parts.held, heads):
            right += (logits.argmax(2) == labels[start : start + len(logits)]).sum(0)
            good &= logits.isfinite().all(2).all(0)
            start += len(logits)
        rows: list[dict[str, Any]] = []
        for (rate, decay), top1, finite in zip(self.grid, (right / len(labels)).tolist(), good.tolist(), strict=True):
            row = {"learning_rate": rate, "weight_decay": decay, "val_top1": top1 if finite else 0.0}
            rows.append(row if finite else {**row, "diverged": True})
        return tuple(rows)

    def trained(self, trial: base.Trial, parts: _heads.Parts) -> AttentiveHeads:
        """Return the probes after the last step."""
        import torch

        from ssl_bench.solvers.adamw import AdamW
        from ssl_bench.solvers.attentive_heads import AttentiveHeads

        maps = trial.dense("train")
        order = parts.fitted[_heads.endless(len(parts.fitted), self.iterations * self.batch, trial.seed)]
        every = torch.tensor(trial.labels["train"], device=trial.device)
        heads = AttentiveHeads(
            maps.shape[1],
            trial.classes,
            len(self.grid),
            generator=torch.Generator().manual_seed(trial.seed),
            device=trial.device,
        )
        rates, decays = torch.tensor(self.grid, device=trial.device).T
        applied = [decays] * 4 + [torch.zeros_like(decays)] * 2
        solver = AdamW(heads.parameters, applied, rates * self.batch / 256, betas=(0.9, 0.95))
        with trial.track("attentive_probe", self.iterations) as advance:
            for step in range(self.iterations):
                chosen = order[step * self.batch : (step + 1) * self.batch]
                for part in _heads.chunks(chosen):
                    loss = self.loss(heads, _tokens(maps, part, trial), every[torch.as_tensor(part)])
                    torch.autograd.backward(loss)
                solver.step(self.share(step))
                advance(1)
        return heads

    def loss(self, heads: AttentiveHeads, tokens: Tensor, labels: Tensor) -> Tensor:
        """Return a part's share of the mean over the batch and over the probes of their cross-entropies."""
        import torch

        said = heads.logits(tokens)
        total = torch.nn.functional.cross_entropy(
            said.flatten(0, 1), labels.repeat_interleave(said.shape[1]), reduction="sum"
        )
        return total / (self.batch * said.shape[1])

    def share(self, step: int) -> float:
        """Return the part of the learning rate that holds at a step: up to 1 and down to 0, both ends included."""
        if step < self.warmup:
            return step / max(self.warmup - 1, 1)
        return (1 + math.cos(math.pi * (step - self.warmup) / max(self.iterations - self.warmup - 1, 1))) / 2

    def said(
        self, trial: base.Trial, split: str, positions: base.IntArray | None, heads: AttentiveHeads
    ) -> Iterator[Tensor]:
        """Give the logits (samples, probes, classes) of a split's samples, some at a time; `positions` None is all."""
        import numpy as np

        maps = trial.dense(split)
        for part in _heads.chunks(np.arange(len(maps)) if positions is None else positions):
            yield heads.logits(_tokens(maps, part, trial))


def _tokens(maps: Any, positions: base.IntArray, trial: base.Trial) -> Tensor:
    """Return the maps at `positions` as tokens (samples, height · width, dim), float32, on the device.

    Raises DataError where one is not finite.
    """
    import torch

    tokens = torch.as_tensor(maps[positions], device=trial.device).float().flatten(2).transpose(1, 2)
    if not bool(tokens.isfinite().all()):
        raise DataError("the maps of features hold values that are NaN or infinite")
    return tokens.contiguous()
