"""Shards of WebDataset: written here as the library writes them, and by the library itself where it is installed."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import datasets
from ssl_bench.datasets import webdataset
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.tasks import Splits, TaskCard

OPTIONS = {"shards": {"train": "train-{000..001}.tar"}}
LABELS = [3, 0, 7, 3]


def write(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            head = tarfile.TarInfo(name)
            head.size = len(data)
            archive.addfile(head, io.BytesIO(data))
    return path


def sample(key: str, png: bytes, label: Any, ending: str = "cls") -> list[tuple[str, bytes]]:
    return [(f"{key}.{ending}", str(label).encode()), (f"{key}.png", png)]


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    """Two shards of two samples."""
    for shard in range(2):
        rows = range(2 * shard, 2 * shard + 2)
        members = [one for i in rows for one in sample(f"a/{i:03}", pngs[i], LABELS[i])]
        write(tmp_path / f"train-{shard:03}.tar", members)
    return tmp_path


def test_shards(root: Path, pngs: list[bytes]) -> None:
    """Samples follow one another through the shards, ids are keys, and any image is read by itself, from anywhere."""
    split = webdataset.load(OPTIONS, root)["train"]
    assert split.ids == ("a/000", "a/001", "a/002", "a/003")
    assert split.labels.tolist() == LABELS
    source = pickle.loads(pickle.dumps(split.source))  # noqa: S301 - what multiprocessing does
    assert [source.read(i) for i in (3, 0, 2, 1)] == [pngs[i] for i in (3, 0, 2, 1)]
    assert webdataset.locate(OPTIONS, root) == [root / "train-000.tar", root / "train-001.tar"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a-{08..11}.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "a-11.tar"]),
        ("{b,a}/{0..1}", ["b/0", "b/1", "a/0", "a/1"]),
        ("{2..0}", ["2", "1", "0"]),
        ("plain", ["plain"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    """Braces are written out as a shell does, the last fastest, zeros kept."""
    assert webdataset.expanded(pattern) == names


def test_wildcards_and_several_patterns(root: Path) -> None:
    """Wildcards find shards in order of name, "::" joins patterns, and the first that is not there is named."""
    assert webdataset.locate({"shards": {"all": "train-*.tar"}}, root) == webdataset.locate(OPTIONS, root)
    swapped = {"shards": {"all": "train-001.tar::train-000.tar"}}
    assert webdataset.load(swapped, root)["all"].labels.tolist() == [7, 3, 3, 0]
    with pytest.raises(MissingError, match=r"no file .*train-002\.tar; 1 of 3 shards are absent"):
        webdataset.locate({"shards": {"train": "train-{000..002}.tar"}}, root)
    with pytest.raises(MissingError, match=r"no file fits .*test-\*\.tar"):
        webdataset.locate({"shards": {"test": "test-*.tar"}}, root)


def test_offsets_are_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are scanned once, and again when one changes; where nothing can be kept they are read all the same."""
    first = webdataset.load(OPTIONS, root)["train"]
    scans: list[Path] = []
    scan = webdataset._shard
    monkeypatch.setattr(webdataset, "_shard", lambda path, options: scans.append(path) or scan(path, options))
    again = webdataset.load(OPTIONS, root)["train"]
    assert (scans, again.ids, again.labels.tolist()) == ([], first.ids, LABELS)
    assert [again.read(i) for i in range(4)] == [first.read(i) for i in range(4)]
    os.utime(root / "train-000.tar", ns=(1, 1))
    assert webdataset.load(OPTIONS, root)["train"].ids == first.ids
    assert len(scans) == 2
    [kept] = root.glob(".*.offsets.npz")
    kept.write_bytes(b"half of")
    assert webdataset.load(OPTIONS, root)["train"].ids == first.ids
    kept.unlink()
    kept.mkdir()
    assert webdataset.load(OPTIONS, root)["train"].ids == first.ids


