"""What the store promises."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.predictions import Classes, Rankings, Truth
from ssl_bench.results import samples as sample_files
from ssl_bench.results.store import Results
from tests.results.factory import make_grid, make_model, make_record, make_task

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def files(root: Path) -> dict[str, bytes]:
    """Return every visible file under a folder, path to content."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def test_layout(tmp_path: Path):
    """A record lies at model/task/protocol-id8.json and is not on the disk in any other form."""
    record = make_record("dinov2_vits14", "dtd", "knn")
    put = Results(tmp_path).put(record)
    assert put.outcome == "stored"
    name = f"dinov2_vits14/dtd/knn-{record.record_id[:8]}.json"
    assert files(tmp_path) == {name: f"{record.to_text()}\n".encode()}


def test_reading_an_absent_root(tmp_path: Path):
    """A root that does not exist holds no records and is not made by reading."""
    results = Results(tmp_path / "none")
    assert results.records() == []
    assert not results.has("0" * 64)
    assert not (tmp_path / "none").exists()


def test_put_is_idempotent(tmp_path: Path):
    """The same job with the same numbers, run again at another time, changes nothing."""
    results, record = Results(tmp_path), make_record()
    results.put(record)
    before = files(tmp_path)
    later = dataclasses.replace(record, created="2027-01-01T00:00:00+00:00", timing={"extract_seconds": 9.0})
    for store in (results, Results(tmp_path)):
        put = store.put(later)
        assert put.outcome == "present"
        assert put.other == record
    assert files(tmp_path) == before


def test_drift(tmp_path: Path):
    """The same job with other numbers is kept beside the first, told to the caller and listed; nothing is replaced."""
    results = Results(tmp_path)
    first = make_record(value=0.75)
    second = make_record(value=0.76, created="2026-03-01T00:00:00+00:00")
    results.put(first)
    before = files(tmp_path)
    put = results.put(second)
    assert (put.outcome, put.other) == ("drift", first)
    assert results.put(second).outcome == "present"
    assert before.items() < files(tmp_path).items()
    assert results.records() == [first]
    assert results.drift == {first.record_id: (first, second)}
    assert [row.note for row in results.table_rows()] == ["drift"]


def test_a_further_metric_is_no_drift(tmp_path: Path):
    """A run that knows more metrics agrees with one of fewer if the shared ones do; packed, both are one job."""
    results, first = Results(tmp_path), make_record(value=0.75)
    fewer = dataclasses.replace(first, metrics={"top1": first.metrics["top1"]})
    results.put(fewer)
    assert results.put(first).outcome == "present"
    (tmp_path / "more.jsonl").write_text(f"{first.to_text()}\n")
    results.refresh()
    assert len(results.records()) == 1
    assert results.drift == {}


def test_drift_against_a_packed_record(tmp_path: Path):
    """A packed record is found by put as a loose one is."""
    results, first = Results(tmp_path), make_record(value=0.75)
    results.put(first)
    results.pack()
    assert results.put(first).outcome == "present"
    assert results.put(make_record(value=0.76)).outcome == "drift"
    assert len(results.records()) == 1


def test_equal_short_ids(tmp_path: Path):
    """Two jobs whose ids begin alike are both kept, under two names."""
    results = Results(tmp_path)
    record, other = make_record(value=0.5), make_record(value=0.6, seed=1)
    path = results.root / f"dinov2_vits14/cifar10/knn-{record.record_id[:8]}.json"
    path.parent.mkdir(parents=True)
    path.write_text(other.to_text())
    results.refresh()
    assert results.put(record).outcome == "stored"
    assert Results(tmp_path).records() == [record, other]


def test_has(tmp_path: Path):
    """`has` answers from file names and packed ids, and needs a readable record to say yes."""
    results = Results(tmp_path)
    records = list(make_grid(models=2, tasks=3))
    for record in records[:6]:
        results.put(record)
    results.pack()
    for record in records[6:]:
        results.put(record)
    fresh = Results(tmp_path)
    assert all(fresh.has(record.record_id) for record in records)
    assert not fresh.has("f" * 64)
    assert not fresh.has(records[0].record_id[:8] + "0" * 56)


