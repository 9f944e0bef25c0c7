"""What the loop is told and what it tells: resolved numbers, parameter groups, batches, and the history of a run."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

Precision = Literal["float32", "bfloat16", "float16"]
Measured: TypeAlias = "Mapping[str, float | Tensor]"
"""What an evaluation says: numbers, or tensors that it wants kept through a kill."""
Loss: TypeAlias = "Callable[[Any, Tensor], Tensor]"
"""(what the network gave, targets) → the sum over the images of their losses, in which no image hangs on another."""


@dataclasses.dataclass(frozen=True)
class Mix:
    """Mixup and CutMix of a batch with itself reversed, as timm.data.Mixup in its mode "batch"."""

    mixup: float
    """α of the Beta(α, α) that the share of an image is drawn from; 0: never mixup."""
    cutmix: float
    """As `mixup`, of the share of the area; 0: never CutMix."""
    probability: float = 1.0
    """Of mixing a batch at all."""
    switch: float = 0.5
    """Probability of CutMix where both are on."""

    def __post_init__(self) -> None:
        if self.mixup <= 0 and self.cutmix <= 0:
            raise UsageError("mixing needs mixup or cutmix above 0; a recipe without either has no Mix")


@dataclasses.dataclass(frozen=True)
class Settings:
    """All that makes the numbers of a run besides network, groups and data; rates and lengths are resolved."""

    steps: int
    """Updates of the parameters."""
    batch: int
    """Images per update: kept by accumulation and over processes, whatever fits into memory."""
    optimiser: Literal["adamw", "sgd"]
    rate: float
    """Peak learning rate; a group's is this times its `rate_scale`."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of AdamW."""
    momentum: float = 0.0
    """Of SGD."""
    nesterov: bool = False
    schedule: Literal["cosine", "polynomial", "one_cycle", "constant", "milestones"] = "cosine"
    milestones: tuple[int, ...] = ()
    """Steps from each of which on the rate of "milestones" is a tenth of what it was."""
    warmup: int = 0
    """Steps from `warmup_rate` to `rate`, which are among `steps`."""
    warmup_rate: float = 0.0
    warmup_reaches: bool = False
    """True: the last step of the warm-up has `rate`, as BEiT's; False: the step after it has, as MAE's."""
    least_rate: float = 0.0
    """What the schedule falls to; a group's is this times its `rate_scale`."""
    power: float = 1.0
    """Of the polynomial."""
    clip: float | None = None
    """Largest norm of the whole gradient."""
    ema: float | None = None
    """Decay per step of the average of the weights, which is what is evaluated and returned."""
    precision: Precision = "float32"
    """Of the arithmetic inside the network, by torch.autocast; weights stay as they are."""
    compile: bool = False
    label_smoothing: float = 0.0
    mixup: Mix | None = None

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch", 1), ("warmup", 0), ("rate", 0.0), ("least_rate", 0.0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.warmup >= self.steps and self.schedule != "constant":
            raise UsageError(f"a warm-up of {self.warmup} steps leaves nothing of {self.steps} steps")


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Parameters that share a learning rate and a decay."""

    parameters: list[nn.Parameter]
    rate_scale: float = 1.0
    """Times the run's rate: below 1 in lower layers under layer-wise decay."""
    decay: float = 0.0
    """Weight decay."""
    name: str = ""


class Batches(Protocol):
    """Where a run draws its data from: the same step has the same images, whatever is asked for before it."""

    def __call__(self, first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give, step after step from step `first` on without end, what stands at `places` of the step's batch.

        A step's places come in their order, in parts of `size`, the last part of a step smaller where it must be.
        A part is normalised images (part, channels, height, width) on the device, and on the same device targets:
        labels (part,) int64, shares of the classes (part, classes), or what a loss of the caller's own compares with.
        What a place of a step holds depends on the step and the place alone: not on `first`, the other places or
        `size`.
        """
        ...


POINTS = 20
"""Rows of a curve, at most."""


@dataclasses.dataclass(eq=False)
class History:
    """What became of a run: a value per step, and what was measured on the way."""

    losses: list[float] = dataclasses.field(default_factory=list)
    """Mean loss of a step's batch, before its update."""
    rates: list[float] = dataclasses.field(default_factory=list)
    """Learning rate of a group whose `rate_scale` is 1."""
    evaluations: list[tuple[int, Measured]] = dataclasses.field(default_factory=list)
    """Steps done, and what `evaluate` then said."""
    skipped: list[int] = dataclasses.field(default_factory=list)
    """Steps without an update, since a gradient was beyond float16."""
    at_once: int = 0
    """Images per forward pass in the end."""
    seconds: float = 0.0
    """Of training, over all sittings, without the evaluations."""
    peak_memory_mb: float = 0.0
    """Of the device; on the CPU, of the process."""

    @property
    def nonfinite(self) -> int:
        """Losses that were NaN or infinite."""
        import math

        return sum(not math.isfinite(loss) for loss in self.losses)

    def images_per_second(self, batch: int) -> float:
        """Return the rate of training, over all processes."""
        return len(self.losses) * batch / self.seconds if self.seconds else 0.0

    def cost(self, batch: int) -> dict[str, float]:
        """Return what the run took, by the names of a record's `timing`."""
        return {
            "images_trained": len(self.losses) * batch,
            "train_seconds": round(self.seconds, 3),
            "trained_per_second": round(self.images_per_second(batch), 2),
        }

    def curve(self) -> tuple[dict[str, float], ...]:
        """Return the course of the run in rows: the mean loss since the row before, and the rate."""
        ends = sorted({round(len(self.losses) * part / POINTS) for part in range(1, POINTS + 1)} - {0})
        return tuple(
            {
                "step": end,
                "train_loss": float(f"{sum(self.losses[start:end]) / (end - start):.6g}"),
                "rate": float(f"{self.rates[end - 1]:.6g}"),
            }
            for start, end in itertools.pairwise([0, *ends])
        )
