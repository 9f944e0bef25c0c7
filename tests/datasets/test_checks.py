"""What is wrong with a task's images: broken ones, and ones that two splits share."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench import datasets, tasks
from ssl_bench.datasets import checks
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.images import Raw, decode
from ssl_bench.tasks import Source, TaskCard
from tests import scenes


class Memory(list[Raw]):
    def read(self, index: int) -> Raw:
        return self[index]


def picture(seed: int, **how: object) -> bytes:
    """Return a smooth random picture as a file; `how` is how it is saved."""
    small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, **{"format": "png", **how})
    return file.getvalue()


def split_of(name: str, files: list[Raw], label: int = 0) -> Split:
    ids = tuple(f"{name}/{i}" for i in range(len(files)))
    return Split(Memory(files), np.arange(len(files)), ids, np.full(len(files), label, dtype=np.int64))


def digests(splits: dict[str, Split]) -> dict[str, np.ndarray]:
    return {
        role: np.stack([np.frombuffer(digest_image(split.read(i)), dtype=np.uint8) for i in range(len(split))])
        for role, split in splits.items()
    }


def ignore(count: int) -> None:
    """Progress that nobody looks at."""


def test_equal_bytes_in_two_splits() -> None:
    """A test image that train holds too is found with its twin; two copies within one split are not told."""
    train = split_of("train", [picture(0), picture(1), picture(1)])
    test = split_of("test", [picture(2), picture(1)], label=1)
    splits = {"train": train, "test": test}
    (pair,) = checks.equal_pairs(splits, digests(splits))
    assert (pair.sample, pair.other, pair.bits, pair.labels_agree) == ("test/1", "train/1", 0, False)


def test_labels_of_pairs() -> None:
    """Twins agree where all that is said of their classes does, or where a label is one of several right ones."""
    train = split_of("train", [picture(0)], label=2)
    for own, known, agree in (
        ([[5, 2]], [2], True),
        ([[5, 3]], [2], False),
        ([[1, 0]], [[1, 0]], True),
        ([[1, 0]], [[1, -1]], False),
    ):
        twin = dataclasses.replace(split_of("test", [picture(0)]), labels=np.array(own))
        splits = {"train": dataclasses.replace(train, labels=np.array(known)), "test": twin}
        (pair,) = checks.equal_pairs(splits, digests(splits))
        assert pair.labels_agree is agree


def test_nearly_the_same_picture() -> None:
    """A picture saved anew with losses is found, and other pictures and empty ones are not."""
    flat = np.full((64, 64, 3), 255, dtype=np.uint8)
    train = split_of("train", [picture(seed) for seed in range(50)] + [flat])
    test = split_of("test", [picture(7, format="jpeg", quality=60), picture(99), flat])
    splits = {"train": train, "test": test}
    assert (
        checks.equal_pairs(
            {"train": train, "test": split_of("test", [picture(7, format="jpeg")])},
            digests({"train": train, "test": split_of("test", [picture(7, format="jpeg")])}),
        )
        == []
    )
    (pair,) = checks.near_pairs(splits, checks.look(splits, ignore))
    assert (pair.sample, pair.other) == ("test/0", "train/7")


def test_correlation() -> None:
    """The correlation of two pictures' grey values is NumPy's; a picture of one grey has none."""
    split = split_of("train", [picture(0), picture(1), picture(0, format="jpeg"), np.full((8, 8), 3, np.uint8)])
    grey = [np.asarray(decode(split.read(i), "").convert("L").resize((32, 32), Image.Resampling.BOX)) for i in (0, 1)]
    wanted = np.corrcoef(grey[0].ravel(), grey[1].ravel())[0, 1]
    assert checks.correlation(split, 0, split, 1) == pytest.approx(wanted, abs=1e-5)
    assert checks.correlation(split, 0, split, 2) > 0.99
    assert checks.correlation(split, 0, split, 3) == 0.0


def test_digits_of_two_classes_are_not_one_picture() -> None:
    """Small pictures of one kind, whose bits agree by chance, are not told; one that was saved anew is."""
    splits = datasets.load(tasks.get("digits"), Path())
    pairs = checks.near_pairs(splits, checks.look(splits, ignore))
    assert sum(not pair.labels_agree for pair in pairs) <= len(pairs) / 100


def test_broken_images_are_named() -> None:
    """A truncated file is named with its split; whole ones are not."""
    found = checks.undecodable(checks.look({"train": split_of("train", [picture(0), picture(1)[:200]])}, ignore))
    assert len(found) == 1
    assert found[0].startswith("train: cannot decode the image train/1")


def test_caltech_101_holds_its_images_twice(real_data: Path) -> None:
    """The real Caltech-101 has pictures that its test part shares with its training part, seen by eye."""
    splits = datasets.load(tasks.get("caltech101_1414"), real_data)
    pairs = {(pair.sample, pair.other) for pair in checks.near_pairs(splits, checks.look(splits, ignore))}
    assert ("test/garfield/image_0033.jpg", "train/garfield/image_0034.jpg") in pairs


@pytest.mark.parametrize("count", [1, 300])
def test_distances_are_those_of_a_loop(count: int) -> None:
    """The nearest fingerprint in bits is what comparing one by one gives."""
    draw = np.random.default_rng(0)
    ones, others = (draw.integers(0, 2**63, n, dtype=np.uint64) for n in (40, count))
    where, bits = checks._nearest(ones, others)
    for i, value in enumerate(ones):
        loop = [bin(int(value) ^ int(other)).count("1") for other in others]
        assert (where[i], bits[i]) == (int(np.argmin(loop)), min(loop))


def test_digests_are_those_of_the_images() -> None:
    """Looking at images gives the digests that reading them gives; of one that cannot be read there is none."""
    splits = {"train": split_of("train", [picture(0), picture(1)[:200], np.zeros((4, 4), np.uint8)])}
    found = checks.digests(checks.look(splits, ignore))
    assert found is not None
    np.testing.assert_array_equal(found["train"], digests(splits)["train"])
    looked = {"train": [checks.Seen(1, digest=b"1" * 32), checks.Seen(fault="gone")]}
    assert checks.digests(looked) is None


def test_images_are_looked_at_in_the_order_of_their_source() -> None:
    """Images are read in the order in which the source has them, and told in that of the split."""
    asked = []

    class Ordered(Memory):
        def read(self, index: int) -> Raw:
            asked.append(index)
            return super().read(index)

    rows = np.random.default_rng(0).permutation(50)
    split = Split(Ordered([picture(seed) for seed in range(50)]), rows, tuple(map(str, rows)), np.zeros(50, np.int64))
    seen = checks.look({"train": split}, ignore)["train"]
    assert asked == [0, *range(50)]
    assert [one.digest for one in seen] == [digest_image(picture(int(row))) for row in rows]


def test_alike_by_features() -> None:
    """What a model finds most like a later sample is told, the most alike first, from the least cosine on."""
    draw = np.random.default_rng(0)
    train = draw.normal(size=(2000, 16)).astype(np.float32)
    test = np.concatenate([draw.normal(size=(1500, 16)), 3 * train[[7]], train[[9]] + 0.05]).astype(np.float32)
    splits = {name: split_of(name, [b""] * len(own)) for name, own in (("train", train), ("test", test))}
    pairs = checks.alike_pairs(splits, {"train": train, "test": test}, 0.99)
    assert [(pair.sample, pair.other) for pair in pairs] == [("test/1500", "train/7"), ("test/1501", "train/9")]
    assert pairs[0].cosine == pytest.approx(1.0, abs=1e-6)
    cosines = test @ train.T / np.linalg.norm(test, axis=1)[:, None] / np.linalg.norm(train, axis=1)
    assert len(checks.alike_pairs(splits, {"train": train, "test": test}, 0.7)) == int(
        (cosines.max(axis=1) >= 0.7).sum()
    )


def test_what_the_card_says() -> None:
    """Other numbers of samples than the card's, a role that is not there, and another digest are told."""
    splits = {"train": split_of("train", [picture(0)]), "test": split_of("test", [picture(1)])}
    facts = {"samples": {"train": 1, "test": 1}, "digest": "a" * 64}
    card = TaskCard("mine", "Mine", "npz", 2, source=Source(**facts))
    assert checks.disagreements(card, splits, "a" * 64) == []
    assert "the digest is not the card's, aaa" in checks.disagreements(card, splits, "b" * 64)[0]
    facts["samples"] = {"train": 2000, "val": 5, "test": 1}
    card = TaskCard("mine", "Mine", "npz", 2, source=Source(**facts))
    told = checks.disagreements(card, splits, "b" * 64)
    assert told == ["train has 1 samples, but the card says 2,000", "there is no val, of which the card says 5 samples"]
    assert checks.empty_classes(card, splits) == {"train": ["1"], "test": ["1"]}
    several = {"train": dataclasses.replace(splits["train"], labels=np.array([[-1, 1]]))}
    assert checks.empty_classes(card, several) == {"train": ["0"]}


def test_every_wrong_mask_is_named(tmp_path: Path) -> None:
    """Each mask that is damaged, or says what the card does not know, is a line; classes that no pixel is are told."""
    folder = scenes.write(tmp_path / "set")
    card = scenes.card(folder)
    splits = datasets.load(card, tmp_path)
    assert checks.wrong_targets(card, splits) == []
    assert checks.empty_classes(dataclasses.replace(card, classes=4, class_names=(*"abcd",)), splits)["test"] == ["d"]
    Image.fromarray(np.full((32, 48), 9, np.uint8)).save(folder / "train" / "masks" / "001.png")
    (folder / "test" / "masks" / "102.png").write_bytes(b"no picture")
    first, second = checks.wrong_targets(card, splits)
    assert first.startswith("train: the mask of 001 has the label 9")
    assert "test/masks/102.png" in second
