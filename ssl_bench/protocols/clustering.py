"""Clustering: k-means on the features, with as many clusters as there are classes, and no label looked at.

    minimise  Σ_i min_c ‖x_i − μ_c‖²           k = classes, the best of `restarts` k-means++ starts

By default the test images themselves are clustered, as in clustering benchmarks (MTEB clusters its test sets); with
fit=train the centres come from train and test images take the nearest. Features are brought to length 1 first, so that
directions count and not lengths; one that is the zero vector stays so. Clusters bear no names: the headline matches
them to classes one to one, as favourably as can be (the "ACC" of DEC, Xie et al., ICML 2016), and so exceeds
1 / classes even for random groups.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.predictions import Clusters
from ssl_bench.protocols import base
from ssl_bench.solvers import kmeans


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """k-means, seeded."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the starts."""
    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2)
    metric: ClassVar[str] = "hungarian_accuracy"

    k: int = 0
    """Clusters; 0 means as many as there are classes."""
    fit: Literal["test", "train"] = "test"
    """The split whose images make the clusters."""
    normalise: bool = True
    """True brings every feature to length 1."""
    restarts: int = 10
    """Starts, of which the one with the least inertia counts."""
    iterations: int = 300
    """Lloyd steps at most per start."""

    def __post_init__(self) -> None:
        if self.k < 0 or self.restarts < 1 or self.iterations < 1:
            raise UsageError("clustering: k must be 0 or more, restarts and iterations 1 or more")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the cluster of every test image.

        Raises UsageError if there are more clusters than images to make them, DataError where too few features differ.
        """
        k = self.k or trial.classes
        found = kmeans.fit(
            self._ready(trial.features(self.fit)),
            k,
            restarts=self.restarts,
            iterations=self.iterations,
            seed=trial.seed,
            device=trial.device,
        )
        assigned = found.assigned
        if self.fit != "test":
            assigned = kmeans.assign(self._ready(trial.features("test")), found.centres, trial.device)
        return base.Answer(
            Clusters(assigned),
            selected={"k": k, "inertia": found.inertia, "iterations": found.iterations},
            converged=found.converged,
        )

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return one cluster of everything."""
        return base.Answer(Clusters(np.zeros(trial.sizes["test"], dtype=np.int64)))

    def _ready(self, features: NDArray[Any]) -> NDArray[np.float64]:
        exact = features.astype(np.float64)
        if not self.normalise:
            return exact
        lengths = np.linalg.norm(exact, axis=1, keepdims=True)
        ready: NDArray[np.float64] = exact / np.where(lengths > 0, lengths, 1.0)
        return ready
