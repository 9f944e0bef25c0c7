"""The gradient of a step's whole batch, gathered over as many micro-batches as memory asks for, and over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ssl_bench import distributed
from ssl_bench.errors import MissingError, is_out_of_memory
from ssl_bench.training import mixing
from ssl_bench.training.base import Batches, Loss, Settings
from ssl_bench.training.seeds import seed_all

if TYPE_CHECKING:
    from torch import Tensor, nn

AT_ONCE = {"cpu": 64, "cuda": 256}
"""Images per forward pass, where nothing is said."""


class Gradients:
    """Adds up gradients in the `grad` of parameters, with draws that do not depend on how a batch is cut."""

    def __init__(
        self,
        network: nn.Module,
        parameters: Sequence[nn.Parameter],
        batches: Batches,
        settings: Settings,
        scaler: Any,
        *,
        seed: int,
        at_once: int,
        loss: Loss | None = None,
    ) -> None:
        import torch

        from ssl_bench.training.depth import Depth

        self.parameters, self.batches, self.settings, self.scaler = parameters, batches, settings, scaler
        self.seed, self.device = seed, parameters[0].device
        self.places = mixing.places(settings.batch, distributed.rank(), distributed.world())
        self._on_device = torch.tensor(self.places, device=self.device)  # a copy at each step would wait for the device
        self.asked = at_once
        self.at_once = min(at_once or AT_ONCE.get(self.device.type, 64), len(self.places))
        self.call: Callable[[Tensor], Any] = torch.compile(network) if settings.compile else network
        self.loss = loss or self._cross_entropy
        self._depth = Depth(network, settings.batch)
        self._parts: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._next = -1

    def gather(self, step: int) -> Callable[[], float]:
        """Gather a step's gradient, in smaller parts where memory runs out; return what tells the batch's mean loss.

        Raises MissingError where one image at a time is too much.
        """
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
        self._depth.draw(self.seed, step)
        total, done = torch.zeros((), device=self.device, dtype=self.parameters[0].dtype), 0
        told = _fetched(total)
        while done < len(self.places):
            images, targets = next(self._parts)
            for loss in self._losses(step, done, images, targets):
                total += loss.detach()
                told = _fetched(total)
                self.scaler.scale(loss).backward()
            done += len(images)
        self._next = step + 1
        return total, told

    def _losses(self, step: int, done: int, images: Tensor, targets: Tensor) -> Iterator[Tensor]:
        """Give what each micro-batch of a part, after the `done` images before it, adds to the batch's loss.

        Cross-entropy is linear in the target: mixed targets' is the mixture of the two targets' own.
        """
        mix = self.settings.mixup
        drawn = mixing.draw(mix, self.seed, step, *images.shape[2:]) if mix is not None else mixing.Drawn()
        others = mixing.partners(targets) if drawn.share < 1 else targets
        images = mixing.mixed(images, drawn) if drawn.share < 1 else images
        for start in range(0, len(images), self.at_once):
            part = slice(start, start + self.at_once)
            seed_all([self.seed, step, self.places[done + start]])
            self._depth.show(self._on_device[done : done + len(images)][part])
            said = self._said(images[part])
            loss = self.loss(said, targets[part])
            if drawn.share < 1:
                loss = drawn.share * loss + (1 - drawn.share) * self.loss(said, others[part])
            yield loss / self.settings.batch

    def _said(self, images: Tensor) -> Any:
        import torch

        lower = self.settings.precision != "float32"
        with torch.autocast(self.device.type, getattr(torch, self.settings.precision), enabled=lower):
            return self.call(images)

    def _cross_entropy(self, logits: Tensor, targets: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import cross_entropy

        logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
        targets = targets.to(logits.dtype) if targets.is_floating_point() else targets
        return cross_entropy(logits, targets, reduction="sum", label_smoothing=self.settings.label_smoothing)

    def _turn_to(self, step: int) -> None:
        """Have the data go on with this step; parts are even, so that partners in mixing stay together."""
        if self._next == step:
            return
        self._end_data()
        even = max(2, self.at_once - self.at_once % 2)
        count = -(-len(self.places) // even)
        self._parts = self.batches(step, self.places, 2 * -(-len(self.places) // (2 * count)))

    def _shrink(self) -> None:
        """Begin the step anew with half as many images at once."""
        import torch

        if self.at_once == 1:
            raise MissingError(
                "one image at a time does not fit into memory: train in bfloat16, with smaller images or a smaller "
                "network, or on a device with more memory"
            )
        self.at_once = (self.at_once + 1) // 2
        for parameter in self.parameters:
            parameter.grad = None
        self._end_data()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _end_data(self) -> None:
        """End the data's threads or processes."""
        self._next = -1
        if callable(close := getattr(self._parts, "close", None)):
            close()

    def close(self) -> None:
        """End what works for the next step, and give the network its own modules back."""
        self._end_data()
        self._depth.undo()


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
