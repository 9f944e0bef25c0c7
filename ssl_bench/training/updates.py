"""One update: the gradient of a whole batch, gathered over micro-batches and processes, and what is done with it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ssl_bench import distributed
from ssl_bench.errors import MissingError, UsageError, is_out_of_memory
from ssl_bench.training import mixing
from ssl_bench.training.base import Batches, Group, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

AT_ONCE = {"cpu": 64, "cuda": 256}
"""Images per forward pass, where nothing is said."""
PATIENCE = 20
"""Steps in a row that float16 may leave out."""


class Updater:
    """A network, its optimiser, and all else that an update changes."""

    def __init__(
        self,
        network: nn.Module,
        groups: Sequence[Group],
        batches: Batches,
        settings: Settings,
        *,
        seed: int,
        at_once: int,
    ) -> None:
        import torch

        self.network, self.batches, self.settings, self.seed = network, batches, settings, seed
        self.device = next(network.parameters()).device
        self.places = mixing.places(settings.batch, distributed.rank(), distributed.world())
        if not self.places:
            raise UsageError(f"a batch of {settings.batch} images is too small for {distributed.world()} processes")
        self.at_once = min(at_once or AT_ONCE.get(self.device.type, 64), len(self.places))
        self.parameters = _alone(network, groups)
        self.optimiser = _optimiser(groups, settings)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        distributed.copy_first(network.state_dict().values())
        self.average = _average(network, settings)
        self.call: Callable[[Tensor], Tensor] = torch.compile(network) if settings.compile else network
        self._parts: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._next = -1
        self._left_out = 0

    def step(self, step: int, rate: float) -> tuple[float, bool]:
        """Make one update; return the mean loss of the batch before it, and whether float16 left the update out.

        Raises FloatingPointError, before anything is changed, where the loss is no number.
        """
        loss = self._gathered(step)()
        if not math.isfinite(loss) and not self.scaler.is_enabled():
            raise FloatingPointError(loss)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["rate_scale"]
        left_out = self._move()
        self._left_out = self._left_out + 1 if left_out else 0
        if self._left_out == PATIENCE:
            raise FloatingPointError(loss)
        distributed.copy_first(self.network.buffers())
        if self.average is not None:
            self.average.update(self.network)
        return loss, left_out

    def _move(self) -> bool:
        """Move the parameters by their gradients, and clear these; return whether float16 would have none of it."""
        import torch

        if self.settings.clip is not None:
            self.scaler.unscale_(self.optimiser)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.optimiser.zero_grad(set_to_none=True)
        return self.scaler.get_scale() < scale

    def _gathered(self, step: int) -> Callable[[], float]:
        """Gather the gradient of a step's batch, in smaller parts where memory runs out; return what tells its loss."""
        while True:
            try:
                loss, told = self._gather(step)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self._shrink()  # out here, where the error no longer holds on to what was computed
        if distributed.world() == 1:
            return told
        distributed.add([*(parameter.grad for parameter in self.parameters if parameter.grad is not None), loss])
        return lambda: float(loss)

    def _gather(self, step: int) -> tuple[Tensor, Callable[[], float]]:
        """Add up the gradient of this process's share; return its loss, and what tells it as soon as it is known."""
        import torch

        self._turn_to(step)
        total, done = torch.zeros((), device=self.device, dtype=self.parameters[0].dtype), 0
        told = _fetched(total)
        while done < len(self.places):
            images, targets = next(self._parts)
            drawn = self._drawn(step, images)
            if drawn.share < 1:
                images, others = mixing.mixed(images, drawn), mixing.partners(targets)
            else:
                others = targets
            for start in range(0, len(images), self.at_once):
                part = slice(start, start + self.at_once)
                _seed([self.seed, step, self.places[done + start]])
                loss = self._loss(images[part], targets[part], others[part], drawn.share)
                total += loss.detach()
                told = _fetched(total)
                self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            done += len(images)
        self._next = step + 1
        return total, told

    def _drawn(self, step: int, images: Tensor) -> mixing.Drawn:
        mix = self.settings.mixup
        return mixing.draw(mix, self.seed, step, *images.shape[2:]) if mix is not None else mixing.Drawn()

    def _loss(self, images: Tensor, targets: Tensor, others: Tensor, share: float) -> Tensor:
        """Return what these images add to the mean cross-entropy of the batch.

        It is linear in the target: mixed targets' is the mixture of the two targets' own.
        """
        import torch

        lower = self.settings.precision != "float32"
        with torch.autocast(self.device.type, getattr(torch, self.settings.precision), enabled=lower):
            logits = self.call(images)
        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        loss = self._cross_entropy(logits, targets)
        if share < 1:
            loss = share * loss + (1 - share) * self._cross_entropy(logits, others)
        return loss / self.settings.batch

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        from torch.nn.functional import cross_entropy

        targets = targets.to(logits.dtype) if targets.is_floating_point() else targets
        return cross_entropy(logits, targets, reduction="sum", label_smoothing=self.settings.label_smoothing)

    def _turn_to(self, step: int) -> None:
        """Have the data go on with this step; parts are even, so that partners in mixing stay together."""
        if self._next == step:
            return
        self._close()
        even = max(2, self.at_once - self.at_once % 2)
        count = -(-len(self.places) // even)
        self._parts = self.batches(step, self.places, 2 * -(-len(self.places) // (2 * count)))

    def _shrink(self) -> None:
        """Begin the step anew with half as many images at once; raise MissingError where that is none."""
        import torch

        if self.at_once == 1:
            raise MissingError(
                "one image at a time does not fit into memory; train in bfloat16, with smaller images or a smaller "
                "network, or on a device with more memory"
            )
        self.at_once = (self.at_once + 1) // 2
        self.optimiser.zero_grad(set_to_none=True)
        self._next = -1
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _close(self) -> None:
        """End the data's threads or processes."""
        if callable(close := getattr(self._parts, "close", None)):
            close()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the network in training mode, and the data open, for the block."""
        self._training_mode()
        try:
            yield
        finally:
            self._close()
            self._next = -1

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Hold the network in eval mode, with the averaged weights where they are kept, for the block."""
        own = {name: tensor.clone() for name, tensor in self.network.state_dict().items()} if self.average else {}
        self.take_average()
        try:
            yield
        finally:
            if own:
                self.network.load_state_dict(own)
            self._training_mode()

    def take_average(self) -> None:
        """Put the averaged weights, where they are kept, into the network, and leave it in eval mode."""
        if self.average is not None:
            self.network.load_state_dict(self.average.module.state_dict())
        self.network.eval()

    def _training_mode(self) -> None:
        """Frozen batch normalisation keeps the statistics that its frozen weights were made with."""
        from torch.nn.modules.batchnorm import _BatchNorm

        self.network.train()
        for module in self.network.modules():
            if isinstance(module, _BatchNorm) and not any(p.requires_grad for p in module.parameters()):
                module.eval()

    def is_finite(self) -> bool:
        """Return whether every parameter is a number."""
        return all(bool(parameter.isfinite().all()) for parameter in self.parameters)

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on, besides data, seed and settings."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average.module.state_dict() if self.average is not None else {},
            "at_once": self.at_once,
            "left_out": self._left_out,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; as many images pass at once as did then, since that rounds sums."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        self.at_once, self._left_out = min(state["at_once"], len(self.places)), state["left_out"]


def _alone(network: nn.Module, groups: Sequence[Group]) -> list[nn.Parameter]:
    """Return the parameters of the groups, and leave no other of the network's with a gradient."""
    own = [parameter for group in groups for parameter in group.parameters]
    network.requires_grad_(False)
    for parameter in own:
        parameter.requires_grad_(True)
    return own


def _optimiser(groups: Sequence[Group], settings: Settings) -> Any:
    """Return torch's optimiser; a group's `rate_scale` stands beside its parameters."""
    import torch

    listed = [
        {"params": group.parameters, "weight_decay": group.decay, "rate_scale": group.rate_scale, "name": group.name}
        for group in groups
    ]
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(listed, lr=settings.rate, betas=settings.betas, fused=True)
    return torch.optim.SGD(listed, lr=settings.rate, momentum=settings.momentum, nesterov=settings.nesterov, fused=True)


def _average(network: nn.Module, settings: Settings) -> Any:
    if settings.ema is None:
        return None
    from timm.utils import ModelEmaV3

    return ModelEmaV3(network, decay=settings.ema)


def _seed(words: Sequence[int]) -> None:
    """Set torch's generators to what stands for these numbers."""
    import torch

    torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1))


def _fetched(loss: Tensor) -> Callable[[], float]:
    """Begin to copy a loss from the device; return what waits for that, and not for what the device does after it."""
    import torch

    copy = loss.detach().to("cpu", non_blocking=True, copy=True)
    if not loss.is_cuda:
        return lambda: float(copy)
    copied = torch.cuda.current_stream(loss.device).record_event()

    def told() -> float:
        copied.synchronize()
        return float(copy)

    return told
