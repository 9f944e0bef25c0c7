"""Many small logistic regressions at once: the optima of the solver of one, and of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from ssl_bench.solvers import logistic, logistic_batch


def problems(ways: int, shots: int, count: int = 20, unit: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return features (problems, samples, dim) and labels (problems, samples) of digits drawn way by way."""
    x, y = load_digits(return_X_y=True)
    x = x / np.linalg.norm(x, axis=1, keepdims=True) if unit else x
    generator = np.random.default_rng(0)
    chosen = [
        [generator.choice(np.flatnonzero(y == way), shots, replace=False) for way in generator.permutation(10)[:ways]]
        for _ in range(count)
    ]
    return x[np.array(chosen).reshape(count, -1)], np.tile(np.repeat(np.arange(ways), shots), (count, 1))


@pytest.mark.parametrize(("ways", "shots"), [(2, 1), (5, 1), (5, 5), (10, 20)])
@pytest.mark.parametrize(("c", "unit"), [(1.0, True), (1.0, False), (1e-3, False), (1e3, True)])
def test_the_optimum_of_one(ways: int, shots: int, c: float, unit: bool) -> None:
    """With fewer samples than features or more, each problem's objective is that of the solver of one, to 1e-8."""
    x, y = problems(ways, shots, count=4, unit=unit)
    found = logistic_batch.solve(torch.as_tensor(x), torch.as_tensor(y), ways, c)
    assert bool(found.converged.all())
    for place in range(len(x)):
        single = next(logistic.path(x[place], y[place], [c]))
        assert float(found.objective[place]) == pytest.approx(single.objective, rel=2e-8)


def test_the_optimum_of_scikit_learn() -> None:
    """Logits are scikit-learn's, fitted to 1e-10, to 1e-5."""
    from sklearn.linear_model import LogisticRegression

    x, y = problems(5, 5)
    found = logistic_batch.solve(torch.as_tensor(x), torch.as_tensor(y), 5, 1.0).scores(torch.as_tensor(x)).numpy()
    for place in range(len(x)):
        peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x[place], y[place])
        logits = peer.decision_function(x[place])
        np.testing.assert_allclose(found[place], logits - logits.mean(1, keepdims=True), atol=1e-5)


def test_problems_do_not_know_each_other() -> None:
    """A problem's optimum is the same alone as among others, hard ones included."""
    x, y = (torch.as_tensor(part) for part in problems(5, 5))
    x[3] *= 1000
    together = logistic_batch.solve(x, y, 5, 1.0)
    alone = logistic_batch.solve(x[7:8], y[7:8], 5, 1.0)
    torch.testing.assert_close(together.weights[7:8], alone.weights, rtol=1e-6, atol=1e-6)


def test_equal_samples() -> None:
    """Samples that are all the same leave nothing to learn but the frequencies of the classes."""
    labels = torch.tensor([[0, 0, 1, 2]])
    found = logistic_batch.solve(torch.ones(1, 4, 8, dtype=torch.float64), labels, 3, 1.0)
    shares = found.scores(torch.ones(1, 1, 8, dtype=torch.float64)).softmax(2)
    assert shares.ravel().tolist() == pytest.approx([0.5, 0.25, 0.25], abs=1e-6)
