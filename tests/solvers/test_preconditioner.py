"""Factors of Hessians, beside Hessians that automatic differentiation gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from ssl_bench.solvers import logistic, preconditioner
from ssl_bench.solvers.linear_loss import Problem
from ssl_bench.solvers.preconditioner import Blocks, Joint
from ssl_bench.solvers.softmax_loss import Softmax

C = 30.0


def data(samples: int, columns: int, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return x (columns + 1, samples) with a row of ones, labels, and weights under which most samples are sure."""
    draw = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(columns, samples, generator=draw), torch.ones(1, samples)])
    weights = 4 * torch.randn(classes, columns + 1, generator=draw)
    return x, (weights @ x).argmax(0), weights


def exact(x: Tensor, weights: Tensor, loss: object) -> Tensor:
    """Return the Hessian of C · loss(W x) + ½‖W‖², last column unpenalised, (rows, rows)."""

    def objective(flat: Tensor) -> Tensor:
        w = flat.reshape(weights.shape).double()
        return C * loss(w @ x.double()) + 0.5 * w[:, :-1].square().sum()  # type: ignore[operator]

    rows = weights.numel()
    found: Tensor = torch.autograd.functional.hessian(objective, weights.double().flatten())
    return found.reshape(rows, rows)


def apart(found: Tensor, right: Tensor) -> float:
    """Return the largest difference, as a part of the two diagonal entries' geometric mean."""
    scale = right.diagonal().sqrt()
    return float(((found.double() - right) / scale / scale[:, None]).abs().max())


@pytest.mark.parametrize("group", [1, preconditioner.GROUP])
def test_the_hessian_of_a_softmax(monkeypatch: pytest.MonkeyPatch, group: int) -> None:
    """What is left out of the sums does not show, in one product or in many."""
    monkeypatch.setattr(preconditioner, "GROUP", group)
    x, labels, weights = data(300, 4, 5)
    p = (weights @ x).softmax(0)
    made, price = Joint(x, 5, torch.float32)._hessian(p, C)
    right = exact(x, weights, lambda logits: torch.nn.functional.cross_entropy(logits.T, labels, reduction="sum"))
    assert apart(made.tril(), right.tril()) < 1e-5
    every = Joint(x, 5, torch.float32).operations(300)
    assert price < every  # sure samples are left out


def test_the_hessians_of_sigmoids() -> None:
    """Each class's block is the exact one."""
    x, _, weights = data(80, 4, 3)
    holds = (weights @ x > 0).double()
    logits = weights @ x
    right = exact(x, weights, lambda z: torch.nn.functional.binary_cross_entropy_with_logits(z, holds, reduction="sum"))
    blocks = Blocks(x, 3, torch.float32)
    for k in range(3):
        p = logits[k].sigmoid()
        made, count = blocks._hessian(p * (1 - p), C)
        part = slice(5 * k, 5 * k + 5)
        assert apart(made, right[part, part]) < 1e-5
        assert count < 80


def test_a_poor_factor_is_followed_by_one_from_more_samples() -> None:
    """Of very many samples few are taken at first, and four times as many when a fresh factor took many steps."""
    x, _, weights = data(2000, 2, 3)
    curves, left = (weights @ x).softmax(0), torch.ones(3, 3)
    made = Joint(x, 3, torch.float32)
    counts = []
    for steps in (1, preconditioner.POOR, preconditioner.POOR + 1, 1):
        made.spent = np.inf
        made.prepare(curves, C)
        counts.append(made.count)
        for _ in range(steps):
            made.solve(left)
    assert counts == [36, 36, 36, 144]


def test_few_steps_with_a_fresh_factor_of_real_data() -> None:
    """On digits, standardised, many of whose pixels are rarely lit, a direction takes few steps even at C = 1,000."""
    pixels, labels = load_digits(return_X_y=True)
    x = pixels[:, pixels.std(0) > 0]
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    *_, near = logistic.path(x, labels.astype(np.int64), 10.0 ** np.arange(-4, 3), tolerance=logistic.CHOOSING)
    problem: Problem = Softmax(x, labels.astype(np.int64), "cpu", torch.float32)
    problem.steer_finely()
    point, steered = problem.at(near.weights, near.intercepts), problem.preconditioner()
    curves, c = problem.curves(point), 10 * near.c
    steered.spent = np.inf
    steered.prepare(curves, c)
    gradient = problem.gradient(point, c)
    goal = logistic.CHOOSING * point.objective(c)
    logistic._direction(problem, steered, curves, gradient, c, goal / 2)
    assert 0 < steered.steps <= preconditioner.POOR
