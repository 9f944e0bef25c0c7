"""Episodes: many small classification problems among a few classes of test, each learnt from its own few images.

600 episodes of 5 ways are drawn from the test split with 5 labelled images and 15 queries each, and with 1, as the
few-shot literature has it. Nothing of train or val is looked at. `classifier` is what learns from the labelled images:

    logistic            logistic regression with C = 1 on features of length 1: RFS (WangYueFt/rfs eval/meta_eval.py)
    nearest_centroid    the nearest mean of a way: ProtoNet ("euclidean"), or the most similar one ("cosine")
    ridge               least squares onto ±1 with the penalty l2, on standardised features; see `solvers.ridge`

RFS draws its episodes without a seed; here seeds draw them, the same for every model. It learns from five randomly
cropped copies of each labelled image in its place (n_aug_support_samples): copies=5 does so too, and the default learns
from the image as it is. Their copies are new in every episode and, for images of 84 pixels, padded, cropped and changed
in colour; here an image has the same copies wherever it is drawn, which pass the network once, and they are those of
their transform B: a fifth of the area or more, flipped or not. The interval of the
accuracy is over episodes; what the draw of episodes does beyond that shows between seeds. With two ways the softmax
pays half of what scikit-learn's sigmoid pays for the same weights; see `solvers.logistic`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import episodes
from ssl_bench.episodes import Draw, Episodes
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Episodic
from ssl_bench.protocols import _supports, base
from ssl_bench.solvers import logistic_batch, ridge

MOST_COPIES = 10
"""As many different crops of an image there are."""
NUMBERS = 2**24
"""Features, in numbers, that are gathered at a time: 128 MiB in float64."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A classifier that is learnt anew in every episode."""

    version: ClassVar[int] = 1
    kinds: ClassVar[tuple[str, ...]] = ("classification", "few_shot")
    deterministic: ClassVar[bool] = False
    """The seed draws the episodes."""
    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2)
    metric: ClassVar[str] = "episode_accuracy"

    ways: int = 5
    """Classes of an episode."""
    shots: int = 5
    """Labelled images per way in the headline."""
    also: tuple[int, ...] = (1,)
    """Further numbers of shots; their episodes are draws of their own."""
    queries: int = 15
    """Images per way that are asked."""
    episodes: int = 600
    """How many are drawn."""
    classifier: Literal["logistic", "nearest_centroid", "ridge"] = "logistic"
    """What learns from the labelled images."""
    features: Literal["unit", "raw"] = "unit"
    """"unit" gives every feature vector length 1."""
    distance: Literal["euclidean", "cosine"] = "euclidean"
    """What "nearest_centroid" compares by."""
    c: float = 1.0
    """Of "logistic"."""
    l2: float = 1024.0
    """Of "ridge"."""
    copies: int = dataclasses.field(default=0, metadata=base.LATER)
    """Random crops of each labelled image that are learnt from in its place, 5 in RFS; 0: the image as it is."""

    def __post_init__(self) -> None:
        if self.ways < 2 or min(self.shots, *self.also, self.queries, self.episodes) < 1:
            raise UsageError("episodic: ways must be 2 or more, and shots, also, queries and episodes 1 or more")
        if not (self.c > 0 and self.l2 > 0):
            raise UsageError(f"episodic: c and l2 must be above 0, not {self.c} and {self.l2}")
        if not 0 <= self.copies <= MOST_COPIES:
            raise UsageError(f"episodic: copies must be from 0 to {MOST_COPIES}, not {self.copies}")

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return test, and all its crops that may be asked for: who is labelled only the draw tells."""
        return base.Passes(dict.fromkeys(("", *(f"crop{n}" for n in range(self.copies))), ("test",)))

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise what `predict` raises where test is too small."""
        episodes.members(labels["test"], self._draw(0, self.shots))

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the way of every query at `shots` and, as variants "shots=1" and so on, at every other number that
        the test split is large enough for.

        Raises UsageError if it is too small for `shots`, DataError if a feature of length 0 has no direction.
        """
        features = self._prepared(trial.features("test"))
        headline, support, converged = self._answered(trial, features, self.shots)
        variants, left_out, all_converged = {}, [], [converged]
        for shots in sorted({shots for shots in self.also if shots != self.shots}):
            try:
                variants[f"shots={shots}"], _, converged = self._answered(trial, features, shots)
                all_converged.append(converged)
            except UsageError:
                left_out.append(f"shots={shots}")
        return base.Answer(
            headline,
            variants=variants,
            selected={"support": support, "left_out": left_out},
            converged=all(all_converged) if self.classifier == "logistic" else None,
        )

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the first way for every query, which is right once in as many times as there are ways."""
        how = self._draw(trial.seed, self.shots)
        return base.Answer(Episodic(np.zeros_like(trial.supply.episodes(how).query), how))

    def _draw(self, seed: int, shots: int) -> Draw:
        return Draw(self.ways, shots, self.queries, self.episodes, seed)

    def _prepared(self, features: base.FloatArray) -> NDArray[np.float64]:
        wide = features.astype(np.float64)
        if self.features == "raw":
            return wide
        norms = np.linalg.norm(wide, axis=1, keepdims=True)
        if not norms.all():
            raise DataError(
                f"episodic: {int((norms == 0).sum())} of {len(norms)} features of the test split have length 0 and so "
                "no direction; ask for episodic,features=raw"
            )
        return np.asarray(wide / norms)

    def _answered(self, trial: base.Trial, features: NDArray[np.float64], shots: int) -> tuple[Episodic, str, bool]:
        """Return the predictions, the digest of the supports, and whether every fit converged."""
        how = self._draw(trial.seed, shots)
        drawn = trial.supply.episodes(how)
        digest = _supports.digest(drawn.support.ravel())
        drawn, supports = self._supports(trial, features, drawn)
        at_once = max(1, NUMBERS // ((drawn.support.shape[1] + drawn.query.shape[1]) * features.shape[1]))
        predicted, converged = np.empty_like(drawn.query), True
        for start in range(0, how.episodes, at_once):
            part = slice(start, start + at_once)
            some = Episodes(drawn.support[part], drawn.ways[part], drawn.query[part])
            scores, arrived = self._scores(supports, features, some, trial.device)
            predicted[part] = scores.argmax(axis=2)
            converged &= arrived
        return Episodic(predicted, how), digest, converged

    def _supports(
        self, trial: base.Trial, features: NDArray[np.float64], drawn: Episodes
    ) -> tuple[Episodes, NDArray[np.float64]]:
        """Return the episodes with copies in the supports' place, and the features (rows, dim) that these point to."""
        if not self.copies:
            return drawn, features
        images, place = np.unique(drawn.support, return_inverse=True)
        crops = [trial.features("test", view=f"crop{n}", positions=images) for n in range(self.copies)]
        rows = place.reshape(*drawn.support.shape, 1) + len(images) * np.arange(self.copies)
        support, ways = rows.reshape(len(rows), -1), np.repeat(drawn.ways, self.copies, axis=1)
        return Episodes(support, ways, drawn.query), self._prepared(np.concatenate(crops))

    def _scores(
        self, supports: NDArray[np.float64], features: NDArray[np.float64], some: Episodes, device: str
    ) -> tuple[NDArray[np.float64], bool]:
        """Return a score (episodes, queries, ways) of every way for every query, and whether every fit converged."""
        support, query = supports[some.support], features[some.query]
        if self.classifier == "logistic":
            return logistic(support, some.ways, query, self.ways, self.c, device)
        if self.classifier == "nearest_centroid":
            return centroid(support, query, self.ways, self.distance), True
        fits = (next(ridge.path(x, y, self.ways, [self.l2])) for x, y in zip(support, some.ways, strict=True))
        return np.stack([fit.scores(asked) for fit, asked in zip(fits, query, strict=True)]), True


def logistic(
    support: NDArray[np.float64],
    ways: base.IntArray,
    query: NDArray[np.float64],
    count: int,
    c: float,
    device: str,
) -> tuple[NDArray[np.float64], bool]:
    """Return the logits (episodes, queries, ways) of one logistic regression per episode."""
    import torch

    x, asked = (torch.as_tensor(part, device=device) for part in (support, query))
    fit = logistic_batch.solve(x, torch.as_tensor(np.require(ways, np.int64, "W"), device=device), count, c)
    return fit.scores(asked).cpu().numpy(), bool(fit.converged.all())


def centroid(support: NDArray[np.float64], query: NDArray[np.float64], ways: int, distance: str) -> NDArray[np.float64]:
    """Return how near (episodes, queries, ways) each query is to each way's mean; supports come way by way.

    "euclidean" is −½‖q − m‖² but for a part that all ways share, "cosine" q · m / ‖m‖, and 0 for a mean of length 0.
    """
    means = support.reshape(len(support), ways, -1, support.shape[2]).mean(axis=2)  # (episodes, ways, dim)
    if distance == "cosine":
        norms = np.linalg.norm(means, axis=2, keepdims=True)
        return np.asarray(query @ (means / np.where(norms > 0, norms, 1)).transpose(0, 2, 1))
    return np.asarray(query @ means.transpose(0, 2, 1) - 0.5 * np.square(means).sum(axis=2)[:, None])
