"""AdamW over candidates side by side: each is torch's own."""

from __future__ import annotations

import torch

from ssl_bench.solvers.adamw import AdamW


def test_parity_with_torch() -> None:
    """Over 200 steps every candidate is what torch.optim.AdamW makes of it alone, at its own rate and decay."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, 5, generator=generator)
    rates, decays = torch.tensor([1e-3, 1e-2, 0.1]), torch.tensor([0.0, 0.5, 0.05])
    ours = start.clone().requires_grad_()
    solver = AdamW([ours], [decays], rates, betas=(0.9, 0.95))
    alone = [start[i].clone().requires_grad_() for i in range(3)]
    peers = [
        torch.optim.AdamW([one], lr=float(rates[i]), weight_decay=float(decays[i]), betas=(0.9, 0.95))
        for i, one in enumerate(alone)
    ]
    for _ in range(200):
        gradient = torch.randn(3, 4, 5, generator=generator)
        ours.grad = gradient.clone()
        solver.step(1.0)
        for i, peer in enumerate(peers):
            alone[i].grad = gradient[i].clone()
            peer.step()
    torch.testing.assert_close(ours.detach(), torch.stack(alone).detach(), rtol=0, atol=1e-5)


def test_the_first_step_by_hand() -> None:
    """The first step has the length of the rate, after the decay, whatever the gradient's length."""
    value = torch.tensor([[1.0], [1.0]], requires_grad=True)
    solver = AdamW([value], [torch.tensor([0.0, 0.5])], torch.tensor([0.1, 0.2]), betas=(0.9, 0.999))
    value.grad = torch.tensor([[3.0], [-7.0]])
    solver.step(0.5)
    torch.testing.assert_close(value.detach(), torch.tensor([[1 - 0.05], [1 - 0.1 * 0.5 + 0.1]]))
    assert value.grad is None
