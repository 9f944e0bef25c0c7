"""Data that is there but wrong, as the command line tells it: exit code 2, and one line that names the file."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from tests.cli.conftest import Command
from tests.datasets.replicas import voc2007

HEAD = 'title = "Mine"\nclasses = 2\nreader = "{}"\n[splits]\ntrain = "train"\ntest = "test"\n[data]\n'
SEVERAL = 'kind = "multilabel"\nmetric = "voc07_map"\n'
SPLITS = ("train", "test")
Writer = Callable[[Path], str]
Spoiler = Callable[[Path], None]


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), level).save(file, "png")
    return file.getvalue()


def shards(root: Path) -> str:
    """Write two shards, and return the card's options."""
    for level, split in enumerate(SPLITS):
        with tarfile.open(root / f"{split}.tar", "w") as archive:
            for i in range(2):
                for name, data in ((f"{i}.png", png(9 * i + level)), (f"{i}.cls", b"%d" % i)):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return HEAD.format("webdataset") + f'shards = {{ train = "{root}/train.tar", test = "{root}/test.tar" }}\n'


def annotations(root: Path) -> str:
    """Write COCO's annotations of an image per split, and return the card's options."""
    lines = []
    for level, split in enumerate(SPLITS):
        (root / split).mkdir()
        (root / split / "0.png").write_bytes(png(level))
        box = {"id": 5, "image_id": 3, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16}
        categories = [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}]
        found = {"images": [{"id": 3, "file_name": "0.png"}], "categories": categories, "annotations": [box]}
        (root / f"{split}.json").write_text(json.dumps(found))
        lines.append(f'splits.{split} = {{ images = "{root}/{split}", annotations = "{root}/{split}.json" }}\n')
    return SEVERAL + HEAD.format("coco") + "".join(lines)


def layout(root: Path) -> str:
    """Write VOC's layout of an image per split, and return the card's options."""
    for name in ("JPEGImages", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    for level, split in enumerate(SPLITS):
        (root / f"JPEGImages/{split}.jpg").write_bytes(png(level))
        (root / f"ImageSets/Main/{split}.txt").write_text(f"{split}\n")
        for number, name in enumerate(("ant", "bee")):
            (root / f"ImageSets/Main/{name}_{split}.txt").write_text(f"{split} {2 * number - 1}\n")
    return SEVERAL + HEAD.format("voc") + f'splits = {{ train = "{root}", test = "{root}" }}\n'


def cut(root: Path) -> None:
    path = root / "test.tar"
    path.write_bytes(path.read_bytes()[:2048])


def edit(name: str, old: str, new: str, root: Path) -> None:
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("write", "spoil", "words"),
    [
        (shards, cut, "test.tar is cut or damaged at byte 2048"),
        (annotations, lambda root: edit("test.json", '"image_id": 3', '"image_id": 4', root), "unknown image_id 4"),
        (annotations, lambda root: edit("test.json", "0.png", "1.png", root), "test.json names the image '1.png'"),
        (layout, lambda root: edit("ImageSets/Main/bee_test.txt", "1", "7", root), "bee_test.txt: the line 'test 7'"),
        (layout, lambda root: (root / "JPEGImages/test.jpg").unlink(), "there is no JPEGImages/test.jpg"),
    ],
    ids=["cut shard", "unknown image", "absent image", "label", "listed image"],
)
def test_wrong_data_is_one_line(write: Writer, spoil: Spoiler, words: str, command: Command, tmp_path: Path) -> None:
    """What is wrong with a source is told in one line that names task and file, with exit code 2."""
    root = tmp_path / "source"
    root.mkdir()
    card = tmp_path / "mine.toml"
    card.write_text(write(root))
    said = command("data", "check", card)
    assert said.code == 0, said.err
    assert f"train {len(list(root.glob('*.tar'))) or 1}, test" in said.out
    spoil(root)
    said = command("data", "check", card)
    assert (said.code, said.out.count(words)) == (2, 1)
    said = command("look", card)
    assert said.code == 2
    assert words in said.err
    assert "task 'mine': " in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_several_labels_from_archive_to_record(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_settings: Settings
) -> None:
    """VOC2007 runs from its two archives to a record with the 11-point mAP."""
    voc2007.build(tmp_path / "data/voc2007")
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    assert command("run", "-m", "pixels,size=8", "-t", "voc2007", "-p", "logistic_regression").code == 0
    [record] = Results(own_settings.results).records()
    assert (record.task.kind, record.task.metric, record.task.classes) == ("multilabel", "voc07_map", 20)
    assert 0 < record.metrics["voc07_map"].value < 1
    assert record.metrics["voc07_map"].n == 25
