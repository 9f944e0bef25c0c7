"""iNaturalist's JSON files where they do not fit, and species of one name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssl_bench.datasets import inaturalist
from ssl_bench.errors import DataError, MissingError
from tests.datasets.replicas import write

OPTIONS = {"path": "inat", "images": ["train"], "splits": {"train": "train.json", "val": "val.json"}}
FOUND = {
    "images": [{"id": 1, "file_name": "train/a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 4}],
    "categories": [{"id": 4, "name": "Rosa"}, {"id": 2, "name": "Rosa"}],
}


def test_species_of_one_name(tmp_path: Path) -> None:
    """Labels follow the categories' ids, with gaps or without, and two species of one name bear their numbers."""
    write(tmp_path / "inat", {"train/a.jpg": b"image"} | dict.fromkeys(("train.json", "val.json"), json.dumps(FOUND)))
    split = inaturalist.load(OPTIONS, tmp_path)["train"]
    assert split.labels.tolist() == [1]
    assert split.class_names == ("Rosa (2)", "Rosa (4)")
    assert split.read(0) == b"image"


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """Absent files, an image without a species and splits of other species are told in one line."""
    with pytest.raises(MissingError, match=r"train\.json.*val\.json.*train"):
        inaturalist.locate(OPTIONS, tmp_path)
    other = FOUND | {"categories": FOUND["categories"][:1]}
    for wrong, words in (
        (FOUND | {"annotations": []}, "gives 'train/a.jpg' no category"),
        (
            FOUND | {"annotations": [{"image_id": 1, "category_id": 7}]},
            "the category 7, which it does not list",
        ),
        (FOUND | {"images": 2 * FOUND["images"]}, "lists an image twice"),
        (other, "list different species"),
        ([], "is no"),
    ):
        files = {"train/a.jpg": b"image", "train.json": json.dumps(FOUND), "val.json": json.dumps(wrong)}
        write(tmp_path / "inat", files)
        with pytest.raises(DataError, match=words):
            inaturalist.load(OPTIONS, tmp_path)
