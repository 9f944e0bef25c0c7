"""Linear heads trained at once: a step by hand, and separate layers of torch trained as DINOv2's code trains them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ssl_bench.solvers.linear_heads import LinearHeads

RATES = (1e-3, 1e-2, 0.1, 0.5)


def heads(
    dim: int, classes: int, rates: tuple[float, ...], deviation: float = 0.01, momentum: float = 0.9
) -> LinearHeads:
    return LinearHeads(
        dim,
        classes,
        rates,
        momentum=0.9,
        deviation=deviation,
        generator=torch.Generator().manual_seed(0),
        device="cpu",
    )


def test_two_steps_by_hand() -> None:
    """From zero, x = 1 of class 0 of two: P = ½, so W = b = ±½ at rate 1; then P = 1 / (1 + e^2), the velocity is
    0.9 · ½ + that, and half the rate adds half of it."""
    head = heads(1, 2, (1.0,), deviation=0.0)
    x, y = torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)
    head.step(x, y, 1.0)
    assert head.weights.ravel().tolist() == [0.5, -0.5]
    assert head.biases.ravel().tolist() == [0.5, -0.5]
    head.step(x, y, 0.5)
    moved = 0.5 + 0.5 * (0.9 * 0.5 + 1 / (1 + math.exp(2)))
    assert head.weights.ravel().tolist() == pytest.approx([moved, -moved], rel=1e-6)
    assert head.logits(x).ravel().tolist() == pytest.approx([2 * moved, -2 * moved], rel=1e-6)


def test_parity_with_separate_layers_of_torch() -> None:
    """After 300 steps on the digits every head is the nn.Linear that autograd, torch's SGD and its cosine schedule
    train on the sum of the losses."""
    x, y = load_digits(return_X_y=True)
    features, labels = torch.tensor(x / 16, dtype=torch.float32), torch.tensor(y)
    ours = heads(64, 10, RATES)
    layers = [torch.nn.Linear(64, 10) for _ in RATES]
    for number, layer in enumerate(layers):
        layer.weight.data.copy_(ours.weights[:, number].T)
        layer.bias.data.zero_()
    groups = [{"params": layer.parameters(), "lr": rate} for layer, rate in zip(layers, RATES, strict=True)]
    optimiser = torch.optim.SGD(groups, momentum=0.9, weight_decay=0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 300, eta_min=0)
    draw = np.random.default_rng(0)
    for step in range(300):
        rows = draw.integers(0, len(labels), 64)
        loss = sum(torch.nn.functional.cross_entropy(layer(features[rows]), labels[rows]) for layer in layers)
        assert isinstance(loss, torch.Tensor)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        ours.step(features[rows], labels[rows], (1 + math.cos(math.pi * step / 300)) / 2)
    for number, layer in enumerate(layers):
        torch.testing.assert_close(ours.weights[:, number].T, layer.weight.data, rtol=0, atol=1e-5)
        torch.testing.assert_close(ours.biases[number], layer.bias.data, rtol=0, atol=1e-5)


def test_a_head_that_grows_without_bound_is_told() -> None:
    """Too high a rate makes one head's weights infinite, and leaves its neighbours alone."""
    wild = heads(2, 3, (1e-2, 1e38))
    for _ in range(5):
        wild.step(torch.tensor([[1e3, -1e3]]), torch.tensor([1]), 1.0)
    assert wild.finite() == [True, False]
