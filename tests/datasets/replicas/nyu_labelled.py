"""The MATLAB files of NYU's labelled part, with axes in MATLAB's order, and an array of normals."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth
from tests.datasets.replicas.depth_lists import scene

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
    cut = card == "nyu_labelled_depth"
    train = {f"{n:04d}": ([], scenes[n - 1][0][45:472, 43:608] if cut else scenes[n - 1][0]) for n in (1, 3, 5)}
    return {"train": train, "test": {f"{n:04d}": ([], scenes[n - 1][0]) for n in (2, 4)}}
