"""The loop: a batch is a batch however it is cut, and what is asked for is done."""

from __future__ import annotations

import torch

from ssl_bench.training import train
from tests.training import small


def test_training_lowers_the_loss_and_tells_its_history() -> None:
    """A network learns what is in the images; the history has a loss and a rate per step, and advance hears of each."""
    network, heard = small.network(), []
    history = train(
        network, small.groups(network), small.batches(12), small.settings(steps=60), seed=0, advance=heard.append
    )
    assert sum(history.losses[-5:]) < 0.6 * sum(history.losses[:5])
    assert len(history.rates) == len(history.losses) == sum(heard) == 60
    assert not network.training
    assert torch.isfinite(network.head.weight).all()
