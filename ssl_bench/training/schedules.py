"""Learning rates by step, from timm's and torch's own schedulers, as a table: a run that goes on needs no state."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.training.base import Settings


def rates(settings: Settings) -> NDArray[np.float64]:
    """Return the learning rate of every step (steps,).

    With warm-up w, steps n, peak r and least m, step t of the cosine has r t / w below w, and from there on
    m + (r - m) (1 + cos(π (t - w) / (n - w))) / 2: MAE's util/lr_sched.py. "one_cycle" is torch's OneCycleLR;
    "milestones" is detectron2's WarmupParamScheduler over a MultiStepParamScheduler of tenths.
    """
    if settings.schedule == "one_cycle":
        return _one_cycle(settings)
    if settings.schedule == "milestones":
        return _milestones(settings)
    table = _timm(settings)
    if settings.warmup_reaches:
        table[: settings.warmup] = np.linspace(settings.warmup_rate, settings.rate, settings.warmup)[: settings.steps]
    return table


def _milestones(settings: Settings) -> NDArray[np.float64]:
    steps = np.arange(settings.steps)
    tenths: NDArray[np.int64] = np.searchsorted(settings.milestones, steps, side="right")
    table: NDArray[np.float64] = settings.rate * np.power(0.1, tenths)
    rising = steps < settings.warmup
    reached = table[min(settings.warmup, settings.steps - 1)]
    table[rising] = settings.warmup_rate + (reached - settings.warmup_rate) * steps[rising] / max(settings.warmup, 1)
    return table


def _timm(settings: Settings) -> NDArray[np.float64]:
    from timm.scheduler import CosineLRScheduler, PolyLRScheduler

    optimiser = _idle(settings)
    shape = {
        "t_initial": max(settings.steps - settings.warmup, 2),  # of one step only the start is seen
        "lr_min": settings.rate if settings.schedule == "constant" else settings.least_rate,
        "warmup_t": settings.warmup,
        "warmup_lr_init": settings.warmup_rate,
        "warmup_prefix": True,
        "t_in_epochs": False,
    }
    polynomial = settings.schedule == "polynomial"
    scheduler = (
        PolyLRScheduler(optimiser, power=settings.power, **shape)
        if polynomial
        else CosineLRScheduler(optimiser, **shape)
    )
    return np.array([scheduler._get_lr(step)[0] for step in range(settings.steps)])


def _one_cycle(settings: Settings) -> NDArray[np.float64]:
    import torch

    start = settings.warmup_rate or settings.rate / 25
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        _idle(settings),
        settings.rate,
        total_steps=settings.steps,
        pct_start=settings.warmup / settings.steps,
        div_factor=settings.rate / start,
        final_div_factor=start / settings.least_rate if settings.least_rate else 1e4,
        cycle_momentum=False,
    )
    found = [scheduler.get_last_lr()[0]]
    for _ in range(settings.steps - 1):
        scheduler.optimizer.step()
        scheduler.step()
        found.append(scheduler.get_last_lr()[0])
    return np.array(found)


def _idle(settings: Settings) -> Any:
    """Return an optimiser of nothing much, which the schedulers want to have."""
    import torch

    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=settings.rate)
