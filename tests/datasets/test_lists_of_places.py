"""Birdsnap's, GeoDE's and Dollar Street's lists, where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ssl_bench.datasets import birdsnap, dollarstreet, geode
from ssl_bench.errors import DataError, MissingError
from tests.datasets.replicas import write

BIRDS = {"path": "birds", "images": "birds/images"}
LISTED = {"path": "images", "list": "table.csv"}


@pytest.mark.parametrize(("module", "options"), [(birdsnap, BIRDS), (geode, LISTED), (dollarstreet, LISTED)])
def test_absent_files(module: Any, options: dict[str, str], tmp_path: Path) -> None:
    """Every absent list and folder is named at once."""
    with pytest.raises(MissingError, match=r"(table\.csv|species\.txt).*|images"):
        module.locate(options, tmp_path)


def test_birdsnap(tmp_path: Path) -> None:
    """Lists that do not fit together, and a folder without any listed image, are told."""
    lists = {"species.txt": "id\tcommon\n1\tJay\n", "images.txt": "path\tspecies_id\nJay/1.jpg\t1\n"}
    write(tmp_path / "birds", lists | {"test_images.txt": "path\n", "images/Jay/2.jpg": b"image"})
    with pytest.raises(DataError, match="holds none of the images of"):
        birdsnap.load(BIRDS, tmp_path)
    write(tmp_path / "birds", {"images/Jay/1.jpg": b"image", "images.txt": "path\tspecies_id\nJay/1.jpg\t7\n"})
    with pytest.raises(DataError, match=r"images\.txt names the species '7', which species.txt lacks"):
        birdsnap.load(BIRDS, tmp_path)


def test_geode(tmp_path: Path) -> None:
    """A list without its columns, an image listed twice and one that is not there are told; an only image is test."""
    write(tmp_path / "images", {"a.jpg": b"image"})
    for table, words in (
        ("file_path,object\na.jpg,bag\n", "no column 'region'"),
        ("file_path,object,region\n", "lists no images"),
        ("file_path,object,region\na.jpg,bag,Africa\na.jpg,bag,Africa\n", "lists an image twice"),
        ("file_path,object,region\nb.jpg,bag,Africa\n", "holds no file 'b.jpg'"),
    ):
        write(tmp_path, {"table.csv": table})
        with pytest.raises(DataError, match=words):
            geode.load(LISTED, tmp_path)
    write(tmp_path, {"table.csv": "file_path,object,region\na.jpg,bag,Africa\n"})
    found = geode.load(LISTED, tmp_path)
    assert {split: len(own) for split, own in found.items()} == {"train": 0, "test": 1, "Africa": 1}


def test_dollarstreet(tmp_path: Path) -> None:
    """A table without its columns, with labels that are none and without any label is told."""
    write(tmp_path / "images", {"a.jpg": b"image"})
    head = "imageRelPath,region.id,imagenet_sysnet_id\n"
    for table, words in (
        ("imageRelPath,region.id\na.jpg,af\n", "has no column 'imagenet_sysnet_id'"),
        (f"{head}a.jpg,af,bag\n", "holds 'bag', which is no list of ImageNet's labels"),
        (f"{head}a.jpg,af,[]\n", "lists no image that has a label"),
        (f"{head}b.jpg,af,[7]\n", "holds no file 'b.jpg'"),
    ):
        write(tmp_path, {"table.csv": table})
        with pytest.raises(DataError, match=words):
            dollarstreet.load(LISTED, tmp_path)
