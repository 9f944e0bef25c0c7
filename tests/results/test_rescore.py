"""What predictions say of a record: of every kind, as real runs write them."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ssl_bench
from ssl_bench import metrics
from ssl_bench.errors import UsageError
from ssl_bench.predictions import Judgements, Quantities, Rankings, Truth
from ssl_bench.results import rescore
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.cli.conftest import Command, command
from tests.results.factory import make_record, make_scored_record

__all__ = ["command"]
PIXELS = "pixels,size=4,channels=grey"
KNOWN = {
    "knn": {"top1", "top5", "mean_per_class"},
    "logistic_regression,c_steps=3": {"top1", "top5", "mean_per_class", "ece"},
    "clustering": {"hungarian_accuracy", "nmi", "ari"},
    "retrieval": {"map", "recall_at_1", "recall_at_5", "recall_at_10"},
    "retrieval,gallery=train": {"map", "recall_at_1", "recall_at_5", "recall_at_10"},
    "retrieval,depth=20": set(),
    "episodic,episodes=20,ways=3,queries=5": {"episode_accuracy"},
    "label_free,c_steps=1": {"rotation_accuracy"},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Results, Record]]:
    """A real record of each kind of predictions."""
    folder = tmp_path_factory.mktemp("runs")
    flags: dict[str, Any] = {name: folder / name for name in ("data", "cache", "results")}
    found = {}
    for words in KNOWN:
        outcome = ssl_bench.run(
            PIXELS, task="digits", protocol=words, seeds=(0,), device="cpu", workers=0, progress="none", **flags
        )
        found[words] = Results(flags["results"]), outcome.records[0]
    return found


@pytest.mark.parametrize("words", KNOWN)
def test_real_numbers_come_out_again(runs: dict[str, tuple[Results, Record]], words: str) -> None:
    """The predictions of a run give its numbers again, those that predictions hold."""
    results, record = runs[words]
    again = rescore.rescored(record, results.read_samples(record))
    assert again.keys() == KNOWN[words]
    for name, (value, n) in again.items():
        assert value == pytest.approx(record.metrics[name].value, abs=1e-9)
        assert n == record.metrics[name].n


@pytest.mark.parametrize("words", [words for words, names in KNOWN.items() if names])
def test_every_number_that_can_be_computed_is_held_to_it(runs: dict[str, tuple[Results, Record]], words: str) -> None:
    """Of every kind of predictions, a number that is a little off is refused by its name."""
    results, record = runs[words]
    for name in KNOWN[words]:
        told = record.metrics[name]
        value = told.value - 2e-3 if told.value > 0.5 else told.value + 2e-3
        lie = {**record.metrics, name: dataclasses.replace(told, value=value, interval=None)}
        lie = {key: one for key, one in lie.items() if key in (name, record.task.metric)}
        with pytest.raises(UsageError, match=rf"metrics\.{name}: .* is stated, but the predictions give"):
            results.read_samples(dataclasses.replace(record, metrics=lie))


Change = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda table: table | {"sample_id": table["sample_id"][::-1]},
            "task.ids: the predictions are of other samples",
        ),
        (lambda table: {name: column[:-1] for name, column in table.items()}, r"samples\.n is 40, but there are 39"),
        (lambda table: table | {"target": table["target"] + 100}, "not what their columns tell"),
        (lambda table: table | {"target": table["target"] * 1.5}, "not what their columns tell"),
        (lambda table: table | {"target": table["sample_id"]}, "not what their columns tell"),
        (lambda table: table | {"top5": table["target"]}, "not what their columns tell"),
        (lambda table: table | {"pred": table["target"]}, "not what their columns tell"),
        (lambda table: table | {"more": table["target"]}, r"samples\.columns"),
    ],
)
def test_foreign_predictions(tmp_path: Path, change: Change, message: str) -> None:
    """Predictions of other samples, lengths, ranges, types or columns are refused in words, with whatever digest."""
    results = Results(tmp_path)
    record = make_scored_record(results)
    table = change(dict(results.read_samples(record)))
    written = results.put_samples(table)
    claimed = dataclasses.replace(record.samples, sha256=written.sha256)
    with pytest.raises(UsageError, match=message):
        results.put(dataclasses.replace(record, samples=claimed))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" * 50, b"{}"])
def test_bytes_that_are_no_predictions(tmp_path: Path, content: bytes) -> None:
    """A file of the right name that is no Parquet is refused in one line."""
    results = Results(tmp_path)
    record = make_scored_record(results)
    sha256 = hashlib.sha256(content).hexdigest()
    path = tmp_path / "samples" / sha256[:2] / f"{sha256}.parquet"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    claimed = dataclasses.replace(record.samples, sha256=sha256)
    with pytest.raises(UsageError, match="no Parquet file") as said:
        sample_files.read(results.files, claimed)
    assert "\n" not in str(said.value)


def test_columns_that_are_filled_up(tmp_path: Path) -> None:
    """Where spectra are longer than the test set, what fills the other columns up does not count."""
    turns = {f"turn_{90 * turn}": np.array([turn, turn, 0.0]) for turn in range(4)}
    said = Quantities({"rotation_accuracy": 9 / 12}, turns | {"variance": np.arange(5.0)})
    results = Results(tmp_path)
    base = make_record(protocol="logistic_regression")
    definition = dataclasses.replace(base.definition("top1"), chance=0.25)
    name = "rotation_accuracy"
    task = dataclasses.replace(base.task, samples={"test": 3}, metric=name, metrics={name: definition})
    value = dataclasses.replace(base.headline, value=9 / 12, n=3, interval=None)
    samples = results.put_samples(said.table([], Truth({"test": np.zeros(3, dtype=np.int64)}, 0)))
    record = dataclasses.replace(base, task=task, metrics={name: value}, samples=samples)
    assert results.put(record).outcome == "stored"


def lie_of(record: Record) -> Record:
    """Return a record of the same predictions that claims another number."""
    better = {name: dataclasses.replace(one, value=0.99, interval=None) for name, one in record.metrics.items()}
    return dataclasses.replace(record, metrics=better)


def place(root: Path, record: Record, name: str) -> None:
    path = root / record.model.name / record.task.name / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{record.to_text()}\n")


def test_a_lie_that_was_placed_by_hand_is_not_read(tmp_path: Path) -> None:
    """`get` and `unpack` refuse a record that its predictions belie, also one that nobody put."""
    results = Results(tmp_path)
    liar = lie_of(make_scored_record(results))
    place(tmp_path, liar, f"logistic_regression-{liar.record_id[:8]}.json")
    with pytest.raises(UsageError, match="is stated, but the predictions give"):
        Results(tmp_path).get(liar.record_id)
    (tmp_path / "x.jsonl").write_text(f"{liar.to_text()}\n")
    with pytest.raises(UsageError, match="is stated, but the predictions give"):
        Results(tmp_path).unpack()
    assert (tmp_path / "x.jsonl").exists()


def test_a_board_lists_a_lie_by_name(command: Command) -> None:
    """A board leaves a belied record out and names it; without predictions it cannot know. It remembers honest ones."""
    results = Results(Path("results"))
    honest = make_scored_record(results)
    results.put(honest)
    assert command("board", "--markdown", "honest.md").code == 0
    assert "75.0" in Path("honest.md").read_text()
    (memory,) = Path("cache").glob("rescored.txt")
    assert memory.read_text().split() == [honest.content_digest]
    liar = lie_of(dataclasses.replace(honest, seed=1))
    place(Path("results"), liar, f"logistic_regression-{liar.record_id[:8]}.json")
    assert command("board", "--markdown", "b.md").code == 0
    page = Path("b.md").read_text()
    assert "dinov2_vits14 × cifar10 × logistic_regression" in page
    assert "0.99 is stated, but the predictions give 0.75" in page
    assert memory.read_text().split() == [honest.content_digest]
    shutil.rmtree(results.root / "samples")
    memory.unlink()
    assert command("board", "--markdown", "c.md").code == 0
    assert "is stated" not in Path("c.md").read_text()


def test_judged_rankings(tmp_path: Path) -> None:
    """Rankings that people judged give their three average precisions again."""
    draw = np.random.default_rng(0)
    order = np.stack([draw.permutation(50) for _ in range(6)]).astype(np.int32)
    lists = [np.split(draw.permutation(50)[:9], [3, 6]) for _ in order]
    judged = Judgements(*(tuple(np.asarray(row[i], dtype=np.int64) for row in lists) for i in range(3)))
    said, truth = Rankings(order, "train"), Truth({"test": np.zeros(6, dtype=np.int64)}, 0, judgements=judged)
    results = Results(tmp_path)
    table = results.put_samples(said.table([f"q{i}" for i in range(6)], truth))
    names = [f"map_{setup}" for setup in ("easy", "medium", "hard")]
    scores = {name: metrics.get(name).score(said, truth) for name in names}
    base = make_record(protocol="logistic_regression")
    definition = base.definition("top1")
    task = dataclasses.replace(
        base.task, samples={"test": 6}, metric=names[1], metrics=dict.fromkeys(names, definition), kind="retrieval"
    )
    values = {name: dataclasses.replace(base.headline, value=scores[name][0], n=6, interval=None) for name in names}
    record = dataclasses.replace(base, task=task, metrics=values, samples=table)
    again = rescore.rescored(record, results.read_samples(record))
    assert again == {name: (pytest.approx(scores[name][0]), 6) for name in names}
