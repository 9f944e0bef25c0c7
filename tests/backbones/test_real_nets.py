"""Real checkpoints of few-shot and segmentation networks on real images: figures that a wrong input does not reach."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from ssl_bench import images
from ssl_bench.checkpoints import reading
from tests.backbones.test_real_checkpoints import features, load

pytestmark = pytest.mark.data
CITYSCAPES = (3, 4, 1, 7, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8)
"""CamVid's class for each of the first 16 classes of Cityscapes, from road, pavement and building on."""


@pytest.mark.parametrize(("interpolation", "figure"), [("bilinear", 0.688), ("nearest", 0.858)])
def test_conv4_on_one_shot_runs(real_data: Path, interpolation: str, figure: float) -> None:
    """The neighbour by conv4's features names 68.8 % of Lake's trials, and 85.8 % if pixels are skipped as it learned.

    Its authors read images that were resized beforehand, as images of one bit, which Pillow resizes by skipping pixels.
    """
    backbone = load(real_data, "conv4_omniglot", interpolation=interpolation)
    right: list[bool] = []
    with zipfile.ZipFile(real_data / "omniglot/all_runs.zip") as archive:
        for run in (f"run{number:02d}" for number in range(1, 21)):
            lines = archive.read(f"{run}/class_labels.txt").decode().splitlines()
            asked, shown = zip(*(line.split() for line in lines), strict=True)
            rows = [features(backbone, [archive.read(name) for name in names]) for names in (asked, shown)]
            asked_rows, shown_rows = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in rows)
            right += ((asked_rows @ shown_rows.T).argmax(1) == np.arange(len(lines))).tolist()
    assert len(right) == 400
    assert np.mean(right) == pytest.approx(figure, abs=0.02)


def camvid(root: Path, count: int) -> list[tuple[Image.Image, NDArray[np.uint8]]]:
    found = []
    with tarfile.open(root / "camvid/camvid-trainval.tar") as archive:
        names = sorted(name for name in archive.getnames() if name.startswith("val/images/"))[:count]
        for name in names:
            files = (archive.extractfile(each) for each in (name, name.replace("images", "labels")[:-4] + "png"))
            image, label = (Image.open(io.BytesIO(file.read())) for file in files if file is not None)
            found.append((image.convert("RGB"), np.asarray(label)))
    return found


@torch.inference_mode()
def pixel_accuracy(root: Path, count: int = 2, **changed: Any) -> float:
    """Return the share of CamVid's labelled pixels that ESPNet-C's own classifier of Cityscapes names."""
    backbone = load(root, "espnet_cityscapes", **changed)
    file = reading.read(root / "checkpoints/espnet_cityscapes/espnetc_p_2_q_8.pth")
    right = total = 0
    for image, label in camvid(root, count):
        batch = images.normalise(torch.from_numpy(images.pixels(image, backbone.input))[None], backbone.input)
        dense = backbone.forward(batch, "gap").dense
        assert dense is not None
        scores = functional.conv2d(dense, file["classifier.conv.weight"])
        named = functional.interpolate(scores, label.shape, mode="bilinear").argmax(1)[0].numpy()
        classes = np.array([*CITYSCAPES, *[255] * (scores.shape[1] - len(CITYSCAPES))])[named]
        right += int((classes == label)[label < 11].sum())
        total += int((label < 11).sum())
    return right / total


def test_espnet_sees_streets(real_data: Path) -> None:
    """ESPNet-C, trained on Cityscapes, names most pixels of CamVid, and hardly any without the second division."""
    spec = load(real_data, "espnet_cityscapes").input
    assert pixel_accuracy(real_data) > 0.65
    assert pixel_accuracy(real_data, channels="rgb", mean=spec.mean, std=spec.std) < pixel_accuracy(real_data)
    assert pixel_accuracy(real_data, std=tuple(deviation / 255 for deviation in spec.std)) < 0.1
