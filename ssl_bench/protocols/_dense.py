"""What the protocols that train a head on maps of a frozen network share: the network made ready, the course of the
training, and maps of whole images window by window."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.environment import peak_memory_mb
from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.images.dense import resized, short_sized
from ssl_bench.protocols.base import Trial
from ssl_bench.training import states
from ssl_bench.training.seeds import seed_all

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ssl_bench.backbones.base import Backbone

POINTS = 20
"""Rows of a curve."""
KEEP_SECONDS = 60.0
"""Between two writings of what an ended run goes on from."""
AT_ONCE = {"cpu": 8, "cuda": 32}
"""Crops or windows per forward pass, where nothing is said."""

Backward = Callable[["Tensor", Any], float]
"""(what the head gives of a batch, a leaf; the batch's targets) → the loss, whose gradient it adds to the leaf's."""


@dataclasses.dataclass(frozen=True)
class Course:
    """How long and how fast a head is trained, by AdamW on every parameter alike."""

    steps: int
    batch: int
    rate: float
    decay: float
    warmup: int
    start: float = 1e-6
    """Share of `rate` that the warm-up begins at; 0: it rises along the cosine that follows, from `rate` · `end`."""
    end: float = 0.0
    """Share of `rate` / 25 that the rate ends at."""
    betas: tuple[float, float] = (0.9, 0.999)
    clip: float | None = None
    """Largest norm of the gradient."""
    lag: int = 1
    """Steps that the rate lags behind: one in the authors' code for segmentation, none in that for depth."""
    momentum: tuple[float, float] | None = None
    """What AdamW's first beta is from the end of the warm-up to the last step, along half a cosine; before, it is 0."""

    def rates(self) -> NDArray[np.float64]:
        """Return the rate of every step (steps,): WarmupOneCycleLR of DINOv3's eval/segmentation/schedulers.py.

        With w steps of warm-up of n, share s, the k-th value is rate · (1 - (1 - k / w)(1 - s)) · (1 - k / n) below w
        and falls as half a cosine at (k + 1) / n from there on. Its code moves on behind the second step, not behind
        the first, so that these two share a value: a `lag` of 1.
        """
        k = np.maximum(np.arange(self.steps) - self.lag, 0)
        least = self.rate / 25 * self.end
        falling = least + (self.rate - least) / 2 * (1 + np.cos(np.pi * (k + 1) / self.steps))
        w = max(self.warmup, 1)
        if self.start:
            rising = self.rate * (1 - (1 - k / w) * (1 - self.start)) * (1 - k / self.steps)
        else:
            whole = self.rate * (1 + np.cos(np.pi * k / self.steps)) / 2
            rising = self.rate * self.end + whole * k / w
        return np.where(k < self.warmup, rising, falling)

    def momenta(self) -> NDArray[np.float64]:
        """Return AdamW's first beta at every step (steps,): WarmupOneCycleLR of DINOv3's eval/depth/schedulers.py,
        which has none in the warm-up, whatever the configuration says."""
        k = np.maximum(np.arange(self.steps) - self.lag, 0)
        if self.momentum is None:
            return np.full(self.steps, self.betas[0])
        first, last = self.momentum
        share = (k - self.warmup) / max(self.steps - self.warmup, 1)
        return np.where(k < self.warmup, 0.0, last + (first - last) / 2 * (1 + np.cos(np.pi * share)))


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """What became of a training."""

    course: Course
    losses: list[float]
    seconds: float

    @property
    def cost(self) -> dict[str, float]:
        """What it took, for the record."""
        images = len(self.losses) * self.course.batch
        return {
            "images_trained": images,
            "train_seconds": round(self.seconds, 3),
            "trained_per_second": round(images / self.seconds, 1) if self.seconds else 0.0,
            "peak_memory_mb": round(peak_memory_mb(), 1),
        }

    @property
    def curve(self) -> tuple[dict[str, Any], ...]:
        """Mean loss since the row before, and the rate, at a few steps."""
        rates, marks = self.course.rates(), np.linspace(0, len(self.losses), POINTS + 1).round().astype(int)
        return tuple(
            {
                "step": int(stop),
                "train_loss": float(f"{np.mean(self.losses[start:stop]):.6g}"),
                "rate": float(f"{rates[stop - 1]:.6g}"),
            }
            for start, stop in itertools.pairwise(marks)
            if stop > start
        )


def ready(trial: Trial, name: str) -> Backbone:
    """Return the trial's backbone in eval mode on the device; raise UsageError where it takes no images."""
    backbone = trial.backbone
    if backbone is None or backbone.recalls:
        raise UsageError(f"{name} passes images through the network, and these features came without one")
    if backbone.network is not None:
        backbone.network.to(trial.device).eval()
    return backbone


def at_once(trial: Trial) -> int:
    """Return how many images pass together."""
    return trial.at_once or AT_ONCE.get(trial.device.partition(":")[0], 8)


def features(trial: Trial, backbone: Backbone, images: Tensor, layers: int = 1) -> Tensor:
    """Return the map (images, dim, rows, columns), float32, of the last layer or of the last `layers` side by side, all
    at the resolution of the first of them; without gradients, a few images at a time."""
    import torch
    from torch.nn.functional import interpolate

    from ssl_bench.backbones import dense

    lower, kind = trial.precision != "float32", trial.device.partition(":")[0]
    found = []
    with torch.no_grad(), torch.autocast(kind, getattr(torch, trial.precision), enabled=lower):
        for part in torch.split(images, at_once(trial)):
            maps = dense.maps(backbone, part, range(-layers, 0))
            size = maps[0].shape[2:]
            same = [one if one.shape[2:] == size else interpolate(one, size=size, mode="bilinear") for one in maps]
            found.append(torch.cat(same, dim=1).float())
    return torch.cat(found)


def fit(
    trial: Trial,
    head: nn.Module,
    course: Course,
    batches: Callable[[int], Iterator[tuple[Tensor, Any]]],
    see: Callable[[Tensor], Tensor],
    backward: Backward,
    recipe: Any = None,
) -> Fitted:
    """Train a head on the trial's device, to the last step, and leave it in eval mode.

    `batches(first)` gives from step `first` on (images, targets) of each; `see` makes of images the head's input. Where
    the trial has a `state` folder, a run that was ended goes on from there; `recipe` tells it from other runs. Raises
    UsageError where the loss is no number.
    """
    import torch

    head.to(trial.device).train()
    optimiser = torch.optim.AdamW(head.parameters(), lr=course.rate, betas=course.betas, weight_decay=course.decay)
    whole = digest_json([dataclasses.asdict(course), recipe, trial.seed, "head"])
    path = None if trial.state is None else trial.state / "head.pt"
    losses, spent = _go_on(head, optimiser, None if path is None else states.read(path, whole))
    rates, momenta, kept = course.rates(), course.momenta(), time.monotonic()
    devices = [torch.device(trial.device)] if trial.device.startswith("cuda") else []
    with torch.random.fork_rng(devices), trial.track("training", course.steps) as advance:
        advance(len(losses))
        given = batches(len(losses)) if len(losses) < course.steps else iter(())
        for step, (images, targets) in zip(range(len(losses), course.steps), given, strict=False):
            start = time.monotonic()
            seed_all([trial.seed, step])
            optimiser.param_groups[0] |= {"lr": float(rates[step]), "betas": (float(momenta[step]), course.betas[1])}
            losses.append(_step(head, optimiser, course, see(images), targets, backward))
            if not np.isfinite(losses[-1]):
                raise UsageError(f"the loss of step {step + 1} is {losses[-1]}; use a rate below {course.rate:g}")
            spent += time.monotonic() - start
            advance(1)
            if path is not None and time.monotonic() - kept > KEEP_SECONDS:
                kept = time.monotonic()
                held = {"head": head.state_dict(), "optimiser": optimiser.state_dict(), "seconds": spent}
                states.write(path, whole, held | {"losses": torch.tensor(losses, dtype=torch.float64)})
    head.eval()
    return Fitted(course, losses, spent)


def _go_on(head: nn.Module, optimiser: Any, state: dict[str, Any] | None) -> tuple[list[float], float]:
    """Take up what was kept; return the losses of the steps that are done, and the seconds they took."""
    if state is None:
        return [], 0.0
    head.load_state_dict(state["head"])
    optimiser.load_state_dict(state["optimiser"])
    return state["losses"].tolist(), state["seconds"]


def _step(head: nn.Module, optimiser: Any, course: Course, seen: Tensor, targets: Any, backward: Backward) -> float:
    """Make one update. The loss's gradient is taken at what the head gives, so that it may be added up image by image
    in little memory."""
    import torch

    out = head(seen)
    leaf = out.detach().requires_grad_()
    loss = backward(leaf, targets)
    out.backward(leaf.grad)
    if course.clip is not None:
        torch.nn.utils.clip_grad_norm_(head.parameters(), course.clip)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """A test image as it is looked at, and the size that its answer must have."""

    image: NDArray[np.uint8]  # (channels, height, width)
    size: tuple[int, int]


def shown(trial: Trial, short: int) -> Iterator[Shown]:
    """Give every test image, its short side scaled to `short`."""

    def prepare(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> Shown:
        own = (image.shape[0], image.shape[1])
        return Shown(resized(image, short_sized(own, short)), own)

    yield from trial.prepared("test", prepare, np.arange(trial.sizes["test"]))


def slid(image: Tensor, say: Callable[[Tensor], Tensor], window: int, step: int, most: int) -> Tensor:
    """Return what is said of an image (1, channels, height, width), window by window, at each of its pixels, averaged
    where windows overlap: (outputs, height, width). `say` gives (windows, outputs, height, width) of up to `most`."""
    import torch

    from ssl_bench.backbones.dense import windows

    size = (image.shape[2], image.shape[3])
    height, width = (min(window, side) for side in size)
    corners = windows(size, (height, width), (step, step))
    total, count = None, torch.zeros(size, device=image.device)
    for start in range(0, len(corners), most):
        some = corners[start : start + most]
        parts = say(torch.cat([image[:, :, top : top + height, left : left + width] for top, left in some]))
        total = parts.new_zeros((parts.shape[1], *size)) if total is None else total
        for (top, left), part in zip(some, parts, strict=True):
            total[:, top : top + height, left : left + width] += part
            count[top : top + height, left : left + width] += 1
    assert total is not None
    return total / count


def best_classes(logits: Tensor, size: tuple[int, int], block: int = 16) -> NDArray[np.uint8]:
    """Return the class of the largest logit at every pixel (height, width) of `size`, for logits (classes, rows,
    columns); a few classes at a time, since all of them at a large image's size fill memory."""
    import torch
    from torch.nn.functional import interpolate

    most = labels = None
    for start in range(0, len(logits), block):
        wide = interpolate(logits[None, start : start + block], size=size, mode="bilinear", align_corners=False)[0]
        values, found = wide.max(0)
        found = found + start
        if most is None or labels is None:
            most, labels = values, found
        else:
            better = values > most
            most, labels = torch.where(better, values, most), torch.where(better, found, labels)
    assert labels is not None
    chosen: NDArray[np.uint8] = labels.to(torch.uint8).cpu().numpy()
    return chosen
