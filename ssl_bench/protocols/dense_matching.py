"""Dense matching: where in one image the landmarks of another are, by the likeness of the maps alone.

Every image is squashed to a square and passes the network once. A landmark's feature is read off the first image's map,
bilinearly between the middles of its cells, and its place in the second image is the middle of the cell whose feature
has the greatest cosine with it. Nothing is trained. So asks probe3d (El Banani et al., CVPR 2024: SPair at 800 pixels,
last layer), with two differences: images are squashed, not padded to a square, and places are the middles of cells,
where probe3d takes their upper left corners. No recall is higher than `pck_10_ceiling`, which the map's cells allow.

The maps are kept as features are: about 2 GB for ViT-B/14 at 518 pixels and SPair's 1,800 test images.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.predictions.landmarks import LandmarkPlaces
from ssl_bench.protocols import base

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """The likest place."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("correspondence",)
    reads: ClassVar[tuple[str, ...]] = ("test",)

    size: int = 512
    """Pixels of the square that images are squashed to, or the nearest multiple of the map's stride."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"dense_matching: size must be above 0, not {self.size}")

    def passes(self, sizes: dict[str, int]) -> base.Passes:  # type: ignore[override]
        return base.Passes({"dense": ("test",)})

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a place in the second image for every landmark of the first, pair by pair."""
        import torch

        from ssl_bench.backbones import dense

        if trial.backbone is None:
            raise UsageError("dense_matching needs a model with a network")
        step = dense.stride(trial.backbone)
        side = max(1, round(self.size / step)) * step
        maps, asked = trial.dense("test", (side, side)), trial.supply.pairs()
        places: list[NDArray[np.float64]] = []
        first, held = -1, torch.empty(0)
        for one, other, marks in zip(asked.first.tolist(), asked.second.tolist(), asked.places, strict=True):
            if one != first:
                first, held = one, _map(maps[np.array([one])], trial.device)
            places.append(likest(held, _map(maps[np.array([other])], trial.device), marks))
        grid = (held.shape[1], held.shape[2])
        return base.Answer(
            LandmarkPlaces(places, grid), selected={"pairs": len(places), "side": side, "grid": list(grid)}
        )

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the middle of the second image for every landmark."""
        return base.Answer(LandmarkPlaces([np.full(marks.shape, 0.5) for marks in trial.supply.pairs().places]))


def likest(first: Tensor, second: Tensor, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where in the second of two maps (dim, rows, columns) is what lies at `places` (landmarks, 2) in the first.

    Places are x and y as shares of the image's sides; of equally like cells the first, row by row, is taken.
    """
    import torch
    from torch.nn import functional

    points = torch.from_numpy(places).to(first)[None, None] * 2 - 1
    sought = functional.grid_sample(first[None], points, padding_mode="border", align_corners=False)[0, :, 0]
    rows, columns = second.shape[1:]
    bank = functional.normalize(second.flatten(1), dim=0)
    found = (functional.normalize(sought, dim=0).T @ bank).argmax(dim=1)
    cells = torch.stack([found % columns, found // columns], dim=1).cpu().numpy()
    middles: NDArray[np.float64] = (cells + 0.5) / np.array([columns, rows])
    return middles


def _map(rows: NDArray[np.float16], device: str) -> Tensor:
    """Return the one map (dim, rows, columns) in float32 on the device."""
    import torch

    return torch.from_numpy(rows[0].astype(np.float32)).to(device)
