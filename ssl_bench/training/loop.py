"""The loop: step after step to the end, kept now and then, and gone on with from what was kept."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench import cards, distributed
from ssl_bench.environment import peak_memory_mb
from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.progress import Advance
from ssl_bench.training import states
from ssl_bench.training.base import Batches, Group, History, Loss, Measured, Settings
from ssl_bench.training.schedules import rates
from ssl_bench.training.updates import Updater

if TYPE_CHECKING:
    from torch import nn

KEEP_SECONDS = 60.0
"""Between two writings of the state; longer where writing takes more than a fiftieth of that."""


def train(
    network: nn.Module,
    groups: Sequence[Group],
    batches: Batches,
    settings: Settings,
    *,
    seed: int,
    state: Path | None = None,
    identity: str = "",
    advance: Advance = lambda count: None,
    evaluate: Callable[[int], Measured] | None = None,
    every: int = 0,
    at_once: int = 0,
    keep_seconds: float = KEEP_SECONDS,
    loss: Loss | None = None,
) -> History:
    """Train the parameters of `groups` in place, and leave the network in eval mode with what is to be measured.

    The network gives logits (images, classes) for normalised images; it is on its device already. The loss is the mean
    cross-entropy over a step's batch, or what `loss` makes of whatever the network gives, divided by the batch. With
    `settings.ema` the network ends with the averaged weights.

    `state` is the file from which a run that was ended goes on, to the same bits on the CPU; `identity` stands for the
    network, the groups and the data, and must be equal then. The caller removes the file once it has what it wants.
    `advance` hears of steps done. `evaluate(step)` is asked every `every` steps and at the end, with the network in
    eval mode and averaged; among several processes the first is asked and all hear the answer.
    `at_once` is how many images pass at once, 0 for as many as are usual; it is halved where memory runs out. Neither
    that nor the number of processes changes a number beyond rounding, but in networks with batch normalisation, which
    sees what passes at once in one process, or with dropout, which is drawn for that.

    Raises UsageError where the loss is no number, MissingError where one image at a time does not fit into memory.
    """
    import torch

    devices = [] if (device := next(network.parameters()).device).type == "cpu" else [device]
    with torch.random.fork_rng(devices, device_type=device.type if devices else "cuda"):
        updater = Updater(network, groups, batches, settings, seed=seed, at_once=at_once, loss=loss)
        asked = cards.plain(dataclasses.replace(settings, compile=False))  # that is the machine's affair
        whole = digest_json({"of": identity, "seed": seed, "settings": asked})
        run = _Run(updater, settings, state, whole, keep_seconds)
        with updater.opened():
            run.go_on(advance)
            run.finish(advance, evaluate, every or settings.steps)
    updater.take_average()
    return run.history


class _Run:
    """A run's history and the file that it is kept in."""

    def __init__(
        self, updater: Updater, settings: Settings, state: Path | None, identity: str, keep_seconds: float
    ) -> None:
        self.updater, self.settings, self.path, self.identity = updater, settings, state, identity
        self.history, self.keep_seconds = History(), keep_seconds
        self._kept = time.monotonic()

    def go_on(self, advance: Advance) -> None:
        """Take up what was kept, on all processes alike."""
        found = None if self.path is None else states.read(self.path, self.identity)
        done = 0 if found is None else len(found["losses"])
        if distributed.said_by_first(done) != done:
            raise UsageError(f"not every process finds the state {self.path}: the cache must be one that all can read")
        if found is not None:
            try:
                self.updater.restore(found["updater"])
            except (RuntimeError, KeyError, ValueError) as error:  # other versions of the libraries name things anew
                raise UsageError(f"{self.path} does not fit this network; remove it to begin anew") from error
            self.history = History(
                losses=found["losses"].tolist(),
                rates=found["rates"].tolist(),
                evaluations=[(step, said) for step, said in found["evaluations"]],
                skipped=found["skipped"],
                seconds=found["seconds"],
            )
            advance(done)

    def finish(self, advance: Advance, evaluate: Callable[[int], Measured] | None, every: int) -> None:
        """Make the steps that are left."""
        table = rates(self.settings)
        self._evaluate(evaluate, every)  # which may have been what the run was ended in
        for step in range(len(self.history.losses), self.settings.steps):
            start = time.monotonic()
            loss, skipped = self._step(step, float(table[step]))
            self.history.losses.append(loss)
            self.history.rates.append(float(table[step]))
            self.history.skipped += [step] if skipped else []
            self.history.seconds += time.monotonic() - start
            advance(1)
            self._keep_in_time()
            self._evaluate(evaluate, every)
        self._keep()
        self.history.at_once = self.updater.gradients.at_once
        self.history.peak_memory_mb = _peak_memory_mb(self.updater.device)

    def _step(self, step: int, rate: float) -> tuple[float, bool]:
        try:
            return self.updater.step(step, rate)
        except FloatingPointError as error:
            if self.updater.is_finite():
                self._keep()
            elsewhere = " or bfloat16" if self.settings.precision == "float16" else ""
            kept = f". The last sound state is kept in {self.path}" if self.path and self.path.exists() else ""
            raise UsageError(
                f"step {step + 1} of {self.settings.steps}: {error}; use a rate below "
                f"{self.settings.rate:g}, a longer warm-up{elsewhere}{kept}"
            ) from error

    def _evaluate(self, evaluate: Callable[[int], Measured] | None, every: int) -> None:
        """Ask for an evaluation of the steps done, if one is due and was not had."""
        done = len(self.history.losses)
        due = done and (done % every == 0 or done == self.settings.steps)
        if evaluate is None or not due or any(step == done for step, _ in self.history.evaluations):
            return
        with self.updater.averaged():
            said = _plain(evaluate(done)) if distributed.rank() == 0 else {}
        self.history.evaluations.append((done, distributed.said_by_first(said)))
        self._keep_in_time()

    def _keep_in_time(self) -> None:
        if time.monotonic() - self._kept > self.keep_seconds:
            self._keep()

    def _keep(self) -> None:
        """Write the state; the next time comes when this one has cost a fiftieth of the time since."""
        import torch

        if self.path is None or distributed.rank():
            return
        start, history = time.monotonic(), self.history
        state = {
            "updater": self.updater.state(),
            "losses": torch.tensor(history.losses, dtype=torch.float64),
            "rates": torch.tensor(history.rates, dtype=torch.float64),
            "evaluations": history.evaluations,
            "skipped": history.skipped,
            "seconds": history.seconds,
        }
        states.write(self.path, self.identity, state)
        self._kept = time.monotonic()
        if self.keep_seconds:
            self.keep_seconds = max(self.keep_seconds, 50 * (self._kept - start))


def _plain(said: Measured) -> Measured:
    """Return copies, on the CPU, of what an evaluation says, of the types that a state may hold."""
    return {
        name: float(value) if isinstance(value, int | float) else value.detach().cpu().clone()
        for name, value in said.items()
    }


def _peak_memory_mb(device: Any) -> float:
    import torch

    return torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else peak_memory_mb()
