"""Draws that depend on named numbers alone, such as seed and step, and not on what was drawn before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def number(words: Sequence[int]) -> int:
    """Return a seed for torch's generators, 63 bits, that stands for these numbers."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_all(words: Sequence[int]) -> None:
    """Set torch's common generators to what stands for these numbers."""
    import torch

    torch.manual_seed(number(words))
