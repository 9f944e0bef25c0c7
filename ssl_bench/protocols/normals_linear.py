"""Linear directions of surfaces of frozen maps: batch norm and a 1x1 convolution tell a place's normal.

No complete recipe of a linear head is published. Course, crops and mirrored test images are as in `depth_linear`, but
for the turn; the loss is the mean angle, as probe3d's (El Banani et al., CVPR 2024), which trains a DPT head together
with a measure of its doubt: values do not compare. Of a normal's three numbers the first points across the image.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ssl_bench.predictions import DirectionMaps
from ssl_bench.protocols import _dense, _surfaces, base

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Protocol(_surfaces.Linear):
    """A direction for every place of a map, and from there for every pixel."""

    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("normals",)

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return one direction for every pixel: the mean of what is known of train."""
        total = np.zeros(3)
        for position in range(trial.sizes["train"]):
            total += trial.targets["train"][position].normals.sum(axis=(0, 1), dtype=np.float64)
        mean = (total / max(float(np.linalg.norm(total)), 1e-12)).astype(np.float32)
        return base.Answer(DirectionMaps(_surfaces.constant(trial, mean)))

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a direction of length 1 for every pixel of every test image, at its own size.

        Raises UsageError for a model without maps of an image's parts, or one that takes no images of these sizes, and
        where the loss is no number.
        """
        import torch
        from torch.nn.functional import normalize

        from ssl_bench.backbones import dense
        from ssl_bench.heads.linear import Linear
        from ssl_bench.training.seeds import seed_all
        from ssl_bench.training.surfaces import angular

        backbone = _dense.ready(trial, "normals_linear")
        stride, how, course = dense.stride(backbone), self.augmentation, self.course
        probe = _dense.features(trial, backbone, _surfaces.blank(backbone, how.crop, trial.device), self.layers)
        seed_all([trial.seed])
        head = Linear(probe.shape[1], 3, dropout=0.0)
        across = torch.tensor([-1.0, 1.0, 1.0], device=trial.device)[:, None, None]

        def backward(said: Tensor, target: tuple[int, Tensor]) -> float:
            loss = angular(dense.spread(said, how.crop, stride), target[1])
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        def say(images: Tensor) -> Tensor:
            seen = _dense.features(trial, backbone, images if self.mirror else images[:1], self.layers)
            wide = normalize(dense.spread(head(seen), (images.shape[2], images.shape[3]), stride), dim=1)
            return normalize(wide[0] + wide[1].flip(2) * across, dim=0) if self.mirror else wide[0]

        fitted = _dense.fit(
            trial,
            head,
            course,
            lambda first: _surfaces.crops(trial, backbone, lambda target: target.normals, how, course, first),
            lambda images: _dense.features(trial, backbone, images, self.layers),
            backward,
            dataclasses.asdict(self),
        )
        selected: dict[str, Any] = {"dim": probe.shape[1], "stride": stride, "warmup": course.warmup}
        maps = _surfaces.told(trial, backbone, say)
        return base.Answer(DirectionMaps(maps), selected=selected, curve=fitted.curve, cost=fitted.cost)
