"""What the store promises, in a folder and in an object store alike."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import pytest

from ssl_bench.errors import UsageError
from ssl_bench.results.keeping import remove, waste
from ssl_bench.results.store import Results
from tests.places import Place
from tests.results.factory import make_grid, make_model, make_record, make_task


def test_layout(place: Place):
    """A record lies at model/task/protocol-id8.json and is not on the disk in any other form."""
    record = make_record("dinov2_vits14", "dtd", "knn")
    put = place.results().put(record)
    assert put.outcome == "stored"
    name = f"dinov2_vits14/dtd/knn-{record.record_id[:8]}.json"
    assert place.files() == {name: f"{record.to_text()}\n".encode()}


def test_reading_an_absent_root(place: Place, tmp_path: Path):
    """A root that does not exist holds no records and is not made by reading."""
    results = place.results()
    assert results.records() == []
    assert not results.has("0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_put_is_idempotent(place: Place):
    """The same job with the same numbers, run again at another time, changes nothing."""
    results, record = place.results(), make_record()
    results.put(record)
    before = place.files()
    later = dataclasses.replace(record, created="2027-01-01T00:00:00+00:00", timing={"extract_seconds": 9.0})
    for store in (results, place.results()):
        put = store.put(later)
        assert put.outcome == "present"
        assert put.other == record
    assert place.files() == before


def test_drift(place: Place):
    """The same job with other numbers is kept beside the first, told to the caller and listed; nothing is replaced."""
    results = place.results()
    first = make_record(value=0.75)
    second = make_record(value=0.76, created="2026-03-01T00:00:00+00:00")
    results.put(first)
    before = place.files()
    put = results.put(second)
    assert (put.outcome, put.other) == ("drift", first)
    assert results.put(second).outcome == "present"
    assert before.items() < place.files().items()
    assert results.records() == [first]
    assert results.drift == {first.record_id: (first, second)}
    assert [row.note for row in results.table_rows()] == ["drift"]
    assert [status for _, status, _ in results.runs(first.record_id)] == ["standing", "drift"]


def test_drift_beside_another_run(place: Place):
    """Two runs that know nothing of each other and drift to the same numbers leave one replicate."""
    here, there = place.results(), place.results()
    for results in (here, there):
        assert not results.has(make_record().record_id)
    assert here.put(make_record(value=0.75)).outcome == "stored"
    assert there.put(make_record(value=0.76, created="2026-03-01")).outcome == "drift"
    assert here.put(make_record(value=0.76, created="2026-04-01")).outcome == "present"
    assert len(place.files()) == 2


def test_a_further_metric_is_no_drift(place: Place):
    """A run that knows more metrics agrees with one of fewer if the shared ones do; packed, both are one job."""
    results, first = place.results(), make_record(value=0.75)
    fewer = dataclasses.replace(first, metrics={"top1": first.metrics["top1"]})
    results.put(fewer)
    assert results.put(first).outcome == "present"
    place.write("more.jsonl", f"{first.to_text()}\n")
    results.refresh()
    assert len(results.records()) == 1
    assert results.drift == {}
    assert [status for _, status, _ in results.runs(first.record_id)] in (
        ["standing", "repeat"],
        ["repeat", "standing"],
    )


def test_drift_against_a_packed_record(place: Place):
    """A packed record is found by put as a loose one is."""
    results, first = place.results(), make_record(value=0.75)
    results.put(first)
    results.pack()
    assert results.put(first).outcome == "present"
    assert results.put(make_record(value=0.76)).outcome == "drift"
    assert len(results.records()) == 1


def test_packed_meanwhile(place: Place):
    """A record that another process stored and packed since this one looked is not doubled."""
    slow, fast = place.results(), place.results()
    assert not slow.has(make_record().record_id)
    fast.put(make_record())
    fast.pack()
    assert slow.put(make_record(created="2027-01-01")).outcome == "present"
    assert list(place.files()) == ["dinov2_vits14.jsonl"]


def test_equal_short_ids(place: Place):
    """Two jobs whose ids begin alike are both kept, under two names."""
    record, other = make_record(value=0.5), make_record(value=0.6, seed=1)
    place.write(f"dinov2_vits14/cifar10/knn-{record.record_id[:8]}.json", other.to_text())
    assert place.results().put(record).outcome == "stored"
    assert place.results().records() == [record, other]


def test_has(place: Place):
    """`has` answers from file names and packed ids, and needs a readable record to say yes."""
    results = place.results()
    records = list(make_grid(models=2, tasks=3))
    for record in records[:6]:
        results.put(record)
    results.pack()
    for record in records[6:]:
        results.put(record)
    fresh = place.results()
    assert all(fresh.has(record.record_id) for record in records)
    assert not fresh.has("f" * 64)
    assert not fresh.has(records[0].record_id[:8] + "0" * 56)


def test_broken_file_is_no_record(place: Place):
    """A damaged record does not count as done: has says no, and put stores the new one beside it."""
    record = make_record()
    name = place.results().put(record).name
    place.write(name, place.files()[name][:500])
    results = place.results()
    assert not results.has(record.record_id)
    assert results.put(record).outcome == "stored"
    assert results.records() == [record]
    assert [skipped.where for skipped in results.skipped] == [name]
    assert results.has(record.record_id)


def test_get(place: Place):
    """A record is fetched by its id, by any prefix that names one job, or by its content digest."""
    results = place.results()
    records = list(make_grid(models=3, tasks=3))
    for record in records:
        results.put(record)
    for record in records:
        assert results.get(record.record_id) == record
        assert results.get(record.record_id[:12].upper()) == record
    assert results.get(records[0].content_digest[:20]) == records[0]
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


# ---------------------------------------------------------------- withdrawing


def test_withdrawing(place: Place):
    """A withdrawn record stays readable and is told with its reason, stands for nothing, and is measured anew."""
    results, record = place.results(), make_record()
    results.put(record)
    before = place.files()
    (withdrawal,) = results.withdraw(record.record_id[:12], "the test images were trained on")
    assert withdrawal.content_digest == record.content_digest
    assert results.withdraw(record.record_id, "again") == []
    for store in (results, place.results()):
        assert before.items() < place.files().items()
        assert store.records() == []
        assert store.withdrawn == [(record, "the test images were trained on")]
        assert not store.has(record.record_id)
        assert store.get(record.record_id) == record
        assert [row.note for row in store.table_rows()] == ["withdrawn: the test images were trained on"]
    anew = make_record(value=0.6, created="2026-09-01T00:00:00+00:00")
    assert results.put(anew).outcome == "stored"
    assert results.records() == [anew]
    assert results.drift == {}
    assert results.get(record.record_id) == anew


def test_withdrawing_one_of_several(place: Place):
    """A content digest withdraws one run of a job; the others stand as if it had never been."""
    results = place.results()
    first, second = make_record(value=0.75), make_record(value=0.76, created="2026-03-01T00:00:00+00:00")
    results.put(first)
    results.put(second)
    results.withdraw(first.content_digest[:16], "a broken machine")
    assert results.records() == [second]
    assert results.drift == {}
    assert place.results().put(second).outcome == "present"


def test_withdrawals_travel_packed(place: Place):
    """Packing and unpacking keep withdrawals, and pack them beside their records."""
    results, record = place.results(), make_record()
    results.put(record)
    results.withdraw(record.record_id, "because")
    loose = place.files()
    assert results.pack() == ["dinov2_vits14.jsonl"]
    assert len(place.files()) == 1
    assert (results.records(), [why for _, why in results.withdrawn]) == ([], ["because"])
    assert results.withdraw(record.record_id, "again") == []
    results.unpack()
    assert place.files() == loose


def test_a_reason_is_needed(place: Place):
    """A withdrawal without a reason is refused, and changes nothing."""
    results, record = place.results(), make_record()
    results.put(record)
    before = place.files()
    with pytest.raises(UsageError, match="reason is empty"):
        results.withdraw(record.record_id, "  ")
    assert place.files() == before


# ---------------------------------------------------------------- packing


def test_pack_and_unpack(place: Place):
    """Pack and unpack are inverse, lose nothing, and give the same bytes whatever the order of putting was."""
    records = [
        *make_grid(models=3, tasks=2),
        make_record("timm:vit,size=96"),
        make_record(value=0.9, created="2026-05-01T00:00:00+00:00"),
        make_record(value=0.8),
    ]
    first, second = place, place.beside("other")
    for where, order in ((first, records), (second, records[::-1])):
        for record in order:
            where.results().put(record)
    a, b = first.results(), second.results()
    everything, drift = a.records(), a.drift
    packed = [store.pack() for store in (a, b)]
    assert first.files() == second.files()
    assert packed[0] == sorted(first.files())
    assert [name.rpartition(".")[2] for name in packed[0]] == ["jsonl"] * 5
    assert (a.records(), a.drift) == (everything, drift)
    before = first.files()
    assert a.pack() == []
    a.unpack()
    assert not [name for name in first.files() if name.endswith(".jsonl")]
    assert (a.records(), a.drift) == (everything, drift)
    a.pack()
    assert first.files() == before


def test_unpack_restores_names(place: Place):
    """What was loose, packed and unpacked has its old names and bytes."""
    results = place.results()
    for record in [*make_grid(models=2, tasks=2), make_record("A/b:c,d=e")]:
        results.put(record)
    before = place.files()
    results.pack()
    results.unpack()
    assert place.files() == before


def test_loose_and_packed_together(place: Place):
    """A record that lies both loose and packed is one record, and packing again leaves one line."""
    record = make_record()
    place.results().put(record)
    ((name, content),) = place.files().items()
    place.results().pack()
    place.write(name, content)
    results = place.results()
    assert results.records() == [record]
    assert len(results.table_rows()) == 1
    results.pack()
    assert place.files() == {"dinov2_vits14.jsonl": f"{record.to_text()}\n".encode()}


def test_packing_refuses_to_lose(place: Place):
    """A broken line in a packed file stops packing and unpacking, named by file and line."""
    results = place.results()
    results.put(make_record())
    results.pack()
    packed = place.files()["dinov2_vits14.jsonl"]
    place.write("dinov2_vits14.jsonl", packed + b"<<<<<<< HEAD\n")
    results.put(make_record(seed=1))
    before = place.files()
    for act in (results.pack, results.unpack):
        with pytest.raises(UsageError, match=r"dinov2_vits14\.jsonl:2"):
            act()
    assert place.files() == before


# ---------------------------------------------------------------- what strangers leave


def test_skipped(place: Place):
    """What cannot be read is listed with file and reason, and the rest is read."""
    results, record = place.results(), make_record()
    folder = results.put(record).name.rpartition("/")[0]
    newer = record.to_text().replace("ssl-bench.record/1", "ssl-bench.record/9")
    place.write(f"{folder}/knn-00000001.json", newer)
    place.write(f"{folder}/knn-00000002.json", "")
    place.write(f"{folder}/knn-00000003.json", '{"schema": "ssl-bench.withdrawal/1"}')
    place.write("other.jsonl", "not json\n\n" + record.to_text() + "\n")
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
    assert "the key 'record_id' is missing" in reasons[3]
    assert place.root not in "".join(map(str, results.skipped))
    results.records()
    assert len(results.skipped) == 4


def test_hostile_names_stay_inside(place: Place, tmp_path: Path):
    """No model, task or protocol name leads out of the root or onto another model's file."""
    names = ["../../evil", "/etc/evil", "..", "samples", "x.jsonl", "<script>", "A", "a", "timm:a,b=c", "timm/a,b=c"]
    for name in names:
        record = make_record(make_model(name), make_task(name))
        place.results().put(record)
    assert {path.name for path in tmp_path.iterdir()} <= {"root"}
    assert {record.model.name for record in place.results().records()} == set(names)
    place.results().pack()
    assert len(place.files()) == len(names)
    assert {record.model.name for record in place.results().records()} == set(names)