def test_broken_file_is_no_record(tmp_path: Path):
    """A damaged record does not count as done: has says no, and put stores the new one beside it."""
    record = make_record()
    path = Results(tmp_path).put(record).path
    path.write_bytes(path.read_bytes()[:500])
    results = Results(tmp_path)
    assert not results.has(record.record_id)
    assert results.put(record).outcome == "stored"
    assert results.records() == [record]
    assert [skipped.where for skipped in results.skipped] == [str(path.relative_to(tmp_path))]
    assert results.has(record.record_id)


def test_get(tmp_path: Path):
    """A record is fetched by its id or by any prefix that names one job."""
    results = Results(tmp_path)
    records = list(make_grid(models=3, tasks=3))
    for record in records:
        results.put(record)
    for record in records:
        assert results.get(record.record_id) == record
        assert results.get(record.record_id[:12].upper()) == record
    with pytest.raises(UsageError, match="begins the ids of"):
        results.get(_shared_digit(records))
    for wrong in ("zz", "f" * 64):
        with pytest.raises(UsageError, match="results ls"):
            results.get(wrong)
    with pytest.raises(UsageError, match="empty"):
        results.get("")


def _shared_digit(records) -> str:
    digits = [record.record_id[0] for record in records]
    return next(digit for digit in digits if digits.count(digit) > 1)


def test_pack_and_unpack(tmp_path: Path):
    """Pack and unpack are inverse, lose nothing, and give the same bytes whatever the order of putting was."""
    records = [
        *make_grid(models=3, tasks=2),
        make_record("timm:vit,size=96"),
        make_record(value=0.9, created="2026-05-01T00:00:00+00:00"),
        make_record(value=0.8),
    ]
    for name, order in (("a", records), ("b", records[::-1])):
        for record in order:
            Results(tmp_path / name).put(record)
    a, b = Results(tmp_path / "a"), Results(tmp_path / "b")
    everything, drift = a.records(), a.drift
    packed = [store.pack() for store in (a, b)]
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert sorted(path.suffix for path in packed[0]) == [".jsonl"] * 5
    assert not [path for path in (tmp_path / "a").iterdir() if path.is_dir()]
    assert (a.records(), a.drift) == (everything, drift)
    before = files(tmp_path / "a")
    assert a.pack() == []
    a.unpack()
    assert not list((tmp_path / "a").glob("*.jsonl"))
    assert (a.records(), a.drift) == (everything, drift)
    a.pack()
    assert files(tmp_path / "a") == before


def test_unpack_restores_names(tmp_path: Path):
    """What was loose, packed and unpacked has its old names and bytes."""
    results = Results(tmp_path)
    for record in [*make_grid(models=2, tasks=2), make_record("A/b:c,d=e")]:
        results.put(record)
    before = files(tmp_path)
    results.pack()
    results.unpack()
    assert files(tmp_path) == before


def test_loose_and_packed_together(tmp_path: Path):
    """A record that lies both loose and packed is one record, and packing again leaves one line."""
    record = make_record()
    for name in ("a", "b"):
        Results(tmp_path / name).put(record)
    Results(tmp_path / "a").pack()
    source = next((tmp_path / "b").rglob("*.json"))
    target = tmp_path / "a" / source.relative_to(tmp_path / "b")
    target.parent.mkdir(parents=True)
    target.write_bytes(source.read_bytes())
    results = Results(tmp_path / "a")
    assert results.records() == [record]
    results.pack()
    assert (tmp_path / "a" / "dinov2_vits14.jsonl").read_text() == f"{record.to_text()}\n"


def test_packing_refuses_to_lose(tmp_path: Path):
    """A broken line in a packed file stops packing and unpacking, named by file and line."""
    results = Results(tmp_path)
    results.put(make_record())
    results.pack()
    with (tmp_path / "dinov2_vits14.jsonl").open("a") as file:
        file.write("<<<<<<< HEAD\n")
    results.put(make_record(seed=1))
    before = files(tmp_path)
    for act in (results.pack, results.unpack):
        with pytest.raises(UsageError, match=r"dinov2_vits14\.jsonl:2"):
            act()
    assert files(tmp_path) == before


