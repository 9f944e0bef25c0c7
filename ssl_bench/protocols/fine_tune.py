"""Fine-tuning: the whole network is trained on train behind a new head, by a published recipe.

The recipes are `mae` (the default: the one that papers of masked image modelling share), `beit`, `dinov2_style`
(iBOT's, whose code DINOv2 grew from; DINOv2 published none), `vtab1k_full` (VPT's: 16 pairs of rate and decay on
train800, the best on val200 trained once more on both), `kornblith` (20 pairs, 5,000 steps of SGD), `partial` (mae on
the last four blocks) and `lora` (low-rank matrices beside the attention, by the package peft). Every number of a
recipe can be given: `fine_tune,recipe=mae,epochs=20,batch=256`. Rates are those before they are scaled by batch / 256.
docs/fine_tuning.md has all numbers, where each was read, and where papers and codes differ.

The variant "strict" reports the last step; a recipe of several rates or decays chooses among them on val, or without
one on held-out train, and trains the chosen pair once more on train and val. "paper" reports the epoch that is best on
test, as MAE, BEiT and iBOT do; vtab1k_full and kornblith choose on held-out data in their papers, and have no other
variant. `fraction` and `shots` train on the supports of low_shot and few_shot_logistic.

Expect epochs times the images of train, forwards and backwards: a GPU for ImageNet, minutes on a CPU for a small
network on small images with `epochs=20,batch=64`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ssl_bench import distributed
from ssl_bench.errors import UsageError
from ssl_bench.protocols import _heads, _recipes, _supports, base
from ssl_bench.protocols._recipes import Recipe

if TYPE_CHECKING:
    from ssl_bench.protocols._tuning import Pool, Run

GRIDS = ("kornblith", "vtab1k_full")
"""Recipes that choose among candidates as published."""
UNIT: Mapping[str, tuple[float, float]] = {
    "epochs": (1e-6, 1e6),
    "steps": (0, 1e9),
    "warmup": (0, 1e6),
    "batch": (1, 1e7),
    "least_rate": (0, 1e3),
    "clip": (0, 1e9),
    "ema": (0, 0.9999999),
    "layer_decay": (1e-6, 1),
    "drop_path": (0, 0.99),
    "crop": (0, 1),
    "flip": (0, 1),
    "jitter": (0, 1),
    "erase": (0, 1),
    "mixup": (0, 1e3),
    "cutmix": (0, 1e3),
    "smoothing": (0, 0.99),
    "blocks": (0, 1e4),
    "rank": (0, 1e4),
    "alpha": (1, 1e6),
    "dropout": (0, 0.99),
    "momentum": (0, 0.9999999),
    "holdout": (1e-6, 0.99),
}
"""Least and largest value of each number."""


def _stated(default: Any = None) -> Any:
    """A number of the recipe, where another is given; what is not given is no part of what was asked."""
    return dataclasses.field(default=default, metadata=base.LATER)


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Training of a network and its head. What a field means, and what it is in each recipe, stands in `_recipes`."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    trains: ClassVar[bool] = True

    recipe: Literal["mae", "beit", "dinov2_style", "vtab1k_full", "kornblith", "partial", "lora"] = "mae"
    variant: Literal["strict", "paper"] = "strict"
    """"paper" reports the epoch that is best on the very samples that are reported."""
    fraction: float | None = _stated()
    """Share of every class of train that is trained on: low_shot's."""
    shots: int | None = _stated()
    """Images of every class of train that are trained on: few_shot_logistic's."""
    rate: tuple[float, ...] = _stated(())
    decay: tuple[float, ...] = _stated(())
    scale_rate: bool | None = _stated()
    decay_by_rate: bool | None = _stated()
    decay_all: bool | None = _stated()
    optimiser: Literal["adamw", "sgd"] | None = _stated()
    momentum: float | None = _stated()
    epochs: float | None = _stated()
    steps: int | None = _stated()
    warmup: float | None = _stated()
    warmup_reaches: bool | None = _stated()
    batch: int | None = _stated()
    schedule: Literal["cosine", "polynomial", "one_cycle", "constant"] | None = _stated()
    least_rate: float | None = _stated()
    clip: float | None = _stated()
    ema: float | None = _stated()
    layer_decay: float | None = _stated()
    drop_path: float | None = _stated()
    pooling: Literal["patch_mean", "cls", "model"] | None = _stated()
    head: Literal["tiny", "scaled", "linear"] | None = _stated()
    crop: float | None = _stated()
    flip: float | None = _stated()
    auto: str | None = _stated()
    """"none" leaves RandAugment out."""
    jitter: float | None = _stated()
    erase: float | None = _stated()
    mixup: float | None = _stated()
    cutmix: float | None = _stated()
    smoothing: float | None = _stated()
    blocks: int | None = _stated()
    rank: int | None = _stated()
    alpha: int | None = _stated()
    dropout: float | None = _stated()
    holdout: float | None = _stated()

    def __post_init__(self) -> None:
        for name, (least, most) in UNIT.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"fine_tune: {name} must be from {least:g} to {most:g}, not {value:g}")
        if any(value <= 0 for value in self.rate) or any(value < 0 for value in self.decay):
            raise UsageError("fine_tune: rate must be above 0, and decay 0 or more")
        if self.auto not in (None, "none") and not self.auto.startswith("rand"):
            raise UsageError(f"fine_tune: auto is RandAugment in timm's words or none, not {self.auto!r}")
        if self.fraction is not None and self.shots is not None:
            raise UsageError("fine_tune: give fraction or shots, not both")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UsageError(f"fine_tune: fraction must be above 0 and at most 1, not {self.fraction:g}")
        if self.shots is not None and self.shots < 1:
            raise UsageError(f"fine_tune: shots must be 1 or more, not {self.shots}")
        found = self.resolved()
        if not found.steps and found.warmup >= found.epochs:
            raise UsageError(
                f"fine_tune: a warm-up of {found.warmup:g} epochs leaves nothing of {found.epochs:g}; give warmup too"
            )
        if self.variant == "paper" and (self.recipe in GRIDS or len(self.candidates(found)) > 1):
            raise UsageError("fine_tune: variant=paper reports the best epoch of one run; this recipe chooses by val")

    @property
    def seeds(self) -> tuple[int, ...]:  # type: ignore[override]  # as many as the recipe's authors ran
        return tuple(range(5 if self.recipe == "vtab1k_full" else 3))

    @property
    def selects_on_test(self) -> bool:
        return self.variant == "paper"

    def resolved(self, depth: int = 12, width: int = 768) -> Recipe:
        """Return the recipe for a network of this size, with the numbers that were given in place of its own."""
        names = [field.name for field in dataclasses.fields(Recipe) if hasattr(self, field.name)]
        stated = {name: value for name in names if (value := getattr(self, name)) not in (None, ())}
        if stated.get("auto") == "none":
            stated["auto"] = ""
        if "steps" not in stated and "epochs" in stated:
            stated["steps"] = 0
        return _recipes.recipe(self.recipe, depth=depth, width=width, **stated)

    def candidates(self, recipe: Recipe) -> list[tuple[float, float]]:
        """Return every pair of rate and decay, in the order in which the first of equal ones is taken."""
        return list(itertools.product(recipe.rate, recipe.decay))

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the images of every step of every run, and those that are looked at beside; a guess for the number of
        steps of a network whose size is not known: that of ViT-B."""
        recipe = self.resolved()
        samples = round(sizes["train"] * (self.fraction or 1))
        steps = recipe.steps or max(1, round(recipe.epochs * max(samples // recipe.batch, samples / recipe.batch)))
        runs = len(self.candidates(recipe))
        looked = sizes["test"] * (round(recipe.epochs) if self.selects_on_test else 1)
        trained = (runs + (runs > 1)) * steps * recipe.batch
        return base.Passes({}, looked + runs * sizes.get("val", 0), trained=trained)

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise DataError where train holds one class, UsageError where its supports cannot be drawn."""
        _heads.parted(labels, "fine_tune", 0.0)
        self.support(labels["train"], classes, 0)

    def support(self, labels: base.IntArray, classes: int, seed: int) -> base.IntArray:
        """Return the positions in train that may be learnt from."""
        if self.fraction is None and self.shots is None:
            return np.arange(len(labels))
        members = _supports.shuffled(labels, classes, seed)
        if self.shots is not None:
            _supports.fitting(members, self.shots, (), "fine_tune")
            return _supports.balanced(members, self.shots)
        assert self.fraction is not None
        found = _supports.stratified(members, self.fraction)
        if found is None:
            raise UsageError(f"fine_tune: fraction={self.fraction:g} is less than half an image of every class")
        return found

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit; confidence is the softmax probability of the first.

        Raises UsageError for a model without a network, where the recipe does not fit the network or the data, and
        where the loss is no number; DataError where train holds one class.
        """
        from ssl_bench.protocols import _candidates, _tuned, _tuning

        if trial.backbone is None or trial.backbone.network is None or trial.backbone.recalls:
            raise UsageError("fine_tune trains a network, and this model has none that can be trained")
        self.check(trial.labels, trial.classes)
        recipe = self.resolved(*_tuned.size_of(trial.backbone))
        pairs, pool = self.candidates(recipe), self.pool(trial)
        rows = []
        if len(pairs) > 1:
            first = trial.reseeded(0)
            rows = _candidates.tried(first, recipe, pairs, *self.choosing(first, recipe))
        rate, decay = pairs[_candidates.best(rows, trial)] if rows else pairs[0]
        samples = sum(len(positions) for _, positions in pool)
        found = self.final(trial, recipe, pool, rate, decay)
        if distributed.rank():
            return base.prior(trial)  # which nobody reads: the first process looks at test
        last = _tuning.classes_of(_tuning.logits(found.network, trial, "test"), every=trial.every_score)
        return base.Answer(
            last,
            candidates=self.by_epoch(found, samples) if self.selects_on_test else {},
            selected=self.said(trial, recipe, pool, rows, rate, decay)
            | {"resolved": _tuning.told(found, recipe, samples)},
            curve=(*rows, *found.curve(samples)),
            converged=all("diverged" not in row for row in rows) if rows else None,
            at_grid_edge=rate in (min(recipe.rate), max(recipe.rate)) if len(recipe.rate) > 1 else None,
            cost=found.cost,
        )

    def pool(self, trial: base.Trial) -> Pool:
        """Return what the reported run is trained on: all of train and, once val has chosen, val; or the support."""
        support = self.support(trial.labels["train"], trial.classes, trial.seed)
        whole = self.fraction is None and self.shots is None
        chooses = len(self.candidates(self.resolved())) > 1
        if whole and chooses and trial.has_val:
            return [("train", support), ("val", np.arange(trial.sizes["val"]))]
        return [("train", support)]

    def choosing(self, trial: base.Trial, recipe: Recipe) -> tuple[base.IntArray, str, base.IntArray]:
        """Return the positions in train that candidates are trained on, and split and positions of those that choose:
        val, or without one, and within few labels, a stratified part of what may be learnt from."""
        support = self.support(trial.labels["train"], trial.classes, trial.seed)
        if trial.has_val and self.fraction is None and self.shots is None:
            return support, "val", np.arange(trial.sizes["val"])
        kept, held = base.stratified_holdout(trial.labels["train"][support], recipe.holdout, trial.seed)
        if not len(held):
            raise UsageError("fine_tune: every class has one image, so none can be held out to choose; give one rate")
        return support[kept], "train", support[held]

    def final(self, trial: base.Trial, recipe: Recipe, pool: Pool, rate: float, decay: float) -> Run:
        """Return the run that is reported, which val watches where it was not trained on."""
        from ssl_bench.protocols import _tuning

        samples = sum(len(positions) for _, positions in pool)
        steps, _ = _tuning.steps_of(recipe, samples)
        a_epoch = max(1, samples // recipe.batch)

        def on_val(network: Any, step: int) -> Mapping[str, Any]:
            return _tuning.measured(_tuning.logits(network, trial, "val"), trial.labels["val"], trial)

        def on_test(network: Any, step: int) -> Mapping[str, Any]:
            import torch

            said = _tuning.classes_of(_tuning.logits(network, trial, "test"), every=trial.every_score)
            scores = {} if said.scores is None else {"scores": torch.as_tensor(said.scores)}
            return {"ranked": torch.as_tensor(said.ranked), "confidence": torch.as_tensor(said.confidence), **scores}

        watched = trial.has_val and all(split != "val" for split, _ in pool)
        measure = on_test if self.selects_on_test else on_val if watched else None
        every = a_epoch if self.selects_on_test else max(1, -(-steps // _tuning.POINTS))
        return _tuning.run(trial, recipe, pool, rate, decay, what="run", measure=measure, every=every)

    def by_epoch(self, run: Run, samples: int) -> dict[str, Any]:
        """Return what was said of test after each epoch."""
        from ssl_bench.predictions import Classes

        found = {}
        for step, said in run.history.evaluations:
            kept: Mapping[str, Any] = said
            scores = kept["scores"].numpy() if "scores" in kept else None
            name = f"epoch={step * run.settings.batch / samples:.4g}"
            found[name] = Classes(kept["ranked"].numpy(), kept["confidence"].numpy(), probability=True, scores=scores)
        return found

    def said(
        self, trial: base.Trial, recipe: Recipe, pool: Pool, rows: Any, rate: float, decay: float
    ) -> dict[str, Any]:
        """Return what was chosen, and on what."""
        found: dict[str, Any] = {}
        if self.fraction is not None or self.shots is not None:
            found |= {"support": _supports.digest(pool[0][1])}
        if not rows:
            return found
        _, split, held = self.choosing(trial.reseeded(0), recipe)
        labels = trial.labels[split][held]
        lacks = sorted(set(range(trial.classes)) - set(labels.tolist()))
        on = "val" if split == "val" else f"{len(held)} samples of train"
        return found | {"rate": rate, "decay": decay, "selected_on": on} | ({"absent_there": lacks} if lacks else {})
