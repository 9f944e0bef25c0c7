"""The MATLAB files of NYU's labelled part, with axes in MATLAB's order, and an array of normals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_bench.datasets import surfaces
from ssl_bench.targets import Directions, Distances
from tests.datasets.replicas import Truth
from tests.datasets.replicas.depth_lists import EIGEN, NYU_SHOWN, WHOLE, scene

CARDS = ("nyu_labelled_depth", "nyu_normals")
NEEDS = "h5py"


def normals(number: int) -> np.ndarray:
    """Return directions (height, width, 3) of length 1."""
    found = np.ones((480, 640, 3)) * [0.1 * number, -0.2, -1]
    return found / np.linalg.norm(found, axis=2, keepdims=True)


def build(place: Path, card: str) -> Truth:
    """Write five images, of which the second and the fourth are test."""
    import h5py
    from scipy import io

    folder = place / "nyu_labelled"
    folder.mkdir()
    scenes = [scene("nyu", number) for number in range(5)]
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.stack([picture.transpose(2, 1, 0) for picture, _ in scenes])
        file["rawDepths"] = np.stack([metres.T for _, metres in scenes]).astype(np.float32)
        file["depths"] = np.stack([np.maximum(metres, 0.25).T for _, metres in scenes]).astype(np.float32)
    rows = {"trainNdxs": np.array([[1], [3], [5]]), "testNdxs": np.array([[2], [4]])}
    io.savemat(folder / "splits.mat", rows)
    if card == "nyu_normals":
        np.save(folder / "all_normals.npy", np.stack([normals(number) for number in range(5)]).astype(np.float32))

    def target(number: int, split: str) -> Distances | Directions:
        metres = scenes[number - 1][1].astype(np.float32)
        if card == "nyu_normals":
            return Directions(surfaces.normals(normals(number - 1).astype(np.float32), "it") * (metres > 0)[..., None])
        counts = (WHOLE, EIGEN, 10.0) if split == "test" else (NYU_SHOWN, None, 0.0)
        return filled(metres, *counts)

    shown = NYU_SHOWN if card == "nyu_labelled_depth" else WHOLE
    return {
        "train": {f"{n:04d}": (target(n, "train"), scenes[n - 1][0][shown]) for n in (1, 3, 5)},
        "test": {f"{n:04d}": (target(n, "test"), scenes[n - 1][0]) for n in (2, 4)},
    }


def filled(
    metres: np.ndarray, shown: tuple[slice, slice], counted: tuple[slice, slice] | None, below: float
) -> Distances:
    """Return the distances of a shown part, filled in, of which `counted` and those nearer than `below`."""
    whole = np.maximum(metres, np.float32(0.25))[shown]
    found, part = np.zeros_like(whole), counted or WHOLE
    found[part] = np.where(whole[part] < below, whole[part], 0) if below else whole[part]
    return Distances(found)
