from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ssl_bench import datasets
from ssl_bench.datasets import index
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import MissingError
from ssl_bench.progress import Advance, Progress
from ssl_bench.tasks import Splits, TaskCard
from tests.hearing import Heard

DIGITS = TaskCard("digits", "Digits", "digits", classes=10, splits=Splits("train", "val", "test"))


def animals(path: str) -> TaskCard:
    return TaskCard("animals", "Animals", "image_folder", classes=3, data={"path": path})


def test_content() -> None:
    """A digest per image, in the split's order; progress adds up to the number of images."""
    split = datasets.load(DIGITS, Path())["train"]
    seen: list[int] = []
    digests = index.content(split, seen.append)
    assert digests.shape == (1257, 32)
    assert [bytes(digests[i]) for i in (0, 600, 1256)] == [digest_image(split.read(i)) for i in (0, 600, 1256)]
    assert sum(seen) == 1257


def test_memo(tmp_path: Path) -> None:
    """What was built once is found again without reading an image, equal in every part."""
    assert index.lookup(DIGITS, Path(), tmp_path) is None
    built = index.build(DIGITS, Path(), tmp_path)
    found = index.lookup(DIGITS, Path(), tmp_path)
    assert found is not None
    assert found.task_digest == built.task_digest
    assert found.samples == {"train": 1257, "val": 180, "test": 360}
    for role, (ids, labels, digests, _) in built.roles.items():
        assert found.roles[role][0] == ids
        np.testing.assert_array_equal(found.roles[role][1], labels)
        np.testing.assert_array_equal(found.digests[role], digests)


@pytest.mark.parametrize("damage", [b"", b"not a zip", None])
def test_unreadable_memo(tmp_path: Path, damage: bytes | None) -> None:
    """A memo that cannot be read is built again."""
    built = index.build(DIGITS, Path(), tmp_path)
    [memo] = (tmp_path / "datasets").iterdir()
    memo.write_bytes(memo.read_bytes()[:5000] if damage is None else damage)
    assert index.lookup(DIGITS, Path(), tmp_path) is None
    assert index.build(DIGITS, Path(), tmp_path).task_digest == built.task_digest
    assert index.lookup(DIGITS, Path(), tmp_path) is not None


def test_same_digest_in_another_process(tmp_path: Path) -> None:
    """The task digest is the same in another process with another hash seed, and the same as ever."""
    code = (
        "from pathlib import Path; from ssl_bench import tasks; from ssl_bench.datasets import index;"
        f"print(index.build(tasks.get('digits'), Path(), Path({str(tmp_path)!r})).task_digest)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == index.build(DIGITS, Path(), tmp_path / "other").task_digest
    assert done.stdout.strip() == "858f4189340770bfdbddd982fd3745e4bf8d2149a9ed7ec9c6408d59433a8e31"


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip"])
def test_archive_has_the_folder_digest(folder: Path, tmp_path: Path, packer: Callable[..., Path], ending: str) -> None:
    """However the same files are packed, the task digest is one."""
    packer(folder, tmp_path / f"a.{ending}", reverse=True)
    whole = index.build(animals("animals"), tmp_path, tmp_path / "cache")
    packed = index.build(animals(f"a.{ending}"), tmp_path, tmp_path / "cache")
    assert packed.task_digest == whole.task_digest
    assert packed.samples == {"train": 7, "test": 3}


def test_what_enters_the_digest(tmp_path: Path) -> None:
    """Metric, classes, version, labels, ids and images change the task digest; name, title and source do not."""
    base = index.build(DIGITS, Path(), tmp_path)
    ids, labels, digests, _ = base.roles["test"]
    changed = digests.copy()
    changed[0, 0] ^= 1
    others = [
        index.task_digest(dataclasses.replace(DIGITS, metric="mean_per_class"), base.roles),
        index.task_digest(dataclasses.replace(DIGITS, classes=11), base.roles),
        index.task_digest(dataclasses.replace(DIGITS, version=2), base.roles),
        index.task_digest(DIGITS, {**base.roles, "test": index.Samples(ids, (labels + 1) % 10, digests)}),
        index.task_digest(DIGITS, {**base.roles, "test": index.Samples(("x", *ids[1:]), labels, digests)}),
        index.task_digest(DIGITS, {**base.roles, "test": index.Samples(ids, labels, changed)}),
        index.task_digest(DIGITS, {"train": base.roles["test"], "test": base.roles["train"]}),
    ]
    assert len({base.task_digest, *others}) == 8
    assert index.task_digest(dataclasses.replace(DIGITS, name="x", title="y", note="z"), base.roles) == base.task_digest


def test_changed_file(folder: Path, tmp_path: Path) -> None:
    """A file that is replaced in place is noticed, and so is one that is gone."""
    card, cache = animals("animals"), tmp_path / "cache"
    before = index.build(card, tmp_path, cache)
    assert index.lookup(card, tmp_path, cache) is not None
    (folder / "test/ant/0.png").write_bytes((folder / "train/ant/0.png").read_bytes())
    assert index.lookup(card, tmp_path, cache) is None
    after = index.build(card, tmp_path, cache)
    assert after.task_digest != before.task_digest
    assert bytes(after.digests["test"][0]) == bytes(after.digests["train"][0])
    folder.rename(tmp_path / "gone")
    with pytest.raises(MissingError, match="task 'animals': there is no file or folder"):
        index.lookup(card, tmp_path, cache)


def test_loaded_splits_are_used(tmp_path: Path) -> None:
    """Splits that are loaded already are not loaded again, and progress counts through all roles."""
    seen: list[int] = []
    splits = datasets.load(DIGITS, Path())
    index.build(DIGITS, Path(), tmp_path, splits, seen.append)
    assert sum(seen) == 1797


def test_several_labels_are_kept(tmp_path: Path, folder: Path) -> None:
    """What is kept of a task of several labels per image is what was read."""
    data = {"path": "animals", "list": "list.csv", "labels": ["a", "b"], "split_column": "split"}
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = [f"{path},{path.partition('/')[0]},{i % 2},{-(i % 3 == 0)}" for i, path in enumerate(paths)]
    (folder / "list.csv").write_text("\n".join(["path,split,a,b", *rows]))
    card = TaskCard("many", "Many", "table", classes=2, kind="multilabel", metric="voc07_map", data=data)
    built = index.build(card, folder.parent, tmp_path / "cache")
    found = index.lookup(card, folder.parent, tmp_path / "cache")
    assert found is not None
    assert found.task_digest == built.task_digest
    expected = datasets.load(card, folder.parent)["train"].labels
    assert expected.shape[1] == 2
    np.testing.assert_array_equal(found.roles["train"][1], expected)


def test_of_several_at_once_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that come to a task at the same time read its images once between them, and get the same index."""
    reads: list[int] = []
    inside = threading.Event()

    def slow(split: Split, advance: Advance | None) -> NDArray[np.uint8]:
        reads.append(len(split))
        inside.set()
        time.sleep(0.3)
        return content(split, advance)

    content = index.content
    monkeypatch.setattr(index, "content", slow)
    said = Heard()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(index.tracked, DIGITS, Path(), tmp_path, Progress())
        assert inside.wait(30)
        second = pool.submit(index.tracked, DIGITS, Path(), tmp_path, said)
        assert first.result().task_digest == second.result().task_digest
    assert sum(reads) == 1257 + 180 + 360
    assert said.lines == ["digits: another process reads all images"]
