"""Without labels: how well features tell by how much an image was turned, and how evenly they fill their dimensions.

Every train image is seen upright and turned by 90, 180 and 270 degrees; logistic regression on the frozen features
learns which of the four it was, and its accuracy on the turned test images is the headline. Reed et al. (SelfAugment,
CVPR 2021) report a rank correlation above 0.94 with supervised evaluations. Its penalty is chosen on held-out images,
all four views of which are held out together.

Beside it stand RankMe, the effective rank and α-ReQ's exponent of train's upright features (see `solvers.spectrum`).
They tell collapse, not quality: RankMe compares checkpoints of one architecture, and α is best near 1.

The catch: where images look alike when turned (textures, satellites, cells, a coin), the accuracy says little of the
features, and where the camera was always upright a gradient of light gives the answer away.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Quantities
from ssl_bench.protocols import _logistic, base
from ssl_bench.solvers import logistic, spectrum

VIEWS = ("", "rot90", "rot180", "rot270")
"""By quarter turns."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A linear probe for rotations, and the spectrum of the features."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the held-out images, and the images of a train that is larger than the recipe's numbers."""
    metric: ClassVar[str] = "rotation_accuracy"
    kinds: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "unlabelled")

    turned: int = 10_000
    """Train images that teach the probe at most, each seen four times."""
    c_low: float = -6.0
    """log10 of the strongest penalty's C."""
    c_high: float = 2.0
    """log10 of the weakest penalty's C."""
    patience: int = 3
    """Weaker penalties are left out once this many in a row were worse than the best: they take the longest."""
    c_steps: int = 9
    """Candidates, evenly spaced in log C; 1 fixes C at 10^c_low."""
    holdout: float = 0.1
    """Fraction of the train images on which C is chosen."""
    spread: int = 25_600
    """Train images whose spectrum is taken at most, RankMe's number."""
    alpha_first: int = 4
    """First rank of the eigenvalues to which α's power law is fitted."""
    alpha_last: int = 100
    """Last rank of them; the last there is where the features have fewer dimensions."""

    def __post_init__(self) -> None:
        if min(self.turned, self.spread) < 2:
            raise UsageError("label_free: turned and spread must be 2 or more")
        if self.c_steps < 1 or self.c_high < self.c_low or not 0 < self.holdout < 1:
            raise UsageError("label_free: c_steps must be 1 or more, c_high no less than c_low, 0 < holdout < 1")
        if self.patience < 1:
            raise UsageError(f"label_free: patience must be 1 or more, not {self.patience}")
        if not 0 < self.alpha_first < self.alpha_last:
            raise UsageError("label_free: alpha_first must be 1 or more and below alpha_last")

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return train and test in all four views."""
        return base.Passes(dict.fromkeys(VIEWS, ("train", "test")))

    def seed_matters(self, sizes: Mapping[str, int]) -> bool:
        """Return whether images are held out to choose C on, or left out of a train that is too large."""
        return self.c_steps > 1 or sizes["train"] > min(self.turned, self.spread)

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise DataError for fewer than two train images."""
        _drawn(len(labels["train"]), self.turned, 0)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the quantities; α is left out where the features vary in too few dimensions for a slope.

        Raises DataError where the features are the same for every image, and for fewer than two train images.
        """
        chosen = _drawn(trial.sizes["train"], self.spread, trial.seed)
        features = trial.features("train")[chosen]
        variances = spectrum.variances(features, trial.device)
        singular = spectrum.singular_values(features, trial.device)
        values = {"rankme": spectrum.rankme(singular), "effective_rank": spectrum.effective_rank(variances)}
        alpha = spectrum.alpha(variances, self.alpha_first, self.alpha_last)
        if alpha is not None:
            values["alpha_req"] = alpha
        fit, curve, predicted = self.rotations(trial)
        basis = {f"turn_{90 * turn}": predicted[turn].astype(np.float64) for turn in range(4)}
        return base.Answer(
            _quantities(values, basis | {"singular_value": singular, "variance": variances}),
            selected={"c": fit.c, "objective": fit.objective, "iterations": fit.iterations, "images": len(chosen)},
            curve=curve,
            converged=fit.converged,
            at_grid_edge=_best(curve) in (0, self.c_steps - 1) if curve else None,
        )

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return that nothing was turned, and no spectrum."""
        upright = np.zeros(trial.sizes["test"])
        return base.Answer(_quantities({}, {f"turn_{90 * turn}": upright for turn in range(4)}))

    def rotations(self, trial: base.Trial) -> tuple[logistic.Solution, tuple[dict[str, Any], ...], NDArray[np.int64]]:
        """Return the probe, its validation curve, and the quarter turns (4, test images) that it sees in each view."""
        chosen = _drawn(trial.sizes["train"], self.turned, trial.seed)
        train = np.stack([trial.features("train", view=view)[chosen] for view in VIEWS])
        grid = 10 ** np.linspace(self.c_low, self.c_high, self.c_steps)
        curve = self.curve(train, grid, trial) if len(grid) > 1 else ()
        best = _best(curve) if curve else 0
        probe = _Probe(train)
        (fit,) = probe.path(grid[[best]], trial.device)
        return fit, curve, np.stack([probe.turns(fit, trial.features("test", view=view)) for view in VIEWS])

    def curve(self, train: NDArray[Any], grid: NDArray[np.float64], trial: base.Trial) -> tuple[dict[str, Any], ...]:
        """Return one row per C: the accuracy on held-out images, of a probe that never saw them."""
        order = np.random.default_rng(trial.seed).permutation(train.shape[1])
        held = max(1, round(self.holdout * len(order)))
        probe, val = _Probe(train[:, order[held:]]), train[:, order[:held]]
        rows = []
        for fit in probe.path(grid, trial.device):
            right = [(probe.turns(fit, view) == turn).mean() for turn, view in enumerate(val)]
            rows.append({"c": fit.c, "val_accuracy": float(np.mean(right)), "converged": fit.converged})
            recent = [row["val_accuracy"] for row in rows[-self.patience :]]
            if max(recent) < rows[_best(rows)]["val_accuracy"]:
                break
        return tuple(rows)


def _best(curve: Sequence[Mapping[str, Any]]) -> int:
    """Return the row with the best accuracy, of equal ones the first: the strongest penalty."""
    return int(np.argmax([row["val_accuracy"] for row in curve]))


def _quantities(values: dict[str, float], basis: dict[str, NDArray[np.float64]]) -> Quantities:
    right = [(basis[f"turn_{90 * turn}"] == turn).mean() for turn in range(4)]
    return Quantities({"rotation_accuracy": float(np.mean(right)), **values}, basis)


def _drawn(size: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the positions of at most `most` of `size` images, sorted; raise DataError for fewer than two."""
    if size < 2:
        raise DataError(f"label_free needs two train images at least; there is {size}")
    if size <= most:
        return np.arange(size)
    drawn: NDArray[np.int64] = np.sort(np.random.default_rng(seed).permutation(size)[:most])
    return drawn


class _Probe(_logistic.Model):
    """Views (4, images, dim) as a problem of four classes, standardised by the samples that are fitted."""

    def __init__(self, views: NDArray[Any]) -> None:
        super().__init__(views.reshape(-1, views.shape[-1]), np.repeat(np.arange(4), views.shape[1]), standardise=True)

    def turns(self, fit: logistic.Solution, features: NDArray[Any]) -> NDArray[np.int64]:
        """Return the quarter turns (images,) of features (images, dim)."""
        found: NDArray[np.int64] = self.scores(fit, features, 4).argmax(axis=1)
        return found
