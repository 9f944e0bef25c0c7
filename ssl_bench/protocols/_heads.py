"""What the protocols that train heads by steps share: who is trained on and who chooses, batches of random crops, and
predictions of logits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Augmentation
from ssl_bench.predictions import Classes
from ssl_bench.protocols.base import IntArray, Trial, stratified_holdout

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 128
"""Images that pass the network together, or rows that are scored together; changes no number but the last digits."""


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """Which samples are trained on, and which choose."""

    fitted: IntArray
    """Positions in train."""
    split: str = ""
    """Where those that choose lie; empty where none do."""
    held: IntArray | None = None
    """Their positions in it; None: all."""

    @property
    def told(self) -> str:
        """Who chooses, in words."""
        return "val" if self.split == "val" else f"{len(self.held) if self.held is not None else 0} samples of train"

    def labels(self, trial: Trial) -> IntArray:
        """Return the labels of the samples that choose."""
        labels = trial.labels[self.split]
        return labels if self.held is None else labels[self.held]


def parts(trial: Trial, name: str, holdout: float) -> Parts:
    """Return what `parted` returns for a trial's labels and seed."""
    return parted(trial.labels, name, holdout, trial.seed)


def parted(splits: Mapping[str, IntArray], name: str, holdout: float, seed: int = 0) -> Parts:
    """Return all of train and, to choose on, val; where there is none, a stratified `holdout` of train is held out.

    `holdout` 0 trains on all of train and lets no sample choose. Raises DataError where train holds one class alone,
    UsageError, naming the protocol, where nothing can be held out.
    """
    labels = splits["train"]
    if len(np.unique(labels)) < 2:
        raise DataError(f"{name} needs two classes; train holds {len(np.unique(labels))}")
    everything = np.arange(len(labels))
    if not holdout:
        return Parts(everything)
    if "val" in splits:
        return Parts(everything, "val")
    kept, held = stratified_holdout(labels, holdout, seed)
    if not len(held):
        raise UsageError(f"{name}: every class of train has one sample, so none can be held out to choose a head")
    return Parts(kept, "train", held)


def endless(samples: int, draws: int, seed: int) -> IntArray:
    """Return `draws` positions: permutations of all samples, one after the other, of NumPy's PCG64 of `seed`."""
    generator = np.random.default_rng(seed)
    rounds = [generator.permutation(samples) for _ in range(-(-draws // samples))]
    return np.concatenate(rounds)[:draws]


def epochs(samples: int, batch: int, count: int, seed: int) -> Iterator[IntArray]:
    """Give the positions of `count` epochs, each a permutation cut to whole batches."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        yield generator.permutation(samples)[: samples // batch * batch]


def offered(trial: Trial, published: Sequence[str]) -> tuple[str, ...]:
    """Return those of the published poolings that the model offers; its own, or the job's, where it has none of them
    or the job names one."""
    if trial.backbone is None:
        return (trial.pooled,)
    both = tuple(pooling for pooling in published if pooling in trial.backbone.poolings)
    return both if both and trial.pooled == "default" else (trial.backbone.resolve_pooling(trial.pooled),)


def rows(trial: Trial, split: str, pooling: str, positions: IntArray | None = None) -> Tensor:
    """Return the features (samples, dim) of a split's images as they are, or of those at `positions`, on the device."""
    import torch

    return torch.as_tensor(trial.features(split, pooling=pooling, positions=positions), device=trial.device)


def crops(
    trial: Trial, name: str, augmentation: Augmentation, order: IntArray, batch: int, poolings: Sequence[str]
) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    """Give, for each batch of `order`, positions in train, the poolings (batch, dim) of random crops, and the labels.

    A batch passes the network in parts, so that its size does not depend on the device. Raises UsageError where the
    model takes no images, DataError for features that are not finite.
    """
    import torch

    backbone = trial.backbone
    if backbone is None or backbone.recalls:
        raise UsageError(f"{name} passes random crops through the network, and these features came without one")
    labels = torch.tensor(trial.labels["train"][order], device=trial.device)
    part = max(size for size in range(1, AT_ONCE + 1) if batch % size == 0)
    images, found, start = trial.batches("train", augmentation, order, part), [], 0
    for chunk in images:
        with torch.no_grad():
            found.append(backbone.forward_all(chunk, poolings))
        if len(found) * part < batch:
            continue
        features = {pooling: torch.cat([one[pooling].float() for one in found]) for pooling in poolings}
        if not all(bool(values.isfinite().all()) for values in features.values()):
            raise DataError("a random crop of train has features that are NaN or infinite")
        yield features, labels[start : start + batch]
        start, found = start + batch, []


def chunks(positions: IntArray) -> Iterator[IntArray]:
    """Give the positions in parts that are small enough to be computed at once."""
    for start in range(0, len(positions), AT_ONCE):
        yield positions[start : start + AT_ONCE]


def predicted(logits: Callable[[Tensor], Tensor], features: Tensor, *, every: bool = False) -> list[Classes]:
    """Return each head's classes; `logits` gives (samples, heads, classes) of features (samples, …)."""
    import torch

    return joined([classes_of(logits(part), every=every) for part in torch.split(features, AT_ONCE)])


def joined(parts: Sequence[Sequence[Classes]]) -> list[Classes]:
    """Return each head's classes for all samples, given part by part."""
    found = []
    for head in zip(*parts, strict=True):
        scores = [one.scores for one in head if one.scores is not None]
        ranked, sure = (
            np.concatenate(rows) for rows in zip(*((one.ranked, one.confidence) for one in head), strict=True)
        )
        found.append(Classes(ranked, sure, probability=True, scores=np.concatenate(scores) if scores else None))
    return found


def classes_of(logits: Tensor, *, every: bool = False) -> list[Classes]:
    """Return, of logits (samples, heads, classes), each head's classes by falling logit, equal ones by number, with the
    softmax probability of the first; `every` keeps those of all."""
    import torch

    values, order = logits.sort(dim=2, descending=True, stable=True)
    ranked, sure = order[..., :5].cpu().numpy(), torch.softmax(values, 2)[..., 0].cpu().numpy()
    scores = torch.softmax(logits, 2).float().cpu().numpy() if every else None
    return [
        Classes(ranked[:, head], sure[:, head], probability=True, scores=None if scores is None else scores[:, head])
        for head in range(ranked.shape[1])
    ]


def accuracies(logits: Callable[[Tensor], Tensor], features: Tensor, labels: IntArray) -> list[float]:
    """Return each head's share of right first classes, for features (samples, …) and labels (samples,)."""
    import torch

    guesses = torch.cat([logits(part).argmax(2).cpu() for part in torch.split(features, AT_ONCE)]).numpy()
    found: list[float] = (guesses == labels[:, None]).mean(axis=0).tolist()
    return found
