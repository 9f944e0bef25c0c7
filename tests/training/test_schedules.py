"""Learning rates by step against the authors' formulas, and numbers that their code printed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ssl_bench.training.schedules import rates
from tests.training import small

PER_EPOCH = 1251
"""Steps of ImageNet at a batch of 1024."""
MAE = {
    0: 0.0,
    1: 3.1974420463629097e-07,
    1250: 0.0003996802557953637,
    3102: 0.0009918465227817747,
    6254: 0.0019996802557953634,
    6255: 0.002,
    6256: 0.0019999999996507868,
    37607: 0.001675944751707466,
    65677: 0.0010005132105762008,
    125099: 1.000000349213269e-06,
}
"""What facebookresearch/mae, util/lr_sched.py, gives for ViT-B: 100 epochs, 5 of warm-up, 2e-3 to 1e-6."""


def test_the_cosine_has_the_numbers_of_maes_code() -> None:
    """MAE's recipe for ViT-B has the rates that the authors' adjust_learning_rate gives, step by step."""
    table = rates(small.settings(steps=100 * PER_EPOCH, batch=1024, warmup=5 * PER_EPOCH, rate=2e-3, least_rate=1e-6))
    assert len(table) == 100 * PER_EPOCH
    for step, rate in MAE.items():
        assert table[step] == pytest.approx(rate, rel=1e-12, abs=1e-18)


def test_a_warm_up_that_reaches_its_rate_is_beits() -> None:
    """BEiT's warm-up is a linspace with both ends, and its cosine starts at the rate again."""
    steps, warmup = 200, 40
    table = rates(
        small.settings(steps=steps, warmup=warmup, warmup_rate=1e-6, warmup_reaches=True, rate=4e-3, least_rate=1e-5)
    )
    fall = [1e-5 + 0.5 * (4e-3 - 1e-5) * (1 + math.cos(math.pi * i / (steps - warmup))) for i in range(steps - warmup)]
    assert table == pytest.approx(np.concatenate([np.linspace(1e-6, 4e-3, warmup), fall]), rel=1e-12)


def test_the_polynomial_falls_by_its_power() -> None:
    """After the warm-up the rate is m + (r - m) (1 - t / n) ** power."""
    table = rates(small.settings(steps=50, warmup=10, rate=1.0, least_rate=0.1, schedule="polynomial", power=0.9))
    assert table[:10] == pytest.approx(np.arange(10) / 10)
    assert table[10:] == pytest.approx(0.1 + 0.9 * (1 - np.arange(40) / 40) ** 0.9)


def test_a_constant_rate_stays_after_its_warm_up() -> None:
    """The warm-up rises, and from its end on the rate is the peak, whatever the least is."""
    table = rates(small.settings(steps=6, warmup=3, rate=0.3, schedule="constant"))
    assert table == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.3, 0.3])


def test_one_cycle_is_torchs() -> None:
    """One cycle rises from the warm-up's rate to the peak and falls to the least by torch's OneCycleLR."""
    table = rates(
        small.settings(steps=30, warmup=9, warmup_rate=0.02, rate=0.5, least_rate=0.001, schedule="one_cycle")
    )
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.5, total_steps=30, pct_start=0.3, div_factor=25, final_div_factor=20, cycle_momentum=False
    )
    expected = []
    for _ in range(30):
        expected.append(cycle.get_last_lr()[0])
        optimiser.step()
        cycle.step() if len(expected) < 30 else None
    assert table == pytest.approx(expected, rel=1e-12)
    assert table[0] == pytest.approx(0.02)
    assert table[8] == pytest.approx(0.5)
    assert table[-1] == pytest.approx(0.001)


def test_milestones_are_tenths() -> None:
    """From each milestone on the rate is a tenth of what it was; the warm-up rises to what stands behind it."""
    table = rates(
        small.settings(steps=10, warmup=4, warmup_rate=0.1, rate=0.5, schedule="milestones", milestones=(6, 9))
    )
    assert table == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005])
