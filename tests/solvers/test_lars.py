"""LARS: a step by hand, and its formula in NumPy over many steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssl_bench.solvers.lars import Lars


def test_a_step_by_hand() -> None:
    """Weights (3, 4) of length 5 with the gradient (0, 2) move by 0.001 · 5 / 2 · (0, 2); a bias moves by its own."""
    weights, bias = torch.tensor([[3.0, 4.0]]), torch.tensor([1.0])
    solver = Lars((weights, bias))
    solver.step((torch.tensor([[0.0, 2.0]]), torch.tensor([0.5])), 2.0)
    assert weights.tolist() == [[3.0, pytest.approx(4 - 2 * 0.005)]]
    assert bias.tolist() == [0.0]
    solver.step((torch.zeros(1, 2), torch.zeros(1)), 1.0)
    assert weights[0, 1].item() == pytest.approx(3.99 - 0.9 * 0.005, rel=1e-6)


def test_weights_of_zero_take_the_plain_step() -> None:
    """Where weights or gradient have no length the ratio is 1, so that zero weights can leave zero."""
    weights = torch.zeros(1, 2)
    Lars((weights,)).step((torch.tensor([[1.0, 0.0]]),), 0.1)
    assert weights.tolist() == [[pytest.approx(-0.1), 0.0]]


def test_parity_with_the_formula() -> None:
    """Over 100 steps with weight decay the weights are those of the formula in float64."""
    draw = np.random.default_rng(0)
    expected, velocity = draw.normal(size=(5, 3)), np.zeros((5, 3))
    weights = torch.tensor(expected, dtype=torch.float32)
    solver = Lars((weights,), momentum=0.8, trust=0.01, weight_decay=0.1)
    for _ in range(100):
        gradient = draw.normal(size=(5, 3))
        solver.step((torch.tensor(gradient, dtype=torch.float32),), 0.5)
        direction = gradient + 0.1 * expected
        velocity = 0.8 * velocity + 0.01 * np.linalg.norm(expected) / np.linalg.norm(direction) * direction
        expected = expected - 0.5 * velocity
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-5)
