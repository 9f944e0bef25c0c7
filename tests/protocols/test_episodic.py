"""Episodes: the answers of each classifier, against scikit-learn episode by episode, and what cannot be asked."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import ssl_bench
from ssl_bench import datasets, episodes, metrics, protocols, tasks
from ssl_bench.episodes import Draw
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Truth
from ssl_bench.settings import Settings
from ssl_bench.solvers import ridge
from tests import counting
from tests.protocols.conftest import Arrays
from tests.protocols.real_trials import trial_of


@pytest.fixture
def trial(make_trial: Any, digits: Any) -> Any:
    """The digits' test split, 597 images in ten classes."""
    return with_targets(make_trial, digits["test"][0], digits["test"][1])


def with_targets(make_trial: Any, test: Any, targets: Any, seed: int = 0, classes: int = 10) -> Any:
    """Return a trial whose episodes are drawn from these test labels."""
    made = make_trial(([[0.0]], [0]), test, classes=classes, seed=seed)
    made.supply.targets = np.asarray(targets)
    return made


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def accuracy(predictions: Any, targets: Any) -> Any:
    return metrics.get("episode_accuracy").score(predictions, Truth({"test": np.asarray(targets)}, 10))


def parts(how: Draw, features: Any, targets: Any) -> Any:
    """Yield the supports, their ways and the queries of each episode."""
    drawn, _ = episodes.draw(targets, how)
    for support, ways, query in zip(drawn.support, drawn.ways, drawn.query, strict=True):
        yield features[support], ways, features[query]


@pytest.mark.parametrize("shots", [1, 5])
def test_logistic_is_scikit_learn(shots: int, trial: Any, digits: Any) -> None:
    """The recipe of RFS, episode by episode with scikit-learn: every decision is the same."""
    from sklearn.linear_model import LogisticRegression

    found = predict(f"episodic,shots={shots},also={shots},episodes=60", trial)
    test, targets = digits["test"]
    unit = test / np.linalg.norm(test, axis=1, keepdims=True)
    for (x, y, asked), answer in zip(
        parts(found.predictions.draw, unit, targets), found.predictions.predicted, strict=True
    ):
        peer = LogisticRegression(C=1.0, tol=1e-10, max_iter=1000).fit(x, y)
        np.testing.assert_array_equal(peer.predict(asked), answer)
    assert found.converged is True


@pytest.mark.filterwarnings("ignore:self.within_class_std_dev_")
@pytest.mark.parametrize("features", ["unit", "raw"])
def test_centroids_are_scikit_learn(features: str, trial: Any, digits: Any) -> None:
    """Euclidean centroids are scikit-learn's NearestCentroid wherever two are not equally near."""
    from sklearn.neighbors import NearestCentroid

    found = predict(f"episodic,classifier=nearest_centroid,features={features},episodes=60", trial).predictions
    test, targets = digits["test"]
    used = test / np.linalg.norm(test, axis=1, keepdims=True) if features == "unit" else test
    for (x, y, asked), answer in zip(parts(found.draw, used, targets), found.predicted, strict=True):
        np.testing.assert_array_equal(NearestCentroid().fit(x, y).predict(asked), answer)


def test_cosine_centroids_by_one_shot(trial: Any, digits: Any) -> None:
    """With one shot of length 1 the most similar mean is the nearest image, whichever distance is asked for."""
    recipe = "episodic,shots=1,also=1,episodes=60,classifier=nearest_centroid"
    near, similar = predict(recipe, trial), predict(f"{recipe},distance=cosine", trial)
    np.testing.assert_array_equal(near.predictions.predicted, similar.predictions.predicted)


def test_cosine_and_euclidean_by_hand(make_trial: Any) -> None:
    """A query at (3, 0) is nearer to (4, 4) than to (-1, 0), and to (0.1, 0) by direction."""
    from ssl_bench.protocols.episodic import centroid

    support, query = np.array([[[4.0, 4.0], [0.1, 0.0], [-1.0, 0.0]]]), np.array([[[3.5, 1.0]]])
    assert centroid(support, query, 3, "euclidean").argmax() == 0
    assert centroid(support, query, 3, "cosine").argmax() == 1
    np.testing.assert_allclose(centroid(support, query, 3, "cosine")[0, 0, 1:], [3.5, -3.5])