# ---------------------------------------------------------------- many processes


SEEDS = 5


def _put_all(root: str, worker: int) -> None:
    results = Results(root)
    for seed in range(SEEDS):
        results.put(make_record("shared", seed=seed, created=f"2026-01-01T00:00:{worker:02d}+00:00"))
        results.put(make_record(f"own{worker}", seed=seed))
        results.put(make_record("drifting", value=0.5 + 0.01 * worker, created=f"2026-01-{worker + 1:02d}"))


def _pack_often(root: str, _: int) -> None:
    for _ in range(5):
        Results(root).pack()


def _together(place: Place, *jobs) -> None:
    """Run (function, worker) pairs at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=function, args=(place.root, worker)) for function, worker in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0


def test_many_writers(place: Place):
    """Processes that write at once, into one folder and even one file, lose nothing and invent nothing."""
    _together(place, *((_put_all, worker) for worker in range(3)))
    results = place.results()
    records = results.records()
    assert results.skipped == []
    assert len([record for record in records if record.model.name == "shared"]) == SEEDS
    assert len([record for record in records if record.model.name.startswith("own")]) == 3 * SEEDS
    (spread,) = results.drift.values()
    assert [round(record.headline.value, 2) for record in spread] == [0.5, 0.51, 0.52]
    assert len(place.files()) == SEEDS + 3 * SEEDS + 3


def test_packing_while_writing(place: Place):
    """Packing while others write, and packing twice at once, loses nothing and doubles nothing.

    A packer may take a record in just before its writer finds equal numbers and takes it back: it is then a repeat,
    which no list shows and `gc` removes.
    """
    _together(place, (_put_all, 0), (_put_all, 1), (_pack_often, 2), (_pack_often, 3))
    results = place.results()
    assert len(results.records()) == SEEDS + 2 * SEEDS + 1
    assert results.skipped == []
    remove(results, waste(results))
    assert len(results.records()) == SEEDS + 2 * SEEDS + 1
    assert len(results.index.rows("SELECT DISTINCT content_digest FROM places")) == SEEDS + 2 * SEEDS + 2
