"""One update: what is done with a step's gradient, and all that the next update depends on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ssl_bench import distributed
from ssl_bench.training.base import Batches, Group, Loss, Settings
from ssl_bench.training.gradients import Gradients

if TYPE_CHECKING:
    from torch import nn

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
        loss: Loss | None = None,
    ) -> None:
        import torch

        self.network, self.settings = network, settings
        self.device = next(network.parameters()).device
        self.parameters = _alone(network, groups)
        self.optimiser = _optimiser(groups, settings)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")
        self.gradients = Gradients(
            network, self.parameters, batches, settings, self.scaler, seed=seed, at_once=at_once, loss=loss
        )
        distributed.copy_first(network.state_dict().values())
        self.average = _average(network, settings)
        self._left_out = 0

    def step(self, step: int, rate: float) -> tuple[float, bool]:
        """Make one update; return the mean loss of the batch before it, and whether float16 left the update out.

        Raises FloatingPointError where the loss is no number, before anything is changed, or float16 does not do.
        """
        loss = self.gradients.gather(step)()
        if not math.isfinite(loss) and not self.scaler.is_enabled():
            raise FloatingPointError(f"the loss is {loss}")
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["rate_scale"]
        left_out = self._move()
        self._left_out = self._left_out + 1 if left_out else 0
        if self._left_out == PATIENCE:
            raise FloatingPointError(f"the gradients of {PATIENCE} steps in a row are beyond float16")
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

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the network in training mode, and the data open, for the block."""
        self._training_mode()
        try:
            yield
        finally:
            self.gradients.close()

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
            "at_once": self.gradients.at_once,
            "left_out": self._left_out,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state; as many images pass at once as did then, since that rounds sums, or fewer where asked.

        Raises RuntimeError, KeyError or ValueError where it is another network's.
        """
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
        self.gradients.at_once = min(state["at_once"], self.gradients.asked or state["at_once"])
        self._left_out = state["left_out"]


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