def test_words(tmp_path: Path, pngs: list[bytes]) -> None:
    """Labels in words are classes by name, over all splits, or in the order that the card declares."""
    write(tmp_path / "a.tar", sample("0", pngs[0], "cat\n", "txt") + sample("1", pngs[1], "bee", "txt"))
    write(tmp_path / "b.tar", sample("0", pngs[2], "ant", "txt"))
    options = {"shards": {"train": "a.tar", "test": "b.tar"}, "label": "txt"}
    splits = webdataset.load(options, tmp_path)
    assert splits["train"].class_names == ("ant", "bee", "cat")
    assert [splits[name].labels.tolist() for name in ("train", "test")] == [[2, 1], [0]]
    assert webdataset.load({**options, "classes": ["cat", "bee", "ant"]}, tmp_path)["test"].labels.tolist() == [2]
    with pytest.raises(DataError, match="label 'ant' is not one of the declared classes"):
        webdataset.load({**options, "classes": ["cat", "bee"]}, tmp_path)
    assert webdataset.load({**options, "label": ""}, tmp_path)["train"].class_names == ()


def test_json(tmp_path: Path, pngs: list[bytes]) -> None:
    """A label may be a field of JSON; a list of words or numbers says which classes hold."""
    told = [
        {"meta": {"label": 1, "seen": ["bee", "ant"], "numbers": [1, 0]}},
        {"meta": {"label": 0, "seen": [], "numbers": []}},
    ]
    write(tmp_path / "a.tar", [one for i in range(2) for one in sample(str(i), pngs[i], json.dumps(told[i]), "json")])
    options = {"shards": {"all": "a.tar"}, "label": "json", "field": "meta.label"}
    assert webdataset.load(options, tmp_path)["all"].labels.tolist() == [1, 0]
    several = webdataset.load({**options, "field": "meta.seen"}, tmp_path)["all"]
    assert (several.class_names, several.labels.tolist()) == (("ant", "bee"), [[1, 1], [0, 0]])
    numbers = {**options, "field": "meta.numbers"}
    with pytest.raises(UsageError, match=r"data\.classes must name the classes"):
        webdataset.load(numbers, tmp_path)
    found = webdataset.load({**numbers, "classes": ["ant", "bee", "cat"]}, tmp_path)["all"]
    assert found.labels.tolist() == [[1, 1, 0], [0, 0, 0]]
    with pytest.raises(DataError, match=r"sample '0' of .*a\.tar: its \.json is no label: .*no field 'labels'"):
        webdataset.load({**options, "field": "meta.labels"}, tmp_path)


