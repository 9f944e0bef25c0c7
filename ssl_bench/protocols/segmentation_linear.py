"""Linear segmentation of frozen maps as in DINOv3: dropout, batch norm and a 1x1 convolution tell a place's class.

The recipe is that of dinov3/eval/segmentation/configs/config-ade20k-linear-training.yaml
(https://github.com/facebookresearch/dinov3): 40,000 steps of AdamW on 16 crops of 512 pixels of images whose short side
is 512 times 0.5 to 2, and test images with a short side of 512 in windows of 512 that overlap by a third, whose logits
are averaged and brought to the image's own size. The last step is reported, where its authors report the best of eight
evaluations on the very images that are reported. `layers=4` puts the last four layers side by side, as DINOv2's. Tests
with several scales are not offered.

Expect hours on a GPU at full length. On a CPU a small network takes minutes with
`segmentation_linear,steps=500,batch=8,size=256,crop=256`; a network that takes images of one size alone needs that size
as `crop` and `size`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.images import normalise
from ssl_bench.images.dense import JointAugmentation, cropped, together
from ssl_bench.predictions import LabelMaps
from ssl_bench.predictions.spool import Spool
from ssl_bench.protocols import _dense, _heads, _masks, base
from ssl_bench.targets import VOID

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ssl_bench.backbones.base import Backbone

LIMITS: Mapping[str, tuple[float, float]] = {
    "steps": (1, 1e9),
    "batch": (1, 1e6),
    "rate": (1e-12, 1e3),
    "decay": (0, 1e3),
    "warmup": (0, 1e9),
    "dropout": (0, 0.99),
    "size": (1, 1e5),
    "crop": (1, 1e5),
    "window_step": (0, 1e5),
    "prevails": (0, 1),
    "flip": (0, 1),
    "hue": (0, 0.5),
    "layers": (1, 100),
}
"""Least and largest value of each number."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A class for every place of a map, and from there for every pixel."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, ...]] = ("segmentation",)

    steps: int = 40_000
    batch: int = 16
    rate: float = 1e-3
    decay: float = 1e-3
    """Weight decay of AdamW."""
    warmup: int = 1500
    """Steps of warm-up; as large a share of `steps` where these are fewer than 40,000."""
    dropout: float = 0.1
    size: int = 512
    """Length of an image's short side, in training times what `scale` draws."""
    crop: int = 512
    """Height and width of what passes the network."""
    window_step: int = 0
    """Pixels from one test window to the next; 0: two thirds of `crop`."""
    scale: tuple[float, ...] = (0.5, 2.0)
    prevails: float = 0.75
    """Share of a crop that one class must stay below."""
    flip: float = 0.5
    distort: bool = True
    """Changes of brightness, contrast, saturation and hue."""
    hue: float = 0.5
    """Most that the hue is turned, of the whole circle."""
    layers: int = 1
    """How many of the last layers stand side by side."""

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(
                    f"segmentation_linear: {name} must be from {least:g} to {most:g}, not {getattr(self, name):g}"
                )
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise UsageError(f"segmentation_linear: scale must be two rising numbers above 0, not {self.scale}")
        if self.window_step > self.crop:
            raise UsageError(
                f"segmentation_linear: windows of {self.crop} pixels every {self.window_step} leave gaps; give a "
                f"window_step of at most {self.crop}"
            )

    @property
    def course(self) -> _dense.Course:
        """The course of the training."""
        warmup = self.warmup if self.steps >= 40_000 else round(self.warmup * self.steps / 40_000)
        return _dense.Course(self.steps, self.batch, self.rate, self.decay, warmup)

    @property
    def augmentation(self) -> JointAugmentation:
        """How training crops are drawn."""
        return JointAugmentation(
            self.size,
            self.crop,
            (self.scale[0], self.scale[1]),
            prevails=self.prevails,
            flip=self.flip,
            distort=self.distort,
            hue=self.hue,
        )

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the crops of every step, and two windows of every test image, as many as one half again as long as
        high has."""
        return base.Passes({}, crops=self.steps * self.batch + 2 * sizes["test"])

    def uninformed(self, trial: base.Trial) -> base.Answer:
        return _masks.most_frequent(trial)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a class for every pixel of every test image, at its own size.

        Raises UsageError for a model without maps of an image's parts, or one that takes no crops of this size, and
        where the loss is no number.
        """
        from ssl_bench.backbones import dense, grids
        from ssl_bench.heads.linear import Linear
        from ssl_bench.training.seeds import seed_all

        backbone = _dense.ready(trial, "segmentation_linear")
        stride = dense.stride(backbone)
        probe = _dense.features(trial, backbone, grids.blank(backbone, (self.crop, self.crop)), self.layers)
        seed_all([trial.seed])
        head = Linear(probe.shape[1], trial.classes, self.dropout)
        size = (self.crop, self.crop)
        fitted = _dense.fit(
            trial,
            head,
            self.course,
            lambda first: crops(trial, backbone, self.augmentation, self.course, first),
            lambda images: _dense.features(trial, backbone, images, self.layers),
            lambda logits, labels: _masks.cross_entropy(logits, labels, size, stride),
            dataclasses.asdict(self),
        )
        return base.Answer(
            LabelMaps(self.maps(trial, backbone, head, stride)),
            selected={"dim": probe.shape[1], "stride": stride, "warmup": self.course.warmup},
            curve=fitted.curve,
            cost=fitted.cost,
        )

    def maps(self, trial: base.Trial, backbone: Backbone, head: nn.Module, stride: int) -> Any:
        """Return the class of every pixel of every test image."""
        import torch

        from ssl_bench.backbones.dense import spread

        def say(images: Tensor) -> Tensor:
            seen = _dense.features(trial, backbone, images, self.layers)
            return spread(head(seen), (images.shape[2], images.shape[3]), stride)

        found: Any = Spool()  # a sequence in all but name
        step = self.window_step or max(1, 2 * self.crop // 3)
        with torch.no_grad(), trial.track("test", trial.sizes["test"], "images") as advance:
            for shown in _dense.shown(trial, self.size):
                image = normalise(torch.from_numpy(shown.image)[None].to(trial.device), backbone.input)
                logits = _dense.slid(image, say, self.crop, step, _dense.at_once(trial))
                found.append(_dense.best_classes(logits, shown.size))
                advance(1)
        return found


def crops(
    trial: base.Trial, backbone: Backbone, how: JointAugmentation, course: _dense.Course, first: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Give from step `first` on images (batch, channels, crop, crop), normalised and padded with zeros behind, and
    labels (batch, crop, crop), VOID there, of train in endless order."""
    import torch

    order = _heads.endless(trial.sizes["train"], course.steps * course.batch, trial.seed)
    places = np.arange(len(order))
    start, side = first * course.batch, (how.crop, how.crop)

    def prepare(
        image: NDArray[np.uint8], mask: Any, generator: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return cropped(image, mask.labels, how, generator)

    images: list[Tensor] = []
    labels: list[Tensor] = []
    for shown, said in trial.prepared("train", prepare, order[start:], places[start:]):
        pixels = torch.from_numpy(shown)[None].to(trial.device)
        images.append(normalise(pixels, backbone.input)[0])
        labels.append(torch.from_numpy(said).to(trial.device).long())
        if len(images) == course.batch:
            yield together(images, side, 0.0), together(labels, side, VOID)
            images, labels = [], []
