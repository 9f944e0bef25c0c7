"""What detection on frozen maps shows its detector, how it trains it, and what its words mean in an image."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.files import digest_json
from ssl_bench.images import normalise
from ssl_bench.images.dense import resized
from ssl_bench.predictions import Found
from ssl_bench.protocols import _dense, _heads
from ssl_bench.protocols.base import Trial
from ssl_bench.targets import Objects, outlines
from ssl_bench.training import Group, History, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ssl_bench.heads.rcnn import Detector, Example, Said

NOTHING = Found(np.zeros((0, 4)), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
"""What is found where nothing is."""


def outlined(trial: Trial) -> bool:
    """Tell whether objects of train have outlines, as the first that there is does; raise DataError where none is."""
    for position in range(trial.sizes["train"]):
        true: Objects = trial.targets["train"][position]
        if (~true.crowd).any():
            return bool(true.outlines)
    raise DataError("the images of train show no object to learn from")


def seeded(build: Callable[[], Detector], trial: Trial) -> Detector:
    """Return what `build` makes, drawn by the trial's seed, on the device."""
    from ssl_bench.backbones.base import build_seeded

    detector: Any = build_seeded(build, trial.seed)
    return detector.to(trial.device)  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """Images as the detector sees them."""

    trial: Trial
    size: int
    """Height and width of the square in whose upper left corner an image stands, its long side scaled to that."""
    flip: float
    """Probability of a horizontal flip in training."""
    masks: bool

    def scaled(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return height and width of an image of this size, scaled."""
        share = self.size / max(size)
        return max(1, round(size[0] * share)), max(1, round(size[1] * share))

    def training(self, image: NDArray[np.uint8], true: Objects, generator: np.random.Generator) -> Example:
        """Return an image, flipped or not, and its objects but for crowds, cut where they leave the image."""
        import torch

        from ssl_bench.heads.rcnn import Example

        size = self.scaled(true.size)
        turned = generator.random() < self.flip
        kept = ~true.crowd
        far = np.array([size[1], size[0]] * 2)
        boxes = np.clip(true.boxes[kept] * (far / (*true.size[::-1], *true.size[::-1])), 0, far)
        if turned:
            boxes[:, [0, 2]] = size[1] - boxes[:, [2, 0]]
        some = (boxes[:, 2:] - boxes[:, :2] > 0).all(axis=1)
        masks = None
        if self.masks:
            runs = [true.outlines[i] for i in np.flatnonzero(kept)[some]]
            masks = self._masks(runs, true.size, size, turned=turned)
        return Example(
            self.pixels(image, size, turned=turned),
            size,
            torch.from_numpy(boxes[some]).float(),
            torch.from_numpy(true.labels[kept][some]),
            masks,
        )

    def pixels(self, image: NDArray[np.uint8], size: tuple[int, int], *, turned: bool = False) -> Tensor:
        """Return an image scaled to `size` and normalised, (channels, height, width), in a square of zeros."""
        import torch
        from torch.nn.functional import pad

        assert self.trial.backbone is not None
        small = resized(image, size)
        small = np.ascontiguousarray(small[..., ::-1] if turned else small)
        normal = normalise(torch.from_numpy(small)[None], self.trial.backbone.input)[0]
        return pad(normal, (0, self.size - size[1], 0, self.size - size[0]))

    def _masks(self, runs: Sequence[bytes], own: tuple[int, int], size: tuple[int, int], *, turned: bool) -> Tensor:
        """Return masks (objects, size, size), uint8, of outlines."""
        import torch
        from torch.nn.functional import interpolate, pad

        masks = torch.zeros(len(runs), self.size, self.size, dtype=torch.uint8)
        for number, run in enumerate(runs):
            whole = torch.from_numpy(outlines.decode(run, own)).float()[None, None]
            small = interpolate(whole, size=size, mode="bilinear", antialias=True)[0, 0] > 0.5
            small = small.flip(1) if turned else small
            masks[number] = pad(small, (0, self.size - size[1], 0, self.size - size[0]))
        return masks

    def testing(
        self, image: NDArray[np.uint8], _true: None, _generator: np.random.Generator
    ) -> tuple[Example, tuple[int, int]]:
        """Return a test image, and its own height and width."""
        from ssl_bench.heads.rcnn import Example

        own = (image.shape[0], image.shape[1])
        size = self.scaled(own)
        return Example(self.pixels(image, size), size), own


@dataclasses.dataclass(frozen=True, eq=False)
class Batches:
    """Training images step by step: one permutation of train after the other, batches reaching over their ends."""

    shown: Shown
    settings: Settings

    def __call__(self, first: int, places: Sequence[int], size: int) -> Iterator[tuple[Any, Any]]:
        """Give the parts of each step from `first` on; see `training.Batches`."""
        trial, batch = self.shown.trial, self.settings.batch
        order = _heads.endless(trial.sizes["train"], self.settings.steps * batch, trial.seed)
        steps = range(first, self.settings.steps)
        numbers = (np.array(list(steps))[:, None] * batch + np.asarray(places)).ravel()
        made = trial.prepared("train", self.shown.training, order[numbers], numbers)
        for _ in steps:
            for start in range(0, len(places), size):
                part = list(itertools.islice(made, len(places[start : start + size])))
                yield part, part


def train(
    detector: Detector,
    trial: Trial,
    shown: Shown,
    settings: Settings,
    decay: float,
    recipe: Mapping[str, Any],
) -> History:
    """Train the detector in place; where the trial has a `state` folder, a run that was ended goes on from there."""
    from ssl_bench.training import train as training

    spared = [one for one in detector.parameters() if one.ndim == 1]
    others = [one for one in detector.parameters() if one.ndim > 1]
    with trial.track("training", settings.steps) as advance:
        return training(
            detector,
            [Group(others, decay=decay, name="with decay"), Group(spared, name="without decay")],
            Batches(shown, settings),
            settings,
            seed=trial.seed,
            state=trial.state / "detector.pt" if trial.state else None,
            identity=digest_json([trial.state.name if trial.state else "", recipe]),
            advance=advance,
            at_once=trial.at_once or _dense.at_once(trial),
            loss=lambda losses, examples: losses * len(examples),
        )


def found(detector: nn.Module, trial: Trial, shown: Shown) -> Iterator[Found]:
    """Give the objects in every test image, in pixels of the image as its source keeps it."""
    import torch

    lower, kind = trial.precision != "float32", trial.device.partition(":")[0]
    given = trial.prepared("test", shown.testing, np.arange(trial.sizes["test"]))
    with trial.track("test", trial.sizes["test"], "images") as advance:
        while part := list(itertools.islice(given, _dense.at_once(trial))):
            with torch.no_grad(), torch.autocast(kind, getattr(torch, trial.precision), enabled=lower):
                said = detector.eval()([example for example, _ in part])
            yield from (in_image(one, example.size, own) for one, (example, own) in zip(said, part, strict=True))
            advance(len(part))


def in_image(said: Said, size: tuple[int, int], own: tuple[int, int]) -> Found:
    """Return what was found in an image that was scaled to `size`, in pixels of its own size."""
    import torch
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    stretch = torch.tensor([own[1] / size[1], own[0] / size[0]] * 2)
    boxes = said.boxes.float().cpu() * stretch
    runs: list[bytes] = []
    for mask, box in zip(said.masks.float().cpu(), boxes, strict=True) if said.masks is not None else ():
        runs.append(outlines.encode((paste_masks_in_image(mask[None], box[None], own)[0, 0] > 0.5).numpy()))
    return Found(boxes.double().numpy(), said.labels.cpu().numpy(), said.scores.float().cpu().numpy(), tuple(runs))
