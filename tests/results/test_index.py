"""What the index promises: it is a memory of the files, never more, and may be lost at any time."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from ssl_bench.results import index_rows
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.places import Place
from tests.results.factory import make_grid, make_record

COMMITTED = Path(__file__).parents[2] / "results"


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that every line adds its place to when it is checked."""
    checked: list[str] = []
    row = index_rows.row
    monkeypatch.setattr(index_rows, "row", lambda content, where: (checked.append(where), row(content, where))[1])
    return checked


def test_records_come_back_as_they_were_read():
    """A record from the index equals the one that its file gives, to the byte, whichever version wrote it."""
    lines = [line for path in sorted(COMMITTED.glob("*.jsonl")) for line in path.read_text().splitlines()]
    read = {record.content_digest: record for record in (Record.from_text(line, "x") for line in lines)}
    found = Results(COMMITTED).records()
    assert len(found) == len(lines)
    for record in found:
        assert record == read[record.content_digest]
        assert record.to_text() == read[record.content_digest].to_text()
        stated = (record.record_id, record.question)
        again = dataclasses.replace(record)
        assert stated == (again.record_id, again.question)


def test_a_line_is_checked_once(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was checked is not checked again: not by another process, nor packed, nor beside new lines."""
    checked = counted(monkeypatch)
    records = list(make_grid(models=2, tasks=2))
    for record in records:
        place.results().put(record)
    assert place.results(tmp_path / "cache").records() == records
    assert len(checked) == len(records)
    assert place.results(tmp_path / "cache").records() == records
    place.results().pack()
    assert place.results(tmp_path / "cache").records() == records
    assert len(checked) == len(records)
    place.results().put(make_record("another"))
    assert len(place.results(tmp_path / "cache").records()) == len(records) + 1
    assert len(checked) == len(records) + 1


def test_the_index_follows_the_files(place: Place, tmp_path: Path):
    """A record that was replaced, broken or removed by hand is what the files say at the next look."""
    results, cache = place.results(), tmp_path / "cache"
    name, other = results.put(make_record()).name, make_record(value=0.5)
    assert place.results(cache).records() == [make_record()]
    place.write(name, other.to_text())
    assert place.results(cache).records() == [other]
    place.write(name, "{}")
    reader = place.results(cache)
    assert (reader.records(), len(reader.skipped)) == ([], 1)
    results.files.remove(name)
    assert (reader.records(), reader.skipped) == ([], [])


def test_drift_ends_with_its_record(place: Place, tmp_path: Path):
    """When one of two unequal records goes, the other stands alone."""
    results, cache = place.results(), tmp_path / "cache"
    first, second = make_record(value=0.75), make_record(value=0.76, created="2026-03-01T00:00:00+00:00")
    names = [results.put(record).name for record in (first, second)]
    reader = place.results(cache)
    assert (reader.records(), len(reader.drift)) == ([first], 1)
    results.files.remove(names[0])
    assert (reader.records(), reader.drift) == ([second], {})


@pytest.mark.parametrize("damage", [b"", b"no database at all", None])
def test_a_damaged_index_is_built_anew(tmp_path: Path, damage: bytes | None):
    """An index that is empty, foreign or cut short costs time, never a record or an error."""
    root, cache = tmp_path / "root", tmp_path / "cache"
    records = list(make_grid(models=3, tasks=3))
    for record in records:
        Results(root).put(record)
    results = Results(root, cache)
    assert results.records() == records
    results.index.close()
    (path,) = cache.rglob("*.sqlite")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert Results(root, cache).records() == records
    assert Results(root, cache).records() == records


def test_damage_while_it_is_open(tmp_path: Path):
    """An index that breaks under a reader is told in one line and built anew."""
    said: list[str] = []
    results = Results(tmp_path / "root", tmp_path / "cache", said.append)
    results.put(make_record())
    results.records()
    results.index.db.execute("DROP TABLE bodies")
    results.put(make_record(seed=1))
    assert len(results.records()) == 2
    assert len(said) == 1
    assert "built anew" in said[0]


def test_no_place_for_an_index(tmp_path: Path):
    """Where the cache folder cannot be made, reading works without."""
    (tmp_path / "file").write_text("")
    Results(tmp_path / "root").put(make_record())
    assert len(Results(tmp_path / "root", tmp_path / "file" / "cache").records()) == 1


def test_other_code_has_its_own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What one release checked, another that reads records otherwise checks again."""
    from ssl_bench.results import index

    Results(tmp_path / "root").put(make_record())
    Results(tmp_path / "root", tmp_path / "cache").records()
    monkeypatch.setattr(index, "made_by", lambda: "f" * 64)
    checked = counted(monkeypatch)
    Results(tmp_path / "root", tmp_path / "cache").records()
    assert len(checked) == 1
    assert len(list((tmp_path / "cache").rglob("*.sqlite"))) == 2


def test_other_machines_have_their_own_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two machines that share a cache folder never open one database."""
    import platform

    from ssl_bench.results.index import index_path

    files = Results(tmp_path).files
    here = index_path(files, tmp_path)
    monkeypatch.setattr(platform, "node", lambda: "another-machine")
    assert index_path(files, tmp_path) != here


def test_many_lines_are_checked_by_many_processes(monkeypatch: pytest.MonkeyPatch):
    """Sharing the checking among processes changes nothing in what is found, nor in its order."""
    lines = [record.to_text().encode() for record in make_grid(models=3, tasks=3)] + [b"broken"]
    items = [(line, f"x:{number}") for number, line in enumerate(lines)]
    alone = [index_rows.row(*item) for item in items]
    monkeypatch.setattr(index_rows, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(index_rows, "CHUNK", 2)
    monkeypatch.setattr(index_rows, "_cores", lambda: 2)
    assert json.dumps(list(index_rows.rows(items))) == json.dumps(alone)


def test_a_checking_process_that_is_killed(monkeypatch: pytest.MonkeyPatch):
    """When the processes that check are killed, this one does their work."""
    monkeypatch.setattr(index_rows, "WORTH_A_PROCESS", 2)
    monkeypatch.setattr(index_rows, "_cores", lambda: 2)
    start = index_rows._start

    def dead():
        process = start()
        process.kill()
        return process

    monkeypatch.setattr(index_rows, "_start", dead)
    items = [(record.to_text().encode(), "x") for record in make_grid(models=2, tasks=2)]
    assert [row[0] for row in index_rows.rows(items)] == ["record"] * len(items)


def _read(root: str, cache: str, expected: int) -> None:
    assert len(Results(root, Path(cache)).records()) == expected


def test_readers_at_once(tmp_path: Path):
    """Several processes that build one index at once all see every record."""
    records = list(make_grid(models=4, tasks=4))
    for record in records:
        Results(tmp_path / "root").put(record)
    words = (str(tmp_path / "root"), str(tmp_path / "cache"), len(records))
    readers = [multiprocessing.get_context("spawn").Process(target=_read, args=words) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
        assert reader.exitcode == 0


def test_equal_times_and_sizes(tmp_path: Path):
    """A file that was replaced by one of the same size and time is still seen to be another."""
    results, cache = Results(tmp_path / "root"), tmp_path / "cache"
    path = tmp_path / "root" / results.put(make_record(value=0.75)).name
    path.write_text(path.read_text() + "\n" * 99)
    before = path.stat()
    Results(tmp_path / "root", cache).records()
    other = tmp_path / "other"
    other.write_text(make_record(value=0.25).to_text().ljust(before.st_size, "\n")[: before.st_size])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_size == before.st_size
    (found,) = Results(tmp_path / "root", cache).records()
    assert found.headline.value == 0.25
