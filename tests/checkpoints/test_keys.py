"""Which tensors of a file are taken, and how they are fitted to a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ssl_bench.checkpoints import keys
from ssl_bench.errors import UsageError

ONE, TWO = torch.ones(1), torch.zeros(1)


def test_bare_dictionary_is_itself() -> None:
    """A dictionary of tensors is the state dict, even if a tensor bears the name of a container."""
    assert keys.choose_branch({"a.weight": ONE, "module": TWO}, "f").keys() == {"a.weight", "module"}


def test_single_container_is_found() -> None:
    """One branch with a usual name is taken without being named."""
    assert keys.choose_branch({"epoch": 3, "state_dict": {"a": ONE}}, "f") == {"a": ONE}


def test_two_containers_must_be_told_apart() -> None:
    """Weights and their moving average are never chosen between by guessing."""
    outer = {"model": {"a": ONE}, "model_ema": {"a": TWO}}
    with pytest.raises(UsageError, match=r"model, model_ema.*weights\.container"):
        keys.choose_branch(outer, "f")
    assert keys.choose_branch(outer, "f", "model_ema") == {"a": TWO}


def test_nested_container() -> None:
    """A branch several levels down is named with dots."""
    assert keys.choose_branch({"a": {"b": {"w": ONE}}}, "f", "a.b") == {"w": ONE}
    with pytest.raises(UsageError, match=r"no branch 'a\.c'.*b"):
        keys.choose_branch({"a": {"b": {"w": ONE}}}, "f", "a.c")


def test_prefix_chooses_one_branch() -> None:
    """Of two encoders in one file only the one with the prefix is kept, and only at the start of its keys."""
    state = {"module.encoder_q.a": ONE, "module.encoder_k.a": TWO, "module.encoder_q.module.b": ONE}
    assert keys.strip_prefix(state, ("module.", "encoder_q.")) == {"a": ONE, "module.b": ONE}


def test_absent_prefix_changes_nothing() -> None:
    """A family's prefix that a file does not have is no error."""
    assert keys.strip_prefix({"scaling_module.bias": ONE}, ("module.",)) == {"scaling_module.bias": ONE}


def test_strict_load_names_every_kind_of_misfit() -> None:
    """Missing, unexpected and misshapen keys are each counted and named."""
    network = nn.Linear(2, 3)
    with pytest.raises(UsageError, match=r"1 missing \(bias\); 1 unexpected \(head\); 1 of another shape \(weight is"):
        keys.load_strict(network, {"weight": torch.ones(3, 4), "head": ONE}, "f")


def test_counters_may_be_missing() -> None:
    """Batch norm's step counters, which old files lack, are the only keys that may be missing."""
    network = nn.BatchNorm1d(3)
    state = {key: value + 1 for key, value in network.state_dict().items() if key != "num_batches_tracked"}
    keys.load_strict(network, state, "f")
    assert torch.equal(network.running_mean, torch.ones(3))