def test_skipped(tmp_path: Path):
    """What cannot be read is listed with file and reason, and the rest is read."""
    results, record = Results(tmp_path), make_record()
    path = results.put(record).path
    newer = record.to_text().replace("ssl-bench.record/1", "ssl-bench.record/9")
    (path.parent / "knn-00000001.json").write_text(newer)
    (path.parent / "knn-00000002.json").write_text("")
    (path.parent / "knn-00000003.json").mkdir()
    (tmp_path / "other.jsonl").write_text("not json\n\n" + record.to_text() + "\n")
    assert results.records() == [record]
    reasons = [skipped.reason for skipped in results.skipped]
    assert [skipped.where.rpartition("/")[2] for skipped in results.skipped] == [
        "other.jsonl:1",
        "knn-00000001.json",
        "knn-00000002.json",
        "knn-00000003.json",
    ]
    assert "newer" in reasons[1]
    assert "not whole JSON" in reasons[2]
    assert "Is a directory" in reasons[3]
    assert str(tmp_path) not in "".join(map(str, results.skipped))


def test_hostile_names_stay_inside(tmp_path: Path):
    """No model, task or protocol name leads out of the root or onto another model's file."""
    root = tmp_path / "root"
    names = ["../../evil", "/etc/evil", "..", "samples", "x.jsonl", "<script>", "A", "a", "timm:a,b=c", "timm/a,b=c"]
    for name in names:
        record = make_record(make_model(name), make_task(name))
        Results(root).put(record)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    assert {record.model.name for record in Results(root).records()} == set(names)
    Results(root).pack()
    assert len(list(root.glob("*.jsonl"))) == len(names)
    assert {record.model.name for record in Results(root).records()} == set(names)


# ---------------------------------------------------------------- many processes


def _put_all(root: str, worker: int) -> None:
    results = Results(root)
    for seed in range(25):
        results.put(make_record("shared", seed=seed, created=f"2026-01-01T00:00:{worker:02d}+00:00"))
        results.put(make_record(f"own{worker}", seed=seed))
        results.put(make_record("drifting", value=0.5 + 0.01 * worker, created=f"2026-01-{worker + 1:02d}"))


