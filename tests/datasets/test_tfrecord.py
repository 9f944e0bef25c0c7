from __future__ import annotations

import pickle
import struct
from pathlib import Path

import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import splits, tfrecord
from ssl_bench.errors import DataError, MissingError

OPTIONS = {"path": "dmlab", "id": "filename", "splits": {"train": "dmlab-train.tfrecord", "test": "dmlab-test."}}


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def feature(name: str, value: bytes | int, packed: bool = True) -> bytes:
    """An entry of the map of features, a text in list 1 or a whole number in list 3."""
    if isinstance(value, bytes):
        kind, item = 1, field(1, value)
    else:
        number = varint(value % (1 << 64))
        kind, item = 3, field(1, number) if packed else varint(1 << 3) + number
    return field(1, field(1, name.encode()) + field(2, field(kind, item)))


def sample(name: str, image: bytes, label: int, packed: bool = True) -> bytes:
    noise = field(1, field(1, b"noise") + field(2, field(2, field(1, struct.pack("<f", 0.5)))))
    return field(
        1, feature("label", label, packed) + noise + feature("image", image) + feature("filename", name.encode())
    )


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    sums = (struct.pack("<I", tfrecord.masked_crc32c(part)) for part in (length, data))
    return length + next(sums) + data + next(sums)


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    """DMLab's layout: shards of records of image, filename and label."""
    (tmp_path / "dmlab").mkdir()
    for split, first in (("train", 0), ("test", 6), ("validation", 12)):
        for shard in range(2):
            numbers = range(first + 3 * shard, first + 3 * shard + 3)
            data = b"".join(record(sample(f"{split}-{i}.png", pngs[i], i % 6, bool(i % 2))) for i in numbers)
            (tmp_path / f"dmlab/dmlab-{split}.tfrecord-0000{shard}-of-00002").write_bytes(data)
    return tmp_path


def test_checksum() -> None:
    """The CRC-32C is RFC 3720's, and its mask that of TFRecord files."""
    assert tfrecord.crc32c(b"123456789") == 0xE3069283
    assert tfrecord.crc32c(bytes(32)) == 0x8A9136AA
    assert (
        tfrecord.masked_crc32c(bytes(32)) == ((0x8A9136AA >> 15 | 0x8A9136AA << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32
    )


def test_samples(root: Path, pngs: list[bytes]) -> None:
    """Samples keep the order of shards and records; the id is a feature, and numbers may be packed or not."""
    found = tfrecord.load(OPTIONS, root)
    assert list(found) == ["train", "test"]
    assert found["train"].ids == tuple(f"train-{i}.png" for i in range(6))
    assert found["train"].labels.tolist() == [0, 1, 2, 3, 4, 5]
    travelled = pickle.loads(pickle.dumps(found["test"].source))  # noqa: S301 - what multiprocessing does
    assert [travelled.read(i) for i in range(6)] == pngs[6:12]
    assert tfrecord.load({**OPTIONS, "id": ""}, root)["test"].ids == ("0", "1", "2", "3", "4", "5")


def test_dmlab(root: Path) -> None:
    """DMLab's card reads the archive's files, in the order of the names of its frames."""
    card = tasks.get("vtab1k_dmlab")
    found = datasets.reader(card.reader).load(card.data, root)
    assert {name: len(split) for name, split in found.items()} == {"train": 6, "val": 6, "test": 6}
    order = splits.tfds_order(found["val"].ids, "validation")
    assert splits._order(card.splits, "val", found["val"]).rows.tolist() == order.tolist()


def test_negative_numbers_and_large_files() -> None:
    """Whole numbers have 64 bits and a sign; a length beyond the end of the message is no Example."""
    data = field(1, feature("label", -1) + feature("image", bytes(300)))
    found = tfrecord.example(data, (0, len(data)))
    assert found["label"] == (3, [-1])
    start, stop = found["image"][1][0]
    assert stop - start == 300
    for broken in (data[:-1], b"\xff" * 12, field(1, field(1, b"\x0a\x7fx"))):
        with pytest.raises(ValueError, match=r"is no tf\.train\.Example"):
            tfrecord.example(broken, (0, len(broken)))


def test_damage(root: Path) -> None:
    """A file that is cut, of another kind or without a feature is an error that names file and byte."""
    path = root / "dmlab/dmlab-test.tfrecord-00001-of-00002"
    whole = path.read_bytes()
    cases = [
        (whole[:-1], "ends inside the record at byte"),
        (whole + b"12345", "no TFRecord file or damaged at byte"),
        (b"\x1f\x8b" + whole, "no TFRecord file or damaged at byte 0"),
        (record(field(1, feature("label", 1))), r"the record at byte 12 has no feature 'image'; it has label"),
        (
            record(field(1, feature("image", 1) + feature("label", 1) + feature("filename", b"x"))),
            "not one text as 'image'",
        ),
        (record(sample("x", b"", 1)) * 2, "two records have the same 'filename'"),
    ]
    for data, message in cases:
        path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            tfrecord.load(OPTIONS, root)


def test_missing(root: Path) -> None:
    """A folder or a split that is not there is named, and an image whose file is gone since."""
    with pytest.raises(MissingError, match="there is no folder"):
        tfrecord.locate({**OPTIONS, "path": "none"}, root)
    split = tfrecord.load(OPTIONS, root)["test"]
    for path in tfrecord.locate(OPTIONS, root):
        path.unlink()
    with pytest.raises(MissingError, match="cannot read"):
        split.read(0)
    with pytest.raises(MissingError, match=r"there is no file dmlab-train\.tfrecord\*"):
        tfrecord.load(OPTIONS, root)
