"""ImageNet's reassessed labels, ObjectNet's mappings and ImageNet-CoG's pickles, where they do not fit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, metrics, tasks
from ssl_bench.datasets import cog, imagenet_real, labels, objectnet, pickles
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.predictions import Classes, Shifted, Truth
from tests.datasets.replicas import write

REAL = {"path": "val", "labels": "real.json"}
COG = {"path": "images", "levels": "levels.pkl", "splits": "splits.pkl", "level": 1}


def test_sets_of_labels_are_right_if_any_is() -> None:
    """A prediction is right if it is in the sample's set, as in the example of reassessed-imagenet; -1 is no class."""
    real = [[3], [1, 7], [2], [0, 9, 4]]
    predicted = np.array([3, 7, 5, 4])
    expected = [guess in right for guess, right in zip(predicted, real, strict=True)]
    truth = Truth({"test": labels.sets(real)}, 10)
    said = Classes(np.stack([predicted, [0, 0, 2, 0]], axis=1), np.ones(4, np.float32))
    assert metrics.get("top1").score(said, truth)[0] == np.mean(expected) == 0.75
    assert metrics.get("top5").score(said, truth)[0] == 1.0


def test_sets_of_labels_are_kept_sample_by_sample() -> None:
    """Where one set of a task has several right labels per sample, the kept targets are lists, filled up with -1."""
    part = Classes(np.array([[1], [2]]), np.ones(2, np.float32))
    truth = Truth({"test": np.array([1, 0]), "s": labels.sets([[1, 5], [2]])}, 10, {"s": ("c", "d")})
    table = Shifted(part, {"s": part}).table(("a", "b"), truth)
    assert table["target"].tolist() == [[1, -1], [0, -1], [1, 5], [2, -1]]
    assert metrics.get("shift_top1").score(Shifted(part, {"s": part}), truth)[0] == 1.0


@pytest.mark.parametrize(
    ("names", "real", "words"),
    [
        (["n1/ILSVRC2012_val_00000001.JPEG"], "{}", "has 0 lists"),
        (["n1/ILSVRC2012_val_00000001.JPEG"], "[[]]", "no image that"),
        (["n1/ILSVRC2012_val_00000002.JPEG"], "[[1]]", "has 1 lists, none for 'n1/ILSVRC2012_val_00000002.JPEG'"),
        (["n1/first.JPEG"], "[[1]]", "'n1/first.JPEG' is not called as"),
        (["n1/ILSVRC2012_val_00000001.JPEG"], "[[1], 2]", "no list of lists"),
        (["n1/ILSVRC2012_val_00000001.JPEG"], "[[1]", "no list of lists"),
    ],
)
def test_reassessed_labels_that_do_not_fit(names: list[str], real: str, words: str, tmp_path: Path) -> None:
    """Images without numbers, numbers without labels and another file than real.json are told in one line."""
    write(tmp_path / "val", dict.fromkeys(names, b"image"))
    write(tmp_path, {"real.json": real})
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        imagenet_real.load(REAL, tmp_path)


def test_a_set_outside_the_classes(tmp_path: Path) -> None:
    """A set of labels that names no class of the card is refused with the sample."""
    from tests.datasets.replicas import BY_HAND, imagenet1k_real

    imagenet1k_real.build(tmp_path)
    real = json.loads((tmp_path / "real.json").read_text())
    real[4] = [1000]
    write(tmp_path / BY_HAND, {"imagenet-real/real.json": json.dumps(real)})
    with pytest.raises(DataError, match=r"shift imagenet_real .* 0 to 999: 'n\d+/ILSVRC2012_val_00000005.JPEG'"):
        datasets.load(tasks.get("imagenet1k_real"), tmp_path / BY_HAND)


def test_objectnets_mappings(tmp_path: Path) -> None:
    """Mappings that are not there, or name what ImageNet does not have, are told in one line."""
    write(tmp_path / "o/images/chair", {"1.png": b"image"})
    with pytest.raises(DataError, match=r"holds no file 'mappings/folder_to_objectnet_label\.json'"):
        objectnet.load({"path": "o"}, tmp_path)
    mappings = {
        "folder_to_objectnet_label.json": '{"chair": "Chair"}',
        "objectnet_to_imagenet_1k.json": '{"Chair": "x"}',
    }
    mappings |= {"pytorch_to_imagenet_2012_id.json": '{"0": 0}', "imagenet_to_label_2012_v2": "throne\n"}
    write(tmp_path / "o/mappings", mappings)
    with pytest.raises(DataError, match=r"are not those of ObjectNet: .* is not there"):
        objectnet.load({"path": "o"}, tmp_path)


def test_cogs_pickles(tmp_path: Path) -> None:
    """A level that is not one, a concept whose folder is not there and pickles of another form are told in one line."""
    with pytest.raises(UsageError, match="level is 6"):
        cog.locate(COG | {"level": 6}, tmp_path)
    with pytest.raises(MissingError, match=r"levels\.pkl.*splits\.pkl.*images"):
        cog.locate(COG, tmp_path)
    (tmp_path / "images").mkdir()
    files = {"n1": {"train": np.array(["n1/a.JPEG"]), "test": np.array(["n1/b.JPEG"])}}
    for levels, words in (
        ([["n1"]], "level 1 needs the folder"),
        ([["n2"]], "do not give the files"),
        ([], "do not give"),
    ):
        (tmp_path / "levels.pkl").write_bytes(pickle.dumps(levels))
        (tmp_path / "splits.pkl").write_bytes(pickle.dumps(files))
        with pytest.raises((DataError, MissingError), match=words):
            cog.load(COG, tmp_path)


def test_pickles_run_nothing(tmp_path: Path) -> None:
    """A pickle that names a function is refused, and the function does not run."""

    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(DataError, match=r"evil\.pkl is no whole pickle of plain values"):
        pickles.read(tmp_path / "evil.pkl")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(MissingError, match=r"none\.pkl"):
        pickles.read(tmp_path / "none.pkl")