def test_many_writers(tmp_path: Path):
    """Processes that write at once, into one folder and even one file, lose nothing and invent nothing."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_all, args=(str(tmp_path), i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    results = Results(tmp_path)
    records = results.records()
    assert results.skipped == []
    assert len([record for record in records if record.model.name == "shared"]) == 25
    assert len([record for record in records if record.model.name.startswith("own")]) == 100
    (spread,) = results.drift.values()
    assert [round(record.headline.value, 2) for record in spread] == [0.5, 0.51, 0.52, 0.53]
    assert not list(tmp_path.rglob("*.tmp"))


def _put_forever(root: str) -> None:
    results = Results(root)
    for seed in range(1_000_000):
        results.put(make_record(seed=seed))


def test_killed_writer(tmp_path: Path):
    """A process that is killed while it writes leaves whole records and nothing that is taken for one."""
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        worker = context.Process(target=_put_forever, args=(str(tmp_path),))
        worker.start()
        known = len(list(tmp_path.rglob("*.json")))
        deadline = time.monotonic() + 60
        while len(list(tmp_path.rglob("*.json"))) < known + 5 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert worker.pid
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
    results = Results(tmp_path)
    assert len(results.records()) >= 5
    assert results.skipped == []
    results.pack()
    assert results.skipped == []


def _pack_often(root: str) -> None:
    for _ in range(20):
        Results(root).pack()


def test_packing_while_writing(tmp_path: Path):
    """Packing while others write, and packing twice at once, loses nothing."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_put_all, args=(str(tmp_path), i)) for i in range(2)]
    workers += [context.Process(target=_pack_often, args=(str(tmp_path),)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    results = Results(tmp_path)
    assert len(results.records()) == 25 + 2 * 25 + 1
    assert results.skipped == []


# ---------------------------------------------------------------- places that cannot be written


def test_root_is_a_file(tmp_path: Path):
    """A root that is a file is refused in one line before any work is done."""
    (tmp_path / "root").write_text("")
    with pytest.raises(MissingError, match="cannot write results to"):
        Results(tmp_path / "root").check_writable()
    with pytest.raises(MissingError, match="cannot write"):
        Results(tmp_path / "root").put(make_record())


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_root_without_permission(tmp_path: Path):
    """A folder without permission is refused in one line."""
    tmp_path.chmod(0o500)
    with pytest.raises(MissingError, match="Permission denied"):
        Results(tmp_path).check_writable()


def test_full_disk(tmp_path: Path, monkeypatch):
    """A full disk is one line, and leaves no half file."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for act in (lambda: Results(tmp_path).check_writable(), lambda: Results(tmp_path).put(make_record())):
        with pytest.raises(MissingError, match="No space left on device"):
            act()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- per-sample predictions


def predictions(classes: int = 10, n: int = 500) -> dict[str, Any]:
    """Return the table of made-up predictions."""
    draw = np.random.default_rng(0)
    ranked = np.argsort(draw.random((n, classes)), axis=1)[:, :5]
    made = Classes(ranked, draw.random(n, dtype=np.float32))
    return made.table([f"a/{i}.png" for i in range(n)], Truth({"test": draw.integers(0, classes, n)}, classes))


@pytest.mark.parametrize("classes", [3, 10])
def test_samples_round_trip(tmp_path: Path, classes):
    """Per-sample predictions come back as they went in; tasks of fewer than five classes have shorter rankings."""
    results = Results(tmp_path)
    given = predictions(classes)
    samples = results.put_samples(given)
    table = sample_files.read(results.root, samples)
    assert tuple(table) == samples.columns == tuple(given)
    assert table["sample_id"] == given["sample_id"]
    assert all(np.array_equal(table[name], given[name]) for name in given if name != "sample_id")
    assert (table["pred"] == given["top5"][:, 0]).all()


def test_lists_of_varying_length_round_trip(tmp_path: Path):
    """The places of a query's hits come back, none included."""
    order = np.array([[1, 2], [0, 2], [0, 1]], dtype=np.int32)
    made = Rankings(order).table(["a", "b", "c"], Truth({"test": np.array([0, 0, 1])}, 2))
    results = Results(tmp_path)
    samples = results.put_samples(made)
    assert list(sample_files.read(results.root, samples)["hits"]) == [[0], [0], []]


def test_samples_are_named_by_content(tmp_path: Path):
    """Equal predictions are one file under one digest, and other predictions another."""
    results = Results(tmp_path)
    first = results.put_samples(predictions())
    assert results.put_samples(predictions()) == first
    assert Results(tmp_path / "other").put_samples(predictions()) == first
    changed = predictions()
    changed["confidence"][0] += 1
    assert results.put_samples(changed).sha256 != first.sha256
    assert len(list((tmp_path / "samples").rglob("*.parquet"))) == 2


def test_samples_missing_or_damaged(tmp_path: Path):
    """Predictions that are not here, or not what the record names, are refused in one line."""
    results = Results(tmp_path)
    record = make_record(task=make_task("cifar10", truncated=500))
    with pytest.raises(MissingError, match="per-sample predictions are not at"):
        results.read_samples(record)
    record = dataclasses.replace(record, samples=results.put_samples(predictions()))
    next((tmp_path / "samples").rglob("*.parquet")).write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="does not match the file's name"):
        results.read_samples(record)
    hostile = dataclasses.replace(record, samples=dataclasses.replace(record.samples, sha256="../../x"))
    with pytest.raises(UsageError, match="no sha256"):
        results.read_samples(hostile)


def test_unequal_lengths(tmp_path: Path):
    """Predictions of unequal lengths are a mistake of the caller."""
    with pytest.raises(ValueError, match="lengths"):
        Results(tmp_path).put_samples(predictions() | {"sample_id": ["a"]})
