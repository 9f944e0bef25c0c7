"""Linear depth of frozen maps as in DINOv3: batch norm, a 1x1 convolution and 256 even bins tell a place's distance.

The recipe is that of dinov3/eval/depth/configs/config-nyu.yaml (https://github.com/facebookresearch/dinov3): 38,400
steps of AdamW on 16 crops of 416 x 544 pixels, and whole test images together with their mirror images, whose answers
are averaged, spread bilinearly to the image's own size and cut to 0.001 to 10 m. No answer is aligned with the truth.
What of an image is shown and counted is the task's: NYU's crops are in its card. Images whose sides are no multiples of
the map's stride are padded, as the authors' are; their answers are cut out of the padded image, where the authors
squeeze the whole of it into the image. `layers=4` puts the last four layers side by side.

For KITTI ask for depth_linear,max_depth=80,crop=352+704,brightness=0.1. Expect hours on a GPU at full length; on a CPU
a small network takes minutes with depth_linear,steps=300,batch=4,crop=208+272.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ssl_bench.errors import UsageError
from ssl_bench.predictions import DistanceMaps
from ssl_bench.protocols import _dense, _surfaces, base

if TYPE_CHECKING:
    from torch import Tensor

FIRST = 100
"""Steps of the published course in which the loss asks for the mean of the logarithms alone."""


@dataclasses.dataclass(frozen=True)
class Protocol(_surfaces.Linear):
    """A distance for every place of a map, and from there for every pixel."""

    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("depth",)

    turn: float = 2.5
    """Most degrees that one in two training images is turned."""
    bins: int = 256
    min_depth: float = 1e-3
    """Least distance that is told, in metres."""
    max_depth: float = 10.0
    """Greatest distance that is told, in metres."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.min_depth < self.max_depth or self.bins < 2:
            raise UsageError("depth_linear: 0 < min_depth < max_depth, and 2 bins or more, must hold")

    @property
    def most_turned(self) -> float:
        return self.turn

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return one distance for every pixel: the geometric mean of what is known of train, image by image."""
        every = (trial.targets["train"][position].metres for position in range(trial.sizes["train"]))
        means = [float(np.log(known[known > 0], dtype=np.float64).mean()) for known in every if known.any()]
        distance = np.exp(np.mean(means)) if means else self.max_depth
        return base.Answer(DistanceMaps(_surfaces.constant(trial, np.array(distance, dtype=np.float32))))

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a distance for every pixel of every test image, at its own size.

        Raises UsageError for a model without maps of an image's parts, or one that takes no images of these sizes, and
        where the loss is no number.
        """
        from ssl_bench.backbones import dense
        from ssl_bench.heads.bins import Bins
        from ssl_bench.training.seeds import seed_all
        from ssl_bench.training.surfaces import scale_invariant

        backbone = _dense.ready(trial, "depth_linear")
        stride, how, course = dense.stride(backbone), self.augmentation, self.course
        probe = _dense.features(trial, backbone, _surfaces.blank(backbone, how.crop, trial.device), self.layers)
        seed_all([trial.seed])
        first = round(FIRST * min(1.0, self.steps / _surfaces.LENGTH))
        head = Bins(probe.shape[1], self.bins, self.min_depth, self.max_depth)

        def backward(said: Tensor, target: tuple[int, Tensor]) -> float:
            step, known = target
            loss = scale_invariant(dense.spread(said, how.crop, stride), known, spread=step >= first)
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())

        def say(images: Tensor) -> Tensor:
            seen = _dense.features(trial, backbone, images if self.mirror else images[:1], self.layers)
            wide = dense.spread(head(seen), (images.shape[2], images.shape[3]), stride)
            both = (wide[0] + wide[1].flip(2)) / 2 if self.mirror else wide[0]
            return both.clamp(self.min_depth, self.max_depth)

        fitted = _dense.fit(
            trial,
            head,
            course,
            lambda first: _surfaces.crops(trial, backbone, lambda target: target.metres, how, course, first),
            lambda images: _dense.features(trial, backbone, images, self.layers),
            backward,
            dataclasses.asdict(self),
        )
        selected: dict[str, Any] = {"dim": probe.shape[1], "stride": stride, "warmup": course.warmup}
        maps = _surfaces.told(trial, backbone, say)
        return base.Answer(DistanceMaps(maps), selected=selected, curve=fitted.curve, cost=fitted.cost)