def test_other_members(tmp_path: Path, pngs: list[bytes]) -> None:
    """Further members of a sample, the library's own and hidden ones are passed over; one of two images is chosen."""
    more = [("__meta__", b"{}"), ("./7.seg.png", pngs[1]), ("./7.npy", b""), ("._7.png", b"")]
    write(tmp_path / "a.tar", [("./7.JPG", pngs[0]), *more, ("./7.cls", b"4")])
    options = {"shards": {"all": "a.tar"}, "image": "jpg"}
    split = webdataset.load(options, tmp_path)["all"]
    assert (split.ids, split.labels.tolist(), split.read(0)) == (("7",), [4], pngs[0])
    with pytest.raises(DataError, match=r"sample '7' of .*a\.tar has 2 images, jpg, seg\.png; name one in data\.image"):
        webdataset.load({"shards": {"all": "a.tar"}}, tmp_path)
    with pytest.raises(DataError, match=r"has no member \.webp; it has jpg"):
        webdataset.load({**options, "image": "webp"}, tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("0.png", b""), ("1.png", b""), ("1.cls", b"1")], r"sample '0' of .*0\.tar has no label \.cls; it has png"),
        ([("0.cls", b"1"), ("0.json", b"1")], r"sample '0' of .*0\.tar has no image, only cls, json"),
        (
            [("0.png", b""), ("0.cls", b"1"), ("1.png", b""), ("1.cls", b"1"), ("0.png", b""), ("0.cls", b"1")],
            "'0' occurs",
        ),
        ([("0.png", b""), ("0.PNG", b"")], r"0\.tar holds '0\.PNG' twice"),
        ([("README", b"")], "'README', which has no ending"),
        ([("../0.png", b"")], "leads out of it"),
        ([("0.png", b""), ("0.cls", b"\xff")], r"its \.cls is no label"),
    ],
)
def test_wrong_shards(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    """A sample without a label or an image, a key or member that occurs twice and foreign files are named."""
    write(tmp_path / "0.tar", members)
    with pytest.raises(DataError, match=message):
        webdataset.load({"shards": {"all": "0.tar"}}, tmp_path)


def test_a_key_in_two_shards(root: Path) -> None:
    """A key that occurs in two shards is named with both."""
    (root / "train-001.tar").write_bytes((root / "train-000.tar").read_bytes())
    with pytest.raises(DataError, match=r"'a/000' occurs twice, in .*train-000\.tar and in .*train-001\.tar"):
        webdataset.load(OPTIONS, root)


@pytest.mark.parametrize("at", ["data", "head", "member", "end"])
def test_cut_shards(root: Path, at: str) -> None:
    """A shard that ends early is named, wherever it was cut, also where tarfile takes it for whole."""
    path = root / "train-000.tar"
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-2:]
    ends = {"data": last[1].offset_data + 9, "head": last[1].offset + 100, "member": last[0].offset}
    ends["end"] = last[1].offset_data + -(-last[1].size // 512) * 512
    os.truncate(path, ends[at])
    with pytest.raises(DataError, match=r"train-000\.tar (is cut or damaged|is not a whole tar file)"):
        webdataset.load(OPTIONS, root)


def test_packed_shards(root: Path) -> None:
    """A shard that is packed, which cannot be read by offset, is refused with the command that unpacks it."""
    path = root / "train-000.tar"
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"unpack it: gunzip .*train-000\.tar"):
        webdataset.load(OPTIONS, root)


def test_a_card(root: Path) -> None:
    """A task card reads its roles from shards, and slices of them."""
    splits = Splits("train[:3]", test="train[3:]")
    card = TaskCard("shards", "Shards", "webdataset", classes=8, data=OPTIONS, splits=splits)
    assert {role: split.ids for role, split in datasets.load(card, root).items()} == {
        "train": ("a/000", "a/001", "a/002"),
        "test": ("a/003",),
    }


def test_the_librarys_own_shards(tmp_path: Path, real_data: Path) -> None:
    """Real images in shards that the library wrote come back in the library's own order, with its keys and labels."""
    library = pytest.importorskip("webdataset")
    with tarfile.open(real_data / "eurosat-rgb/eurosat.tar") as archive:
        members = [member for member in archive.getmembers() if member.isfile()][:30]
        images = [archive.extractfile(member).read() for member in members]  # type: ignore[union-attr]
    pattern = str(tmp_path / "eurosat-%04d.tar")
    with library.ShardWriter(pattern, maxcount=12, verbose=0) as sink:
        for i, image in enumerate(images):
            sink.write({"__key__": f"{i:05}", "jpg": image, "cls": i % 10, "json": {"label": i % 10}})
    told = library.WebDataset(str(tmp_path / "eurosat-{0000..0002}.tar"), shardshuffle=False)
    told = [(one["__key__"], int(one["cls"]), one["jpg"]) for one in told]
    for options in ({}, {"label": "json", "field": "label"}):
        split = webdataset.load({"shards": {"all": "eurosat-{0000..0002}.tar"}, **options}, tmp_path)["all"]
        read = [split.read(i) for i in range(len(split))]
        assert list(zip(split.ids, split.labels.tolist(), read, strict=True)) == told
        np.testing.assert_array_equal(split.labels, np.arange(30) % 10)
