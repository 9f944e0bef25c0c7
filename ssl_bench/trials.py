"""What a trial draws on: features from the cache or the network, images, texts and episodes of one model and task."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_bench import episodes, subsets
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.episodes import Draw, Episodes
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.extraction import DENSE, VIEWS, Spec
from ssl_bench.features import Cost, FeatureStore, Rows
from ssl_bench.files import digest_json
from ssl_bench.images import Augmentation
from ssl_bench.loading import Work, augmented_batches, prepared
from ssl_bench.progress import Advance, Progress
from ssl_bench.protocols.base import FloatArray, IntArray, Made, Prepare, Supply
from ssl_bench.targets import Frame, Landmarks, pairs, videos
from ssl_bench.targets.pairs import Pairs
from ssl_bench.targets.videos import Video

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A task's data in memory; the positions that `--limit` keeps are already applied."""

    splits: Mapping[str, Split]
    digests: Mapping[str, NDArray[np.uint8]]
    task_digest: str

    @functools.cached_property
    def id_digests(self) -> dict[str, str]:
        """Split to the sha256 of its samples' ids, in their order."""
        return {role: digest_json(list(split.ids)) for role, split in self.splits.items()}


Memory = dict[tuple[str, str], FloatArray]
"""Pooled features that consecutive jobs of one model and task share: by spec and split."""


@dataclasses.dataclass(frozen=True, eq=False)
class CachedSupply(Supply):
    """Draws on the feature cache, and passes through the network what is not in it."""

    backbone: Backbone
    spec: Spec
    """Of the features that the job asks for."""
    data: Data
    store: FeatureStore
    work: Work
    progress: Progress
    label: str
    seed: int
    memory: Memory
    folder: Path
    """The data folder."""
    cost: Cost = dataclasses.field(default_factory=Cost)
    """What the extraction for this trial took."""

    def features(self, split: str, pooling: str, view: str) -> FloatArray:
        """Return pooled features (samples, dim), float32."""
        spec = self._viewed(pooling, view)
        if (spec.key, split) not in self.memory:
            self.memory[spec.key, split] = self._rows(spec, split)[:].astype(np.float32, copy=False)
        return self.memory[spec.key, split]

    def some(self, split: str, pooling: str, view: str, positions: IntArray) -> FloatArray:
        """Return the pooled features (positions, dim) of some samples, float32."""
        spec = self._viewed(pooling, view)
        known = self.memory.get((spec.key, split))
        if known is not None:
            return known[positions]
        return self._rows(spec, split, positions)[:].astype(np.float32, copy=False)

    def dense(self, split: str, size: tuple[int, int] | None = None) -> Rows:
        """Return the maps of a split, of images squashed to `size`, or as the model's input says."""
        spec = self.spec.input
        if size is not None:
            spec = dataclasses.replace(spec, size=size, resize="squash", resize_to=0)
        return self._rows(dataclasses.replace(self.spec, pooled=DENSE, input=spec), split)

    def prepared(
        self, split: str, prepare: Prepare[Made], order: IntArray, places: IntArray | None = None
    ) -> Iterator[Made]:
        """Give what `prepare` makes of images; the targets of test are not handed out."""
        seen = self.data.splits[split]
        seen = dataclasses.replace(seen, truth=None) if split not in ("train", "val") else seen
        return prepared(
            seen, self.spec.input, prepare, order, order if places is None else places, self.seed, self.work
        )

    def _viewed(self, pooling: str, view: str) -> Spec:
        """Return the spec of another pooling than the job's and of a changed image; "" is the job's, and no change."""
        if view not in VIEWS:
            raise UsageError(f"no view is called {view!r}.{did_you_mean(view, VIEWS)} Known: {', '.join(VIEWS)}")
        pooled = self.backbone.resolve_pooling(pooling) if pooling else self.spec.pooled
        return dataclasses.replace(self.spec, pooled=pooled, view=view)

    def _rows(self, spec: Spec, split: str, positions: IntArray | None = None) -> Rows:
        what = " ".join(word for word in (self.label, split, spec.view) if word)
        images, digests = self.data.splits[split], self.data.digests[split]
        if positions is not None:
            images, digests = images.take(positions), digests[positions]
        rows, part = self.store.features(self.backbone, spec, images, digests, self.work, self.progress, what)
        self.cost.add(part)
        return rows

    def batches(
        self,
        split: str,
        augmentation: Augmentation | None,
        order: IntArray,
        size: int | Sequence[int],
        places: IntArray | None = None,
    ) -> Iterator[Tensor]:
        """Give augmented images; none of them is kept."""
        if self.backbone.network is not None:
            self.backbone.network.to(self.work.device).eval()
        return augmented_batches(
            self.data.splits[split], self.spec.input, augmentation, order, size, self.seed, self.work, places
        )

    def reseeded(self, seed: int) -> CachedSupply:
        """Return a supply that draws from another seed."""
        return dataclasses.replace(self, seed=seed)

    def subset(self, name: str) -> IntArray:
        """Return the positions in train of a published subset."""
        return subsets.positions(name, self.data.splits["train"].ids, self.folder)

    def texts(self, texts: Sequence[str]) -> FloatArray:
        """Return what the model's text tower says of each text (texts, dim)."""
        found: FloatArray = self.backbone.texts(texts).float().cpu().numpy()
        return found

    def episodes(self, how: Draw) -> Episodes:
        """Return episodes of the test split; their answers stay here."""
        return episodes.draw(self.data.splits["test"].labels, how)[0]

    def pairs(self) -> Pairs:
        """Return what is asked of pairs of test images; where the places truly are stays here."""
        split = self.data.splits["test"]
        if split.targets is None or not isinstance(split.targets[0], Landmarks):
            raise UsageError("this trial has no pairs of images")
        return pairs.draw(split.targets, split.ids)[0]

    def videos(self) -> tuple[Video, ...]:
        """Return the videos of test; what the frames behind the first show stays here."""
        split = self.data.splits["test"]
        if split.targets is None or not isinstance(split.targets[0], Frame):
            raise UsageError("this trial has no videos")
        return videos.draw(split.targets)

    def track(self, what: str, total: int, unit: str) -> contextlib.AbstractContextManager[Advance]:
        """Show the progress of long work beside the model's and the task's names."""
        return self.progress.track(f"{self.label} {what}", total, unit)
