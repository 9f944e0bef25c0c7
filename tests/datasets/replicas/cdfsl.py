"""The sets of CD-FSL as they unpack: folders of leaves, a table with a column per lesion, a table of findings."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.datasets.chestx import FINDINGS
from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("cdfsl_chestx", "cdfsl_cropdisease", "cdfsl_isic")


def build(place: Path, card: str) -> Truth:
    """Put three images of each class."""
    return {"cdfsl_chestx": _chestx, "cdfsl_cropdisease": _leaves, "cdfsl_isic": _lesions}[card](place)


def _leaves(place: Path) -> Truth:
    found = {f"{n}/{i}.jpg": (label, image) for i, (label, n, image) in enumerate(deal(classes(38), pictures(114)))}
    write(place / "cropdisease/dataset/train", {path: image for path, (_, image) in found.items()})
    return {"test": found}


def _lesions(place: Path) -> Truth:
    kinds = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    lines, truth, folder = [",".join(("image", *kinds))], {}, place / "isic2018"
    for number, (label, _, image) in enumerate(deal(kinds, pictures(21))):
        name = f"ISIC_{number:07d}"
        lines.append(",".join((name, *("1.0" if label == other else "0.0" for other in range(7)))))
        write(folder / "ISIC2018_Task3_Training_Input", {f"{name}.jpg": image, "LICENSE.txt": "CC"})
        truth[name] = (label, image)
    table = {"ISIC2018_Task3_Training_GroundTruth.csv": "\n".join(lines) + "\n"}
    write(folder / "ISIC2018_Task3_Training_GroundTruth", table)
    return {"all": truth}


def _chestx(place: Path) -> Truth:
    lines, truth = ["Image Index,Finding Labels,Follow-up #,Patient ID"], {}
    others = ("No Finding", "Pneumonia", "Mass|Nodule", "Hernia")
    for number, (label, finding, image) in enumerate(deal((*FINDINGS, *others), pictures(33))):
        name = f"{number:08d}_000.png"
        lines.append(f"{name},{finding},0,{number}")
        write(place / "chestx/images", {name: image})
        if label < 7:
            truth[name] = (label, image)
    write(place / "chestx", {"Data_Entry_2017.csv": "\n".join(lines) + "\n"})
    return {"all": truth}
