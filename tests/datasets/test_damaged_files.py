"""Every reader's lists and tables, damaged in one place at a time: one line in words, and no error of the language."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import datasets
from ssl_bench.errors import SslBenchError
from ssl_bench.tasks import TaskCard
from tests.datasets import test_replicas
from tests.datasets.replicas import BY_HAND

FILES = {
    "ade20k": ("ade20k/ADEChallengeData2016.zip",),
    "birdsnap": ("birdsnap/species.txt", "birdsnap/images.txt", "birdsnap/test_images.txt"),
    "cdfsl_chestx": ("chestx/Data_Entry_2017.csv",),
    "cdfsl_isic": ("isic2018/ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv",),
    "coco2017": ("coco/annotations/instances_train2017.json",),
    "coil20_azimuth": ("coil20/coil20.tar",),
    "cub200": (
        "cub/CUB_200_2011/image_class_labels.txt",
        "cub/CUB_200_2011/images.txt",
        "cub/CUB_200_2011/classes.txt",
    ),
    "flowers102": ("torchvision/flowers-102/setid.mat",),
    "food101": ("torchvision/food-101/meta/train.json",),
    "geode": ("geode/index.csv",),
    "inaturalist2017": ("inaturalist2017/train_val2017/train2017.json",),
    "places205": ("places205/trainvalsplit_places205/train_places205.csv",),
    "voc2012_aug": ("voc2012/sbd/train.txt",),
    "vtab1k_clevr_count": ("clevr/CLEVR_v1.0.zip",),
    "vtab1k_retinopathy": ("retinopathy/retinopathy_solution.csv", "retinopathy/trainLabels.csv"),
    "vtab1k_smallnorb_azimuth": ("smallnorb/smallnorb-5x46789x9x18x6x2x96x96-training-info.mat",),
}
"""Card to files of its replica: one card per reader whose lists are text or small, and may be damaged."""
WRONG = ("", "x", "99999", "-7")
"""What stands in place of a field of a table."""
KINDS = (None, "x", 99999, -7, [], {})
"""What stands in place of a value of a JSON file."""
GIBBERISH = re.compile(r"\b[A-Z]\w+Error\b|\n")


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every field of the first of each list."""
    for key in (
        list(value)[:6] if isinstance(value, dict) else range(min(1, len(value))) if isinstance(value, list) else ()
    ):
        yield (*above, key)
        yield from places(value[key], (*above, key))


def damaged_json(text: str) -> Iterator[bytes]:
    """Yield the file without each field, and with another kind of value in each."""
    for way in places(json.loads(text)):
        for wrong in (..., *KINDS):
            whole = json.loads(text)
            holder = whole
            for key in way[:-1]:
                holder = holder[key]
            if wrong is ...:
                del holder[way[-1]]
            else:
                holder[way[-1]] = wrong
            yield json.dumps(whole).encode()


def damaged_lines(text: str) -> Iterator[bytes]:
    """Yield the file without its first, second and last line, and with another value in each of their fields."""
    lines = text.splitlines()
    for row in (0, 1, len(lines) - 1):
        fields = re.split(r"([,\t ]+)", lines[row])
        changed = ["".join([*fields[:i], wrong, *fields[i + 1 :]]) for i in range(0, len(fields), 2) for wrong in WRONG]
        changed += ["".join(fields[: i - 1]) for i in range(2, len(fields), 2)]
        for kept in [[], *([line] for line in changed)]:
            yield "\n".join([*lines[:row], *kept, *lines[row + 1 :]]).encode()


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield a file's content, damaged in one place."""
    yield from (b"", content[: len(content) // 2], b"\xff\xfe\0 no text")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return
    yield from damaged_json(text) if text[:1] in "{[" else damaged_lines(text)


def prepared(name: str, folder: Path, root: Path) -> TaskCard:
    """The card, and its replica as it lies in the data folder `root`."""
    card = test_replicas.shrunk(name)
    if not card.source.files:
        test_replicas.build(name, root)
        return card
    folder.mkdir()
    test_replicas.build(name, folder)
    if (folder / BY_HAND).exists():
        shutil.move(folder / BY_HAND, root)
    card = test_replicas.pointed(card, folder, folder.as_uri())
    datasets.fetch(card, root)
    return card


@pytest.mark.parametrize("name", sorted(FILES))
def test_damage_is_told_in_words(name: str, tmp_path: Path) -> None:
    """A file that lacks, is cut or has one wrong value is told in one line that names it, or read where it does fit."""
    card, root = prepared(name, tmp_path / "given", tmp_path / "data"), tmp_path / "data"
    for file in FILES[name]:
        content, told = (root / file).read_bytes(), []
        for wrong in damaged(content):
            (root / file).write_bytes(wrong)
            try:
                datasets.load(card, root)
            except SslBenchError as error:
                told.append(str(error))
        assert len(told) > 2
        assert [text for text in told if GIBBERISH.search(text) or f"task {name!r}" not in text] == []
        (root / file).write_bytes(content)
