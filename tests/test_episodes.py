"""Few-shot episodes: who is labelled, who is asked, and who knows the answers."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench import episodes, metrics
from ssl_bench.episodes import Draw
from ssl_bench.errors import UsageError
from ssl_bench.predictions import Episodic, Truth

LABELS = np.repeat(np.arange(8), 12)
HOW = Draw(ways=5, shots=2, queries=3, episodes=50, seed=1)


def test_supports_and_queries_are_of_the_same_ways_and_apart() -> None:
    """An episode has as many classes as ways, labels its supports rightly, and asks other samples of those classes."""
    drawn, answers = episodes.draw(LABELS, HOW)
    for support, ways, query, answer in zip(drawn.support, drawn.ways, drawn.query, answers, strict=True):
        classes = LABELS[support].reshape(5, 2)[:, 0]
        assert len(set(classes)) == 5
        assert np.array_equal(classes[ways], LABELS[support])
        assert np.array_equal(classes[answer], LABELS[query])
        assert not set(support) & set(query)
        assert np.array_equal(np.bincount(answer), [3] * 5)


def test_the_order_of_queries_tells_nothing() -> None:
    """Queries are shuffled: a constant answer by place is right about once in as many times as there are ways."""
    _, answers = episodes.draw(LABELS, HOW)
    assert abs((answers == np.repeat(np.arange(5), 3)).mean() - 0.2) < 0.06


def test_a_seed_draws_the_same_episodes_for_every_model() -> None:
    """The draw depends on labels and seed alone."""
    first, again = (episodes.draw(LABELS, HOW)[0] for _ in range(2))
    assert np.array_equal(first.support, again.support)
    other, _ = episodes.draw(LABELS, Draw(5, 2, 3, 50, seed=2))
    assert not np.array_equal(first.support, other.support)


def test_too_few_samples() -> None:
    """Classes too small for the shots and queries are left out, and too few of them are told."""
    with pytest.raises(UsageError, match="8 test samples or more, and there are 1"):
        episodes.draw(np.array([0] * 8 + [1] * 7), Draw(ways=2, shots=5, queries=3, episodes=1, seed=0))


def test_accuracy_is_the_mean_over_episodes() -> None:
    """Episodes answered wholly right and wholly wrong in equal number give one half, with a normal interval."""
    _, answers = episodes.draw(LABELS, HOW)
    predicted = answers.copy()
    predicted[::2] = (predicted[::2] + 1) % 5
    value, n, bounds = metrics.get("episode_accuracy").score(Episodic(predicted, HOW), Truth({"test": LABELS}, 8))
    assert (value, n) == (0.5, 50)
    assert bounds is not None
    half = 1.959964 * np.std([0, 1] * 25, ddof=1) / np.sqrt(50)
    assert bounds[:2] == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)
