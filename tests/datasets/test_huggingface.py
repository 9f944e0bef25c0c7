from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.datasets import huggingface
from ssl_bench.errors import DataError, MissingError, UsageError

REVISION = "0123456789abcdef0123456789abcdef01234567"
needs_datasets = pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="the package datasets is not installed"
)


def save(path: Path, pngs: list[bytes]) -> None:
    import datasets

    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=["ant", "bee"])}
    )

    def rows(images: list[bytes]) -> Any:
        columns = {"image": [{"bytes": png, "path": None} for png in images], "label": [i % 2 for i in range(5)]}
        return datasets.Dataset.from_dict(columns, features=features).cast_column("image", datasets.Image())

    datasets.DatasetDict({"train": rows(pngs[:5]), "test": rows(pngs[5:10])}).save_to_disk(path)


@needs_datasets
def test_saved_dataset(tmp_path: Path, pngs: list[bytes]) -> None:
    """Images come as the bytes that were saved, with class names, also in another process."""
    save(tmp_path / "mine", pngs)
    splits = huggingface.load({"path": "mine"}, tmp_path)
    assert splits["test"].labels.tolist() == [0, 1, 0, 1, 0]
    assert splits["test"].class_names == ("ant", "bee")
    splits["test"].read(0)
    text = pickle.dumps(splits["test"].source)
    assert len(text) < 1000
    source = pickle.loads(text)  # noqa: S301 - what multiprocessing does
    assert [source.read(i) for i in range(5)] == pngs[5:10]
    with pytest.raises(UsageError, match=r"no column 'labels'\. Did you mean label"):
        huggingface.load({"path": "mine", "label": "labels"}, tmp_path)
    with pytest.raises(DataError, match="not images"):
        huggingface.load({"path": "mine", "image": "label"}, tmp_path)


@needs_datasets
def test_several_labels_and_words(tmp_path: Path, pngs: list[bytes]) -> None:
    """A column may hold lists of classes, or words that the card puts in order."""
    import datasets

    several = datasets.Sequence(datasets.ClassLabel(names=["ant", "bee", "cat"]))
    features = {"image": datasets.Image(decode=False), "label": several, "word": datasets.Value("string")}
    images = [{"bytes": png, "path": None} for png in pngs[:2]]
    columns = {"image": images, "label": [[2, 0], []], "word": ["bee", "ant"]}
    found = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    found.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "mine")
    split = huggingface.load({"path": "mine"}, tmp_path)["train"]
    assert (split.class_names, split.labels.tolist()) == (("ant", "bee", "cat"), [[1, 0, 1], [0, 0, 0]])
    words = {"path": "mine", "label": "word"}
    assert huggingface.load({**words, "classes": ["bee", "ant"]}, tmp_path)["train"].labels.tolist() == [0, 1]
    with pytest.raises(UsageError, match=r"word holds words; name them in data\.classes"):
        huggingface.load(words, tmp_path)


@needs_datasets
def test_hub_folder(tmp_path: Path, pngs: list[bytes]) -> None:
    """A dataset of the hub lies in a folder that is called after its name, configuration and revision."""
    save(tmp_path / "huggingface/me--animals--small@0123456789ab", pngs)
    options = {"name": "me/animals", "config": "small", "revision": REVISION}
    assert len(huggingface.locate(options, tmp_path)) > 2
    assert len(huggingface.load(options, tmp_path)["train"]) == 5


@needs_datasets
def test_fetch(tmp_path: Path, pngs: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching asks the hub for the pinned revision and leaves a folder that can be read, or nothing."""
    import datasets

    save(tmp_path / "hub", pngs)
    asked: list[Any] = []

    def answer(name: str, config: str | None, revision: str) -> Any:
        asked.append((name, config, revision))
        if name == "me/gone":
            raise ConnectionError("no such dataset")
        return datasets.load_from_disk(str(tmp_path / "hub"))

    monkeypatch.setattr(datasets, "load_dataset", answer)
    root = tmp_path / "data"
    huggingface.fetch({"name": "me/animals", "revision": REVISION}, root)
    assert asked == [("me/animals", None, REVISION)]
    assert len(huggingface.load({"name": "me/animals", "revision": REVISION}, root)["test"]) == 5
    with pytest.raises(MissingError, match="cannot download me/gone at 0123456789abcdef"):
        huggingface.fetch({"name": "me/gone", "revision": REVISION}, root)
    seen = [path.name for path in (root / "huggingface").iterdir() if not path.name.endswith(".lock")]
    assert seen == ["me--animals@0123456789ab"]
    huggingface.fetch({"name": "me/animals", "revision": REVISION}, root)
    assert len(asked) == 2


@needs_datasets
def test_not_saved_by_datasets(tmp_path: Path) -> None:
    """A folder of another kind is an error that names it."""
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match="mine is no whole dataset"):
        huggingface.load({"path": "mine"}, tmp_path)


def test_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error prints the line that installs it."""
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    (tmp_path / "mine").mkdir()
    with pytest.raises(MissingError, match=r"pip install 'ssl-bench\[huggingface\]'"):
        huggingface.load({"path": "mine"}, tmp_path)


def test_options(tmp_path: Path) -> None:
    """A dataset of the hub needs a whole commit, since a branch moves; a folder that is not there is missing."""
    with pytest.raises(UsageError, match="must be a commit of 40 digits, not 'main'"):
        huggingface.locate({"name": "me/animals", "revision": "main"}, tmp_path)
    with pytest.raises(UsageError, match="name a dataset of the hub"):
        huggingface.locate({}, tmp_path)
    with pytest.raises(MissingError, match="me--animals@0123456789ab"):
        huggingface.locate({"name": "me/animals", "revision": REVISION}, tmp_path)
    with pytest.raises(UsageError, match="nothing to download"):
        huggingface.fetch({"path": "mine"}, tmp_path)
