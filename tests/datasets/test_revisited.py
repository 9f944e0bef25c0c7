"""The revisited benchmarks: a small one, read and asked through the command line; and pickles that are refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_bench.cards import plain
from ssl_bench.datasets import revisited
from ssl_bench.errors import DataError, MissingError
from ssl_bench.images import decode
from ssl_bench.metrics.rankings import revisited_map
from ssl_bench.results.store import Results
from tests.cli.conftest import Command, command

__all__ = ["command"]
OPTIONS = {"path": "small/jpg", "judgements": "small/gnd_small.pkl"}
CARD = """
title = "Small"
reader = "revisited"
kind = "retrieval"
classes = 0
metric = "map_medium"
[data]
path = "small/jpg"
judgements = "small/gnd_small.pkl"
[splits]
train = "gallery"
test = "query"
"""


def truth() -> dict[str, Any]:
    """Return a ground truth of six gallery images and two queries: the second's only hit is hard."""
    lists = [{"easy": [0, 1], "hard": [2], "junk": [3]}, {"easy": [], "hard": np.array([4]), "junk": []}]
    boxes = [[0.0, 0.0, 8.0, 8.0], [8, 8, 16, 16]]
    names = [f"all_{number}" for number in range(6)]
    return {
        "imlist": names,
        "qimlist": ["all_0", "all_4"],
        "gnd": [{"bbx": box, **judged} for box, judged in zip(boxes, lists, strict=True)],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder with noise whose upper left corner tells buildings apart."""
    place = tmp_path / "data" / "small" / "jpg"
    place.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(6):
        image = draw.integers(0, 60, (16, 16, 3), dtype=np.uint8)
        image[:8, :8] += np.uint8(150 * (number < 3))
        Image.fromarray(image).save(place / f"all_{number}.jpg", quality=95)
    (place.parent / "gnd_small.pkl").write_bytes(pickle.dumps(truth(), protocol=2))
    return tmp_path / "data"


def test_splits_and_judgements(root: Path) -> None:
    """The gallery is whole photographs, a query what its box shows, and judgements are the gallery's positions."""
    found = revisited.load(OPTIONS, root)
    assert (len(found["gallery"]), len(found["query"])) == (6, 2)
    whole = np.asarray(decode(found["gallery"].read(4), ""))
    np.testing.assert_array_equal(found["query"].read(1), whole[8:16, 8:16])
    assert isinstance(revisited.load({**OPTIONS, "crop": False}, root)["query"].read(1), bytes)
    judged = revisited.judgements(OPTIONS, root)
    assert [part.tolist() for part in (*judged.easy, *judged.hard, *judged.junk)] == [[0, 1], [], [2], [4], [3], []]


def test_ids_tell_of_other_judgements(root: Path) -> None:
    """Another judgement, or another box, is another query, and so another task digest."""
    before = revisited.load(OPTIONS, root)["query"].ids
    changed = truth()
    changed["gnd"][1]["junk"] = [5]
    (root / "small" / "gnd_small.pkl").write_bytes(pickle.dumps(changed))
    after = revisited.load(OPTIONS, root)["query"].ids
    assert before[0] == after[0]
    assert before[1] != after[1]
    assert revisited.load({**OPTIONS, "crop": False}, root)["query"].ids[0] != before[0]


class Command_:
    """What a hostile pickle holds."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("owned",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (pickle.dumps({"imlist": Command_()}), "names posix.mkdir"),
        (b"not a pickle", "no ground truth"),
        (pickle.dumps([1, 2]), "no ground truth"),
        (pickle.dumps(truth() | {"imlist": ["one"]}), "positions up to 4 and 1 gallery images"),
        (pickle.dumps(truth() | {"qimlist": ["one"]}), "1 queries, 2 judgements"),
    ],
)
def test_what_is_no_ground_truth(
    content: bytes, says: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pickle that would run something is refused before it does, and one that does not fit says how."""
    monkeypatch.chdir(tmp_path)
    (root / "small" / "gnd_small.pkl").write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        revisited.load(OPTIONS, root)
    assert "\n" not in str(caught.value)
    assert not Path("owned").exists()


def test_what_is_not_there(tmp_path: Path) -> None:
    """A missing folder and a missing ground truth are named together."""
    with pytest.raises(MissingError, match=r"gnd_small.pkl, .*jpg"):
        revisited.locate(OPTIONS, tmp_path)


def test_a_run_through_the_command_line(command: Command, root: Path) -> None:
    """A benchmark is asked with its gallery; its headline is the published measure of the ranking; nothing is cut."""
    Path("tasks").mkdir()
    Path("tasks/small.toml").write_text(CARD)
    words = ("run", "-m", "pixels,size=8", "-t", "small", "--shelf", ".", "--data", root)
    said = command(*words, "-p", "retrieval,gallery=train")
    assert said.code == 0, said.err
    (record,) = Results(Path("results")).records()
    assert record.task.metric == "map_medium"
    assert set(record.metrics) == {"map_easy", "map_medium", "map_hard"}
    assert {name: metric.n for name, metric in record.metrics.items()} == {
        "map_easy": 1,
        "map_medium": 2,
        "map_hard": 2,
    }
    table = Results(Path("results")).read_samples(record)
    judged = plain({"easy": [[0, 1], []], "hard": [[2], [4]], "junk": [[3], []]})
    order = np.full((2, 6), 5)
    for query in range(2):
        for column, kind in (("hits_easy", "easy"), ("hits_hard", "hard"), ("junk", "junk")):
            order[query, table[column][query]] = judged[kind][query]
    expected = revisited_map(order, judged["easy"], judged["hard"], judged["junk"], "medium")
    assert record.headline.value == pytest.approx(expected)
    for more, says in (((), "a gallery of its own"), (("--limit", 2), "cannot be cut")):
        said = command(*words, "-p", "retrieval" + (",gallery=train" if more else ""), *more)
        assert said.code == 2
        assert says in said.err
    assert "cannot ask the task 'small'" in command(*words, "-p", "knn").err
    assert command("board", "--html", "b.html").code == 0
