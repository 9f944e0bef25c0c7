"""Images with masks of their pixels' classes: ADE20K's and Cityscapes' zips, COCO-Stuff's beside COCO's, CamVid's tar,
and VOC 2012's tar with SBD's files of MATLAB."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from ssl_bench.targets import VOID, Mask
from tests.datasets.replicas import BY_HAND, Truth, pack, pictures

CARDS = ("ade20k", "camvid", "cityscapes", "coco_stuff", "voc2012_aug", "voc2012_segmentation")
SIDE = 32
COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
"""Category ids of COCO that no object has."""
CITY = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
VOC = "VOCdevkit/VOC2012"
Files = dict[str, bytes | str]


def build(place: Path, card: str) -> Truth:
    """Put a card's archives: four images a split, whose masks hold every class, and what counts for none."""
    made: Truth = {"ade20k": ade20k, "camvid": camvid, "cityscapes": cityscapes, "coco_stuff": coco_stuff}.get(
        card, voc
    )(place)
    return made if card != "voc2012_segmentation" else {split: made[split] for split in ("train", "val")}


def masks(classes: int, seed: int, void: bool = True) -> list[NDArray[np.uint8]]:
    """Return four masks (32, 32) that hold every class."""
    labels = np.random.default_rng(seed).permutation(4 * SIDE * SIDE) % (classes + void)
    return list(np.where(labels == classes, VOID, labels).astype(np.uint8).reshape(4, SIDE, SIDE))


def png(values: NDArray[np.uint8], palette: bool = False) -> bytes:
    picture = Image.fromarray(values)
    if palette:
        picture.putpalette([value * 37 % 256 for value in range(768)])
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def put(
    truth: Truth,
    split: str,
    names: list[str],
    labels: list[NDArray[np.uint8]],
    value: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
) -> tuple[dict[str, bytes], dict[str, NDArray[np.uint8]]]:
    """Tell what a split holds; return its images and the values of its masks, by name."""
    first = 4 * len(truth)
    images = dict(zip(names, pictures(40)[first : first + 4], strict=True))
    truth[split] = {name: (Mask(one), images[name]) for name, one in zip(names, labels, strict=True)}
    return images, {name: value(one) for name, one in zip(names, labels, strict=True)}


def ade20k(place: Path) -> Truth:
    truth, files = Truth(), Files()
    for split, folder in (("train", "training"), ("val", "validation")):
        names = [f"ADE_{split}_{number:08d}" for number in range(1, 5)]
        images, drawn = put(truth, split, names, masks(150, len(truth)), lambda labels: labels + np.uint8(1))
        files |= {f"ADEChallengeData2016/images/{folder}/{name}.jpg": image for name, image in images.items()}
        files |= {f"ADEChallengeData2016/annotations/{folder}/{name}.png": png(one) for name, one in drawn.items()}
    pack(place / "ADEChallengeData2016.zip", files | {"ADEChallengeData2016/objectInfo150.txt": "Idx\n"})
    return truth


def camvid(place: Path) -> Truth:
    truth, files = Truth(), Files()
    for split in ("train", "val"):
        names = [f"0001TP_{split}{number}" for number in range(4)]
        images, drawn = put(
            truth, split, names, masks(11, len(truth)), lambda labels: np.minimum(labels, 11).astype(np.uint8)
        )
        files |= {f"{split}/images/{name}.webp": image for name, image in images.items()}
        files |= {f"{split}/labels/{name}.png": png(one) for name, one in drawn.items()}
    pack(place / "camvid" / "camvid-trainval.tar", files)
    return truth


def cityscapes(place: Path) -> Truth:
    truth, images, drawn = Truth(), Files(), Files()
    values = np.array([*CITY, 10], dtype=np.uint8)
    for split in ("train", "val", "test"):
        names = [f"{city}/{city}_{number:06d}_000019" for city in ("aachen", "ulm") for number in range(2)]
        shown, masked = put(truth, split, names, masks(19, len(truth)), lambda labels: values[np.minimum(labels, 19)])
        images |= {f"leftImg8bit/{split}/{name}_leftImg8bit.png": image for name, image in shown.items()}
        for name, one in masked.items():
            drawn[f"gtFine/{split}/{name}_gtFine_labelIds.png"] = png(one)
            drawn[f"gtFine/{split}/{name}_gtFine_color.png"] = drawn[
                f"gtFine/{split}/{name}_gtFine_instanceIds.png"
            ] = png(np.zeros((4, 4), np.uint8))
    pack(place / "cityscapes" / "leftImg8bit_trainvaltest.zip", images)
    pack(place / "cityscapes" / "gtFine_trainvaltest.zip", drawn)
    return truth


def coco_stuff(place: Path) -> Truth:
    truth, drawn = Truth(), Files()
    ids = [number for number in range(1, 183) if number not in COCO_GAPS]
    values = np.array([*(number - 1 for number in ids), *[VOID] * 85], dtype=np.uint8)
    for split in ("train", "val"):
        names = [f"{number:012d}" for number in range(4)]
        images, masked = put(truth, split, names, masks(171, len(truth)), lambda labels: values[labels])
        pack(place / f"{split}2017.zip", {f"{split}2017/{name}.jpg": image for name, image in images.items()})
        drawn |= {f"{split}2017/{name}.png": png(one) for name, one in masked.items()}
    pack(place / BY_HAND / "coco" / "stuffthingmaps_trainval2017.zip", drawn)
    return truth


def voc(place: Path) -> Truth:
    truth, files, sbd = Truth(), Files(), Files()
    listed: dict[str, list[str]] = {}
    for split in ("train", "val", "sbd"):
        listed[split] = [f"200{len(truth)}_{number:06d}" for number in range(4)]
        labels = masks(21, len(truth), void=split != "sbd")
        images, drawn = put(truth, split, listed[split], labels, lambda labels: labels)
        files |= {f"{VOC}/JPEGImages/{name}.jpg": image for name, image in images.items()}
        if split == "sbd":
            sbd |= {f"benchmark_RELEASE/dataset/cls/{name}.mat": matlab(one) for name, one in drawn.items()}
        else:
            files[f"{VOC}/ImageSets/Segmentation/{split}.txt"] = "".join(f"{name}\n" for name in drawn)
            files |= {f"{VOC}/SegmentationClass/{name}.png": png(one, palette=True) for name, one in drawn.items()}
    # SBD lists images of VOC's own train and val as well, and those must not come from it.
    both = listed["train"][:2] + listed["sbd"][:2], listed["val"][:2] + listed["sbd"][2:]
    for split, names in zip(("train", "val"), both, strict=True):
        sbd[f"benchmark_RELEASE/dataset/{split}.txt"] = "".join(f"{name}\n" for name in names)
        sbd |= {
            f"benchmark_RELEASE/dataset/cls/{name}.mat": matlab(np.zeros((SIDE, SIDE), np.uint8)) for name in names[:2]
        }
    pack(place / "VOCtrainval_11-May-2012.tar", files)
    pack(place / "benchmark.tgz", sbd)
    return truth


def matlab(labels: NDArray[np.uint8]) -> bytes:
    """Return a mask as SBD keeps it."""
    buffer = io.BytesIO()
    savemat(buffer, {"GTcls": {"Segmentation": labels, "Boundaries": np.zeros(21)}})
    return buffer.getvalue()
