"""Stanford Cars as its four files unpack: two folders of images, and MATLAB files whose classes count from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("stanford_cars",)


def build(place: Path) -> Truth:
    """Put an image of each of 196 models per split."""
    from scipy.io import savemat

    names, truth, folder = classes(196, "Model"), Truth(), place / "torchvision/stanford_cars"
    images = pictures(392)
    (folder / "devkit").mkdir(parents=True)
    savemat(folder / "devkit/cars_meta.mat", {"class_names": np.array(names, dtype=object)})
    for number, (split, listed) in enumerate(
        (("train", "devkit/cars_train_annos"), ("test", "cars_test_annos_withlabels"))
    ):
        members, rows = {}, []
        for label, _, image in deal(names, images[196 * number :][:196]):
            name = f"{label + 1:05d}.jpg"
            members[f"cars_{split}/{name}"] = (label, image)
            rows.append((1, 1, 30, 30, label + 1, name))
        fields = [(f"bbox_{end}", object) for end in ("x1", "y1", "x2", "y2")] + [("class", object), ("fname", object)]
        savemat(folder / f"{listed}.mat", {"annotations": np.array(rows, dtype=fields)})
        write(folder, {path: image for path, (_, image) in members.items()})
        truth[split] = members
    return truth