def test_ridge_is_scikit_learn(trial: Any, digits: Any) -> None:
    """Least squares onto ±1 are scikit-learn's Ridge on standardised features, up to the loosely held bias."""
    from sklearn.linear_model import Ridge

    found = predict("episodic,classifier=ridge,features=raw,episodes=60", trial).predictions
    test, targets = digits["test"]
    for (x, y, asked), answer in zip(parts(found.draw, test, targets), found.predicted, strict=True):
        mean, deviation = x.mean(0), x.std(0) + 1e-5
        peer = Ridge(alpha=1024.0).fit((x - mean) / deviation, 2.0 * np.eye(5)[y] - 1)
        np.testing.assert_array_equal(peer.predict((asked - mean) / deviation).argmax(1), answer)


@pytest.mark.parametrize(
    ("classifier", "five", "one"),
    [("logistic", 0.892844, 0.741289), ("nearest_centroid", 0.892911, 0.747578), ("ridge", 0.870844, 0.668933)],
)
def test_golden(classifier: str, five: float, one: float, trial: Any, digits: Any) -> None:
    """Raw digits, 600 episodes of seed 0, five shots and one: on these episodes RFS's meta_eval.py gives .892978 and
    .741378 by logistic regression fitted to 1e-4, and .892911 and .747578 by centroids."""
    answer = predict(f"episodic,classifier={classifier}", trial)
    value, n, bounds = accuracy(answer.predictions, digits["test"][1])
    assert n == 600
    assert bounds is not None
    assert 0.005 < bounds[1] - bounds[0] < 0.02
    assert value == pytest.approx(five, abs=3e-5)
    assert accuracy(answer.variants["shots=1"], digits["test"][1])[0] == pytest.approx(one, abs=3e-5)


