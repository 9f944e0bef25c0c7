"""MAE's linear probing: schedule, normalisation, both kinds of features, paper's variant, degenerate data, a run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import protocols, run
from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols import _heads
from ssl_bench.protocols.linear_mae import NormalisedHead, Protocol
from ssl_bench.settings import Settings
from ssl_bench.solvers.lars import Lars
from tests.protocols.real_trials import PIXELS, trial_of

SHORT = "linear_mae,crops=cached,epochs=30,warmup=3,batch=100,base_rate=16"


def test_the_schedule_by_hand() -> None:
    """The rate starts at 0, is whole after the warm-up, half of it midway, and nearly 0 at the end."""
    recipe = Protocol()
    assert [recipe.share(epoch) for epoch in (0, 5, 10, 50)] == [0, 0.5, 1, pytest.approx(0.5)]
    assert recipe.share(90) == pytest.approx(0, abs=1e-12)
    assert Protocol(warmup=0).share(0) == 1


def test_a_step_by_hand() -> None:
    """Features 0 and 2 are normalised to ∓1; the running variance takes a tenth of their unbiased one, 2."""
    weights, biases = torch.tensor([[0.5, -0.5]]), torch.zeros(2)
    head = NormalisedHead(weights, biases, Lars((weights, biases), momentum=0.0))
    head.step(torch.tensor([[0.0], [2.0]]), torch.tensor([1, 0]), 1.0)
    assert (head.mean.item(), head.variance.item()) == (pytest.approx(0.1), pytest.approx(0.9 + 0.2))
    slope = 1 / (1 + math.e)  # of the wrong class, for both samples: the gradient of W is (−slope, slope)
    ratio = 0.001 * math.sqrt(0.5) / (slope * math.sqrt(2))
    assert weights[0].tolist() == pytest.approx([0.5 + ratio * slope, -0.5 - ratio * slope], rel=1e-4)
    assert biases.tolist() == pytest.approx([0, 0], abs=1e-6)
    said = head.logits(torch.tensor([[0.1]]))
    assert said.ravel().tolist() == pytest.approx([0, 0], abs=1e-5)


def test_parity_with_layers_of_torch(digits: Any) -> None:
    """After 200 steps weights and running statistics are those of nn.BatchNorm1d, nn.Linear and autograd."""
    x, y = (torch.tensor(part) for part in digits["train"])
    x = x.float()
    draw = torch.randn(64, 10, generator=torch.Generator().manual_seed(0)) * 0.01
    weights, biases = draw.clone(), torch.zeros(10)
    ours = NormalisedHead(weights, biases, Lars((weights, biases)))
    layer = torch.nn.Linear(64, 10)
    layer.weight.data.copy_(draw.T)
    layer.bias.data.zero_()
    norm = torch.nn.BatchNorm1d(64, affine=False, eps=1e-6)
    solver = Lars((layer.weight.data, layer.bias.data))
    order = np.random.default_rng(0)
    for step in range(200):
        rows = order.integers(0, len(y), 128)
        ours.step(x[rows], y[rows], 6.4 * step / 200)
        layer.zero_grad()
        torch.nn.functional.cross_entropy(layer(norm(x[rows])), y[rows]).backward()
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        solver.step((layer.weight.grad, layer.bias.grad), 6.4 * step / 200)
    torch.testing.assert_close(weights.T, layer.weight.data, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.mean, norm.running_mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.variance, norm.running_var, rtol=1e-5, atol=1e-5)
    norm.eval()
    torch.testing.assert_close(ours.logits(x)[:, 0], layer(norm(x)).detach(), rtol=1e-4, atol=1e-4)


def test_golden(make_trial: Any, digits: Any) -> None:
    """Raw digits, cached, 30 epochs of batches of 100: right answers of 597 up to rounding."""
    answer = protocols.get(SHORT).predict(make_trial(digits["train"], digits["test"][0]))
    right = int((answer.predictions.ranked[:, 0] == digits["test"][1]).sum())
    assert right == pytest.approx(GOLDEN, abs=2)
    assert answer.selected == {"rate": 6.25}


GOLDEN = 544


def test_a_train_smaller_than_the_batch_is_refused(make_trial: Any, digits: Any) -> None:
    """The published batch and rate say nothing of a thousand images, and the line says what would."""
    with pytest.raises(UsageError, match="train holds 1000 images, fewer than one batch of 16384"):
        protocols.get("linear_mae,crops=cached").predict(make_trial(digits["train"], digits["test"][0]))


def test_epochs_are_whole_batches_of_distinct_samples() -> None:
    """Within an epoch no sample comes twice, and what does not fill a batch is left out."""
    order = list(_heads.epochs(10, 4, 3, seed=0))
    assert [len(set(row)) for row in order] == [8, 8, 8]
    assert order[0].tolist() != order[1].tolist()


def test_crops_and_cached_are_two_recipes(own_settings: Settings) -> None:
    """Both learn, from other features; the recipe tells them apart."""
    trial = trial_of(own_settings, limit=300)
    said = [
        protocols.get(f"linear_mae,crops={crops},epochs=4,warmup=1,batch=100").predict(trial)
        for crops in ("augmented", "cached")
    ]
    assert not np.array_equal(said[0].predictions.confidence, said[1].predictions.confidence)  # type: ignore[attr-defined]


def test_the_papers_variant_gives_every_epoch(own_settings: Settings) -> None:
    """One candidate per epoch; the last is what strict reports."""
    trial = trial_of(own_settings)
    paper = protocols.get(SHORT + ",variant=paper").predict(trial)
    strict = protocols.get(SHORT).predict(trial)
    assert list(paper.candidates) == [f"epoch={epoch}" for epoch in range(1, 31)]
    np.testing.assert_array_equal(paper.candidates["epoch=30"].ranked, strict.predictions.ranked)  # type: ignore[attr-defined]
    assert not strict.candidates


def test_nothing_to_learn(make_trial: Any, digits: Any) -> None:
    """One class alone, crops without a network, and weights without bound are a line each."""
    with pytest.raises(DataError, match="needs two classes"):
        protocols.get(SHORT).predict(make_trial(([[0], [1]], [2, 2]), [[1]]))
    with pytest.raises(UsageError, match="came without one"):
        protocols.get("linear_mae,batch=100").predict(make_trial(digits["train"], digits["test"][0]))
    with pytest.raises(DataError, match="grew without bound"):
        protocols.get(SHORT + ",base_rate=1e38").predict(make_trial(digits["train"], digits["test"][0]))


@pytest.mark.parametrize("field", ["epochs=0", "batch=1", "warmup=90", "base_rate=0", "trust=0", "momentum=1"])
def test_mistakes(field: str) -> None:
    """A recipe that cannot be followed is refused before anything is computed."""
    with pytest.raises(UsageError, match="linear_mae: "):
        protocols.get(f"linear_mae,{field}")


def test_a_whole_run(own_settings: Settings) -> None:
    """Names to records: the best epoch on test is never below the last."""
    flags = {key: getattr(own_settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    outcome = run(PIXELS, task=["digits"], protocol=[SHORT, SHORT + ",variant=paper"], **flags)
    assert not outcome.failures
    strict, paper = outcome.written
    assert paper.headline.value >= strict.headline.value
    assert paper.protocol.selected["selected_on"] == "the report set"
