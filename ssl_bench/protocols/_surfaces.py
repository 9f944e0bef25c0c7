"""What the protocols that tell the distance or the direction of every pixel share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.images import normalise
from ssl_bench.images.dense import together
from ssl_bench.images.surfaces import SurfaceAugmentation, cropped
from ssl_bench.predictions.spool import Spool
from ssl_bench.protocols import _dense, _heads, base
from ssl_bench.protocols.base import Trial

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.backbones.base import Backbone

LIMITS: Mapping[str, tuple[float, float]] = {
    "steps": (1, 1e9),
    "batch": (1, 1e6),
    "rate": (1e-12, 1e3),
    "decay": (0, 1e3),
    "clip": (1e-9, 1e9),
    "warmup": (0, 1e9),
    "turn": (0, 180),
    "flip": (0, 1),
    "recolour": (0, 1),
    "brightness": (0, 1),
    "layers": (1, 100),
}
"""Least and largest value of each number."""
LENGTH = 38_400
"""Steps of the published course, a third of them warm-up."""


@dataclasses.dataclass(frozen=True)
class Linear(base.Protocol):
    """The recipe of a linear head on frozen maps, trained on crops; what it says of a test image and of its mirror
    image is averaged."""

    deterministic: ClassVar[bool] = False

    steps: int = 38_400
    batch: int = 16
    rate: float = 3e-4
    decay: float = 1e-4
    """Weight decay of AdamW."""
    clip: float = 35.0
    """Largest norm of the gradient."""
    warmup: int = 12_800
    """Steps of warm-up; as large a share of `steps` where these are fewer than 38,400."""
    crop: tuple[int, ...] = (416, 544)
    """Height and width of what passes the network in training."""
    flip: float = 0.5
    recolour: float = 0.5
    """Share of the crops whose gamma, brightness and balance of colours are changed."""
    brightness: float = 0.25
    layers: int = 1
    """How many of the last layers stand side by side."""
    mirror: bool = True
    """Average the answers of a test image and its mirror image."""

    def __post_init__(self) -> None:
        """Raise UsageError for a field outside its limits."""
        name = type(self).__module__.rpartition(".")[2]
        for field, (least, most) in LIMITS.items():
            if not least <= getattr(self, field, least) <= most:
                value = getattr(self, field)
                raise UsageError(f"{name}: {field} must be from {least:g} to {most:g}, not {value:g}")
        if len(self.crop) != 2 or min(self.crop) < 1:
            raise UsageError(f"{name}: crop must be a height and a width above 0, such as crop=416+544")

    @property
    def most_turned(self) -> float:
        """Most degrees that a training image is turned."""
        return 0.0

    @property
    def augmentation(self) -> SurfaceAugmentation:
        """How training crops are drawn."""
        height, width = self.crop
        turned = self.most_turned
        return SurfaceAugmentation((height, width), turned, self.flip, self.recolour, brightness=self.brightness)

    @property
    def course(self) -> _dense.Course:
        """DINOv3's course, with as large a share of warm-up where there are fewer steps."""
        short = self.steps < LENGTH
        return _dense.Course(
            self.steps,
            self.batch,
            self.rate,
            self.decay,
            round(self.warmup * self.steps / LENGTH) if short else self.warmup,
            start=0.0,
            end=1e-3,
            betas=(0.9, 0.99),
            clip=self.clip,
            lag=0,
            momentum=(0.85, 0.95),
        )

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the crops of every step, and every test image twice."""
        return base.Passes({}, crops=self.steps * self.batch + (1 + self.mirror) * sizes["test"])


def crops(
    trial: Trial,
    backbone: Backbone,
    known_of: Callable[[Any], NDArray[np.float32]],
    how: SurfaceAugmentation,
    course: _dense.Course,
    first: int = 0,
) -> Iterator[tuple[Tensor, tuple[int, Tensor]]]:
    """Give from step `first` on images (batch, channels, height, width), normalised, and with the number of the step
    what is known of their pixels (batch, 1 or 3, height, width), 0 where nothing is, of train in endless order.

    `known_of` returns what of a target is known, (height, width) or (height, width, 3).
    """
    import torch

    order = _heads.endless(trial.sizes["train"], course.steps * course.batch, trial.seed)
    start = first * course.batch

    def prepare(
        image: NDArray[np.uint8], target: Any, generator: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return cropped(image, known_of(target), how, generator)

    images: list[Tensor] = []
    known: list[Tensor] = []
    places = np.arange(len(order))
    for shown, values in trial.prepared("train", prepare, order[start:], places[start:]):
        images.append(normalise(torch.from_numpy(shown)[None].to(trial.device), backbone.input)[0])
        channels = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
        known.append(torch.from_numpy(np.ascontiguousarray(channels)).to(trial.device))
        if len(images) == course.batch:
            yield together(images, how.crop, 0.0), (first, together(known, how.crop, 0.0))
            images, known, first = [], [], first + 1


def told(trial: Trial, backbone: Backbone, say: Callable[[Tensor], Tensor]) -> Any:
    """Return what is said of every test image at its own size, (height, width) or (height, width, 3) each.

    `say` takes one image and its mirror image (2, channels, height, width), and gives (1 or 3, height, width).
    """
    import torch

    found: Any = Spool()  # a sequence in all but name

    def whole(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> NDArray[np.uint8]:
        return np.ascontiguousarray(image[None] if image.ndim == 2 else image.transpose(2, 0, 1))

    with torch.no_grad(), trial.track("test", trial.sizes["test"], "images") as advance:
        for shown in trial.prepared("test", whole, np.arange(trial.sizes["test"])):
            image = normalise(torch.from_numpy(shown)[None].to(trial.device), backbone.input)
            values = say(torch.cat([image, image.flip(3)])).float().cpu().numpy()
            found.append(values[0] if len(values) == 1 else np.ascontiguousarray(values.transpose(1, 2, 0)))
            advance(1)
    return found


def constant(trial: Trial, value: NDArray[np.float32]) -> Any:
    """Return the same value, a distance () or a direction (3,), for every pixel of test."""
    found: Any = Spool()

    def size(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> tuple[int, int]:
        return image.shape[0], image.shape[1]

    for height, width in trial.prepared("test", size, np.arange(trial.sizes["test"])):
        found.append(np.broadcast_to(value, (height, width, *value.shape)).astype(np.float32))
    return found


def blank(backbone: Backbone, size: tuple[int, int], device: str) -> Tensor:
    """Return an empty crop."""
    import torch

    return torch.zeros(1, 1 if backbone.input.channels == "grey" else 3, *size, device=device)