def test_parts_of_the_episodes_are_answered_alike(trial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many episodes are taken at a time changes no answer."""
    whole = predict("episodic,episodes=50", trial).predictions.predicted
    monkeypatch.setattr("ssl_bench.protocols.episodic.NUMBERS", 64 * 100 * 7)
    np.testing.assert_array_equal(whole, predict("episodic,episodes=50", trial).predictions.predicted)


def test_the_draw_is_the_same_for_every_model(trial: Any, make_trial: Any, digits: Any) -> None:
    """The supports hang on labels and seed alone."""
    _, targets = digits["test"]
    first = predict("episodic,episodes=20", trial).selected["support"]
    noise = np.random.default_rng(0).random((len(targets), 3))
    assert predict("episodic,episodes=20", with_targets(make_trial, noise, targets)).selected["support"] == first
    other = with_targets(make_trial, noise, targets, seed=1)
    assert predict("episodic,episodes=20", other).selected["support"] != first


def test_who_says_nothing_is_right_by_chance(trial: Any, digits: Any) -> None:
    """A backbone that says nothing of its images is right once in as many times as there are ways, exactly."""
    answer = protocols.get("episodic").answer(dataclasses.replace(trial, informative=False))
    assert accuracy(answer.predictions, digits["test"][1])[0] == pytest.approx(0.2)


def test_refusals(make_trial: Any, digits: Any) -> None:
    """Too few classes, a feature without a direction and a feature that is no number are errors; a number of shots that
    test is too small for is left out, and told."""
    test, targets = digits["test"]
    with pytest.raises(UsageError, match="need 5 classes of 20 test samples or more, and there are 2"):
        predict("episodic", with_targets(make_trial, test[targets < 2], targets[targets < 2]))
    found = predict("episodic,episodes=10,also=1+500", with_targets(make_trial, test, targets))
    assert (set(found.variants), found.selected["left_out"]) == ({"shots=1"}, ["shots=500"])
    zero = test.copy()
    zero[4] = 0
    with pytest.raises(DataError, match="1 of 597 features of the test split have length 0"):
        predict("episodic,episodes=10", with_targets(make_trial, zero, targets))
    assert predict("episodic,episodes=10,features=raw", with_targets(make_trial, zero, targets)).converged
    zero[4] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        predict("episodic,episodes=10", with_targets(make_trial, zero, targets))


@pytest.mark.parametrize("text", ["ways=1", "shots=0", "also=0", "queries=0", "episodes=0", "c=0", "l2=0"])
def test_bad_recipes(text: str) -> None:
    """Numbers with which there is nothing to ask are refused."""
    with pytest.raises(UsageError, match=r"^episodic: "):
        protocols.get(f"episodic,{text}")


class Crops(Arrays):
    """Digits of 8x8 pixels, of which crop n is the image moved n + 1 pixels to the right; and who was asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.asked: list[tuple[str, int]] = []

    def some(self, split: str, pooling: str, view: str, positions: Any) -> Any:
        self.asked.append((view, len(positions)))
        images = self.arrays[split][positions].reshape(-1, 8, 8)
        return np.roll(images, int(view.removeprefix("crop")) + 1, axis=2).reshape(-1, 64)


@pytest.mark.parametrize("classifier", ["logistic", "nearest_centroid", "ridge"])
def test_copies_of_supports(classifier: str, trial: Any, digits: Any) -> None:
    """With copies=5 a classifier learns from five crops of each labelled image and not from itself, as in RFS: the
    answers are scikit-learn's, or ridge's, on the tiled supports; each crop of each image is asked for once."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid

    test, targets = digits["test"]
    crops = Crops(trial.supply.arrays, np.asarray(targets))
    trial = dataclasses.replace(trial, supply=crops)
    found = predict(f"episodic,shots=5,also=5,episodes=20,copies=5,classifier={classifier}", trial)
    drawn, _ = episodes.draw(targets, found.predictions.draw)
    distinct = len(np.unique(drawn.support))
    assert crops.asked == [(f"crop{n}", distinct) for n in range(5)]
    unit = test / np.linalg.norm(test, axis=1, keepdims=True)
    for support, ways, query, answer in zip(
        drawn.support, drawn.ways, drawn.query, found.predictions.predicted, strict=True
    ):
        x = np.concatenate([np.roll(unit[support].reshape(-1, 8, 8), n + 1, 2).reshape(-1, 64) for n in range(5)])
        if classifier == "ridge":
            fit = next(ridge.path(x, np.tile(ways, 5), 5, [1024.0]))
            np.testing.assert_array_equal(fit.scores(unit[query]).argmax(axis=1), answer)
            continue
        peer = NearestCentroid() if classifier == "nearest_centroid" else LogisticRegression(tol=1e-10, max_iter=1000)
        np.testing.assert_array_equal(peer.fit(x, np.tile(ways, 5)).predict(unit[query]), answer)


def test_a_recipe_without_copies_is_what_it_was() -> None:
    """The field that came later enters a recipe where it says something new, and no other."""
    assert "copies" not in protocols.recipe(protocols.get("episodic"))
    assert protocols.recipe(protocols.get("episodic,copies=5"))["copies"] == 5
    with pytest.raises(UsageError, match="copies must be from 0 to 10"):
        protocols.get("episodic,copies=11")


def test_crops_are_made_once(own_settings: Settings) -> None:
    """Crops of supports alone pass the network, once each; a second run and more episodes take them from the cache."""
    flags = {key: getattr(own_settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    recipe = "episodic,ways=3,shots=1,also=1,queries=5,copies=2,episodes"
    model = "module:tests.counting:network,size=8,channels=grey,mean=[0.0],std=[1.0]"

    def passed(text: str, seed: int) -> int:
        counting.seen = 0
        outcome = ssl_bench.run(model, tasks=["digits"], protocols=[text], seeds=[seed], **flags)
        assert not outcome.failures
        return counting.seen

    drawn = episodes.draw(digits_of_test(own_settings), Draw(3, 1, 5, 4, 0))[0]
    assert passed(f"{recipe}=4", 0) == 360 + 2 * len(np.unique(drawn.support))
    assert passed(f"{recipe}=4,c=2", 0) == 0


def digits_of_test(settings: Settings) -> np.ndarray:
    return datasets.load(tasks.get("digits"), settings.data)["test"].labels


def test_a_crop_depends_on_its_number_and_the_image_alone(own_settings: Settings) -> None:
    """An image's crop is the same whatever other images are asked for, and another for another number."""
    trial = trial_of(own_settings)
    whole = trial.features("test", view="crop0")
    fresh = trial_of(dataclasses.replace(own_settings, cache=own_settings.cache / "other"))
    np.testing.assert_array_equal(fresh.features("test", view="crop0", positions=np.array([40, 7])), whole[[40, 7]])
    assert (trial.features("test", view="crop1") != whole).any(axis=1).mean() > 0.9
    with pytest.raises(UsageError, match="no view is called 'crop10'"):
        trial.features("test", view="crop10")
