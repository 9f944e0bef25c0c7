"""Detection on frozen maps: a pyramid over them and torchvision's Faster or Mask R-CNN are trained, the network is not.

Plain transformers and other networks of one map get ViTDet's simple feature pyramid, networks of four stages a feature
pyramid network; Mask R-CNN is trained where the objects have outlines. Images are scaled to a long side of `size` and
stand in the upper left corner of a square. Training is 12 epochs of 16 images, the 1x schedule of COCO, flipped or not,
with ViTDet's AdamW, whose rate falls to a tenth after 8 and after 11; crowds are not learnt from. The last step is
reported. Numbers are not those of detectors whose network is trained too, and belong in no column with them.

Expect a day on one GPU for COCO. On a CPU, and on small sets, `detection_frozen,size=320,anchor=16,epochs=20,batch=4`
takes minutes for a small network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from ssl_bench.errors import UsageError
from ssl_bench.predictions import Detections, Found
from ssl_bench.protocols import _dense, _detectors, base

LIMITS: Mapping[str, tuple[float, float]] = {
    "epochs": (1e-6, 1e6),
    "batch": (1, 1e6),
    "rate": (1e-12, 1e3),
    "decay": (0, 1e3),
    "warmup": (0, 1e9),
    "size": (32, 1e5),
    "anchor": (1, 1e4),
    "channels": (1, 1e5),
    "samples": (2, 1e5),
    "flip": (0, 1),
}
"""Least and largest value of each number."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Objects, found by a detector on a frozen network."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("detection",)

    epochs: float = 12.0
    batch: int = 16
    rate: float = 1e-4
    decay: float = 0.1
    """Weight decay of AdamW, which norms and biases are spared."""
    warmup: int = 250
    """Steps in which the rate rises; a tenth of all steps where these are fewer than 2,500."""
    milestones: tuple[float, ...] = (8 / 12, 11 / 12)
    """Shares of all steps after which the rate falls to a tenth."""
    size: int = 1024
    """Height and width of what passes the network."""
    anchor: int = 32
    """Side in pixels of the smallest anchors, which double four times."""
    channels: int = 256
    """Of every level of the pyramid."""
    samples: int = 512
    """Boxes of an image that the second stage learns from; half as many of the first."""
    flip: float = 0.5

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(
                    f"detection_frozen: {name} must be from {least:g} to {most:g}, not {getattr(self, name):g}"
                )
        if any(not 0 < share <= 1 for share in self.milestones):
            raise UsageError(f"detection_frozen: milestones must be above 0 and at most 1, not {self.milestones}")

    def steps(self, samples: int) -> int:
        """Return how often the parameters are moved, for so many training images."""
        return max(1, round(self.epochs * samples / self.batch))

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the images of every step, which do not pass backwards, and those of test."""
        return base.Passes({}, crops=self.steps(sizes["train"]) * self.batch + sizes["test"])

    def uninformed(self, trial: base.Trial) -> base.Answer:
        return base.Answer(Detections([_detectors.NOTHING] * trial.sizes["test"]))

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the objects in every test image, at most 100, in pixels of the image as its source keeps it.

        Raises UsageError for a model without maps of an image's parts, or one that takes no images of this size, and
        where the loss is no number; DataError where train shows no object.
        """
        from ssl_bench.backbones.pyramids import Pyramid, stages_on_strides
        from ssl_bench.heads.rcnn import Detector
        from ssl_bench.training import Settings

        backbone = _dense.ready(trial, "detection_frozen")
        masks = _detectors.outlined(trial)
        steps = self.steps(trial.sizes["train"])
        settings = Settings(
            steps=steps,
            batch=self.batch,
            optimiser="adamw",
            rate=self.rate,
            schedule="milestones",
            milestones=tuple(round(share * steps) for share in self.milestones),
            warmup=min(self.warmup, steps // 10),
            warmup_rate=self.rate / 1000,
            precision=trial.precision,  # type: ignore[arg-type]  # one of its words
        )
        detector = _detectors.seeded(
            lambda: Detector(
                Pyramid(backbone, self.channels),
                trial.classes,
                masks=masks,
                channels=self.channels,
                anchor=self.anchor,
                samples=self.samples,
            ),
            trial,
        )
        shown = _detectors.Shown(trial, self.size, self.flip, masks)
        history = _detectors.train(detector, trial, shown, settings, self.decay, dataclasses.asdict(self))
        return base.Answer(
            Detections(self.found(trial, detector, shown), outlined=masks),
            selected={
                "steps": steps,
                "warmup": settings.warmup,
                "outlines": masks,
                "stages": bool(stages_on_strides(backbone)),
                "trained_parameters": sum(one.numel() for one in detector.parameters()),
                "at_once": history.at_once,
            },
            curve=history.curve(),
            cost=history.cost(settings.batch),
        )

    def found(self, trial: base.Trial, detector: Any, shown: _detectors.Shown) -> list[Found]:
        """Return the objects in every test image."""
        return list(_detectors.found(detector, trial, shown))
