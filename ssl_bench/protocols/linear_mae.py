"""MAE's linear probing: one linear layer on features whose batch statistics are normalised away, trained by LARS.

The recipe is that of facebookresearch/mae, main_linprobe.py: a batch norm without affine parameters (eps 1e-6) and a
linear layer (weights N(0, 0.01), biases 0) on the frozen feature; LARS with trust 0.001, momentum 0.9 and no decay at
the rate 0.1 · batch / 256 = 6.4; 10 epochs of warm-up from 0, then a cosine to 0, in all 90 epochs (those of ViT-B; 50
for ViT-L and ViT-H); random crops of one draw each, and flips. The last, incomplete batch of an epoch is left out.

One thing differs: the authors' 16,384 images are 32 devices of 512, each normalised by its own statistics, and the
running statistics are the first device's. Here they are those of the whole batch, whatever the devices.

LARS moves weights by a share of their length, so a few steps at a low rate leave them where they were drawn: a train
set of less than one batch is refused, and a recipe for a small one has a higher base_rate as well as a smaller batch.

`crops=cached` takes the features of the images as they are, once, in place of crops: another recipe, of one pass per
image. The variant "strict" reports the last epoch, and nothing is selected; val is not looked at. "paper" reports the
best epoch on test, as published.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Augmentation
from ssl_bench.predictions import Classes, Predictions
from ssl_bench.protocols import _heads, base

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.solvers.lars import Lars

EPSILON = 1e-6
"""Added to the variances of the batch norm."""
REMEMBERED = 0.1
"""Share of a batch in the running statistics."""
DEVIATION = 0.01
"""Of the weights at the start."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A normalised linear layer, trained in large batches."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False

    variant: Literal["strict", "paper"] = "strict"
    """"paper" reports the epoch that is best on the very samples that are reported."""
    crops: Literal["augmented", "cached"] = "augmented"
    """"cached" trains on the features of the images as they are."""
    epochs: int = 90
    warmup: int = 10
    """Epochs in which the rate rises from 0."""
    batch: int = 16_384
    """Images per step and per estimate of the batch statistics, over all devices."""
    base_rate: float = 0.1
    """Learning rate before it is scaled by batch / 256."""
    momentum: float = 0.9
    trust: float = 0.001
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not 0 <= self.warmup < self.epochs:
            raise UsageError("linear_mae: epochs must be 1 or more, batch 2 or more, and warmup less than epochs")
        if self.base_rate <= 0 or self.trust <= 0 or not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise UsageError("linear_mae: base_rate and trust must be above 0, momentum and weight_decay 0 or more")

    @property
    def selects_on_test(self) -> bool:
        return self.variant == "paper"

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return test and the crops of every epoch, or train as it is."""
        if self.crops == "cached":
            return base.Passes({"": ("train", "test")})
        return base.Passes({"": ("test",)}, self.epochs * (sizes["train"] // self.batch * self.batch))

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise DataError where train holds one class, UsageError where it holds less than a batch."""
        samples = len(_heads.parted(labels, "linear_mae", 0.0).fitted)
        if samples < self.batch:
            raise UsageError(
                f"linear_mae: train holds {samples} images, fewer than one batch of {self.batch}; give a smaller batch "
                f"and a base_rate that keeps the rate near {self.base_rate * self.batch / 256:g}"
            )

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit; confidence is the softmax probability of the first.

        Raises DataError where train holds one class, or where the weights grew without bound; UsageError where train
        holds less than a batch.
        """
        self.check(trial.labels, trial.classes)
        steps, rate = trial.sizes["train"] // self.batch, self.base_rate * self.batch / 256
        pooling = _heads.offered(trial, ())[0]
        head: NormalisedHead | None = None
        epochs: dict[str, Predictions] = {}
        with trial.track("linear_mae", self.epochs * steps) as advance:
            for step, (features, labels) in enumerate(self.batches(trial, pooling)):
                head = head or self.head(features.shape[1], trial)
                head.step(features, labels, rate * self.share(step / steps))
                advance(1)
                if self.selects_on_test and (step + 1) % steps == 0:
                    epochs[f"epoch={(step + 1) // steps}"] = self.answer_of(head, trial, pooling)
        assert head is not None
        last = self.answer_of(head, trial, pooling)
        return base.Answer(last, candidates=epochs, selected={"rate": rate})

    def batches(self, trial: base.Trial, pooling: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the features (batch, dim) and labels of every step."""
        import torch

        cached = self.crops == "cached"
        features = _heads.rows(trial, "train", pooling) if cached else torch.empty(0)
        labels = torch.tensor(trial.labels["train"], device=trial.device)
        for order in _heads.epochs(trial.sizes["train"], self.batch, self.epochs, trial.seed):
            if cached:
                for chosen in torch.split(torch.as_tensor(order, device=trial.device), self.batch):
                    yield features[chosen], labels[chosen]
                continue
            for found, marks in _heads.crops(trial, "linear_mae", Augmentation(tries=1), order, self.batch, (pooling,)):
                yield found[pooling], marks

    def head(self, dim: int, trial: base.Trial) -> NormalisedHead:
        """Return the layer as it starts."""
        import torch

        from ssl_bench.solvers.lars import Lars

        drawn = torch.randn(dim, trial.classes, generator=torch.Generator().manual_seed(trial.seed)) * DEVIATION
        weights = drawn.to(trial.device)
        biases = weights.new_zeros(trial.classes)
        solver = Lars((weights, biases), momentum=self.momentum, trust=self.trust, weight_decay=self.weight_decay)
        return NormalisedHead(weights, biases, solver)

    def share(self, epoch: float) -> float:
        """Return the part of the learning rate that holds at a time, counted in epochs."""
        if epoch < self.warmup:
            return epoch / self.warmup
        return (1 + math.cos(math.pi * (epoch - self.warmup) / (self.epochs - self.warmup))) / 2

    def answer_of(self, head: NormalisedHead, trial: base.Trial, pooling: str) -> Classes:
        """Return what the layer says of test; raise DataError where its weights are not finite."""
        if not bool(head.weights.isfinite().all()):
            raise DataError("linear_mae: the weights grew without bound; give a lower base_rate")
        return _heads.predicted(head.logits, _heads.rows(trial, "test", pooling), every=trial.every_score)[0]


class NormalisedHead:
    """A batch norm without affine parameters, then a linear layer."""

    def __init__(self, weights: Tensor, biases: Tensor, solver: Lars) -> None:
        self.weights, self.biases, self.solver = weights, biases, solver
        self.mean = weights.new_zeros(len(weights))
        self.variance = weights.new_ones(len(weights))

    def step(self, features: Tensor, labels: Tensor, rate: float) -> None:
        """Normalise a batch (samples, dim) by itself, remember its statistics, and take one step of the solver."""
        import torch

        variance, mean = torch.var_mean(features, 0, correction=0)
        whole = variance * (len(features) / max(len(features) - 1, 1))
        self.mean.lerp_(mean, REMEMBERED)
        self.variance.lerp_(whole, REMEMBERED)
        normal = (features - mean) / (variance + EPSILON).sqrt()
        residual = torch.softmax(normal @ self.weights + self.biases, 1)
        residual[torch.arange(len(labels), device=labels.device), labels] -= 1
        residual /= len(labels)
        self.solver.step((normal.T @ residual, residual.sum(0)), rate)

    def logits(self, features: Tensor) -> Tensor:
        """Return what the layer says of features (samples, dim) by the running statistics: (samples, 1, classes)."""
        normal = (features - self.mean) / (self.variance + EPSILON).sqrt()
        return (normal @ self.weights + self.biases)[:, None]
