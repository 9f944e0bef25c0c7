"""Ctrl-C: once it is a wish, twice an order, and neither loses a batch that has passed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from ssl_bench import interrupts
from ssl_bench.backbones.base import Features
from ssl_bench.features import FeatureStore
from ssl_bench.loading import Work
from tests.test_features import Counting, extract


def test_once_is_a_wish_and_twice_an_order() -> None:
    """The first Ctrl-C is told and asked about, the second interrupts; afterwards Ctrl-C is what it was."""
    said: list[str] = []
    calls: list[int] = []
    usual = signal.getsignal(signal.SIGINT)
    with interrupts.gently(said.append, lambda: calls.append(1)):
        interrupts.check()
        os.kill(os.getpid(), signal.SIGINT)
        assert (interrupts.asked(), len(said), calls) == (True, 1, [1])
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is usual
    assert not interrupts.asked()


class Interrupting(Counting):
    """Interrupts its own process in the second batch, as a user would."""

    def forward(self, images: torch.Tensor, pooling: str) -> Features:
        found = super().forward(images, pooling)
        if self.seen == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return found


def test_an_extraction_ends_with_its_batch(tmp_path: Path) -> None:
    """Interrupted within a batch, an extraction ends when that has passed, and what is run again does the rest."""
    small = Work(batch_size=10, workers=0)
    first, second = Interrupting(), Counting()
    with pytest.raises(KeyboardInterrupt), interrupts.gently(lambda _: None):
        extract(FeatureStore(tmp_path), first, slice(0, 60), small)
    assert first.seen == 20
    extract(FeatureStore(tmp_path), second, slice(0, 60), small)
    assert second.seen == 40
