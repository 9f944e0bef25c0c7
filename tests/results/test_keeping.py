"""Records brought from place to place, compared, and cleared away."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.results import git, keeping
from ssl_bench.results.difference import differences
from ssl_bench.results.object_store import S3Root
from ssl_bench.results.samples import sample_name
from ssl_bench.results.sources import open_source
from ssl_bench.results.store import Results
from tests.places import Place
from tests.results.factory import make_grid, make_model, make_protocol, make_record, make_scored_record
from tests.results.test_samples import predictions

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_importing(place: Place, tmp_path: Path):
    """An import brings records, drift, withdrawals and predictions, and once more changes nothing."""
    source = Results(tmp_path / "source")
    records = [*make_grid(models=2, tasks=2), make_record(value=0.7), make_record(value=0.8, created="2027-01-01")]
    for record in records:
        source.put(record)
    source.withdraw(records[0].record_id, "because")
    source.put_samples(predictions())
    source.pack()
    counts = keeping.import_records(place.results(), source)
    assert counts == {"stored": len(records) - 1, "drift": 1, "withdrawals": 1, "skipped": 0}
    target = place.results()
    assert (target.records(), target.drift) == (source.records(), source.drift)
    assert target.withdrawn == source.withdrawn
    before = place.files()
    assert keeping.import_records(place.results(), source)["present"] == len(records) + 1
    assert place.files() == before


def test_importing_brings_predictions_first(place: Place, tmp_path: Path):
    """Predictions that a record names come with it."""
    source = Results(tmp_path / "source")
    samples = source.put_samples(predictions())
    record = dataclasses.replace(
        make_record(), samples=dataclasses.replace(make_record().samples, sha256=samples.sha256)
    )
    path = tmp_path / "source" / "dinov2_vits14.jsonl"
    path.write_text(f"{record.to_text()}\n")
    counts = keeping.import_records(place.results(), source)
    assert counts["refused"] == 1  # the record is not of these predictions
    assert [name for name in place.files() if name.endswith(".parquet")]


def test_clearing_away(place: Place):
    """What no record names goes, and repeats go; what stands, drifts or was withdrawn stays."""
    results, record = place.results(), make_record()
    results.put(record)
    other = make_record(value=0.5, created="2027-01-01T00:00:00+00:00")
    results.put(other)
    repeat = dataclasses.replace(record, created="2027-02-01T00:00:00+00:00")
    place.write("dinov2_vits14.jsonl", f"{repeat.to_text()}\n")
    results.put_samples(predictions())
    found = keeping.waste(results)
    assert found.samples == ()  # it is young: its run may be about to record
    assert [(name, status) for name, _, _, status in found.repeats] == [("dinov2_vits14.jsonl", "repeat")]
    assert [status for *_, status in keeping.waste(results, drift=True).repeats] == ["repeat", "drift"]
    keeping.remove(results, found)
    assert results.records() == [record]
    assert [status for _, status, _ in results.runs(record.record_id)] == ["standing", "drift"]
    assert keeping.waste(results).repeats == ()


def test_old_predictions_are_cleared_away(tmp_path: Path):
    """Predictions without a record go after a day, temporary files after an hour; none while a record is unreadable."""
    results = Results(tmp_path)
    results.put_samples(predictions())
    (parquet,) = tmp_path.rglob("*.parquet")
    leftover = tmp_path / ".something.tmp"
    leftover.write_text("")
    old = time.time() - 2 * keeping.YOUNG
    for path in (parquet, leftover):
        os.utime(path, (old, old))
    (tmp_path / "broken.jsonl").write_text("broken\n")
    found = keeping.waste(results)
    assert (found.samples, found.leftovers) == ((), (".something.tmp",))
    assert "cannot be read" in found.held_back
    (tmp_path / "broken.jsonl").unlink()
    found = keeping.waste(results)
    assert found.samples == (parquet.relative_to(tmp_path).as_posix(),)
    keeping.remove(results, found)
    assert not parquet.exists()
    assert not leftover.exists()


def test_differences():
    """Two sets of records differ by jobs that one lacks, by other numbers, and by other causes under one name."""
    a = [make_record(), make_record("b"), make_record("c"), make_record(task="dtd")]
    b = [
        make_record(value=0.7),
        make_record(make_model("b", weights="other")),
        make_record("d"),
        make_record(task="dtd", protocol=make_protocol("knn", {"k": 5, "temperature": 0.07})),
    ]
    found = {(one.model, one.task): one for one in differences(a, b)}
    assert found["dinov2_vits14", "cifar10"].what == "other numbers"
    assert ("top1", 0.75, 0.7) in found["dinov2_vits14", "cifar10"].fields
    assert [name for name, _, _ in found["b", "cifar10"].fields] == ["weights"]
    assert found["dinov2_vits14", "dtd"].fields == (("protocol.recipe.k", 20, 5),)
    assert {found["c", "cifar10"].what, found["d", "cifar10"].what} == {"only in A", "only in B"}
    assert differences(a, a) == []


def test_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder, a packed file and what git holds of either are read alike, and none can be written but the folder."""
    monkeypatch.chdir(tmp_path)
    results = Results("root")
    records = list(make_grid(models=2, tasks=2))
    for record in records:
        results.put(record)
    git_words = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "add", "root"], check=True)
    subprocess.run([*git_words, "commit", "-qm", "loose"], check=True)
    results.pack()
    subprocess.run(["git", "add", "-A"], check=True)
    subprocess.run([*git_words, "commit", "-qm", "packed"], check=True)
    for words in ("root", "git:HEAD:root", "git:HEAD~1:root", "git:HEAD:root/"):
        assert open_source(words).records() == records
    for words in ("root/model000.jsonl", "git:HEAD:root/model000.jsonl"):
        source = open_source(words)
        assert source.records() == records[: len(records) // 2]
        with pytest.raises(UsageError, match="can only be read"):
            source.put(make_record())
    for words, message in (
        ("git:HEAD:absent", "git holds no"),
        ("git:HEAD", "is not git:REF:PATH"),
        ("git:--output=x:root", "is not git:REF:PATH"),
        ("absent", "no folder and no packed file"),
        ("ftp://x/y", "a folder or s3://bucket/prefix is meant"),
        ("s3://", "names no bucket"),
    ):
        with pytest.raises(UsageError, match=message):
            open_source(words)
    with pytest.raises(MissingError, match=r"git:nowhere:root: git says: .*fetch-depth: 0"):
        open_source("git:nowhere:root")


def test_predictions_in_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Per-sample predictions that git holds are read when they are asked for, beside a packed file, too, and an import
    brings them."""
    monkeypatch.chdir(tmp_path)
    results = Results("deep/root")
    record = make_scored_record(results)
    results.put(record)
    results.pack()
    git_words = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git_words, *words], check=True)
    expected = results.read_samples(record)
    shutil.rmtree("deep")
    said: list[str] = []
    run = git.run
    monkeypatch.setattr(git, "run", lambda *words, **given: said.append(words[0]) or run(*words, **given))
    for words in ("git:HEAD:deep/root", f"git:HEAD:deep/root/{record.model.name}.jsonl"):
        said.clear()
        source = open_source(words)
        assert source.records() == [record]
        assert said == ["ls-tree", "cat-file"]
        assert source.read_samples(record).keys() == expected.keys()
        assert list(source.files.sample_files()) == [sample_name(record.samples.sha256)]
    target = Results("target")
    assert keeping.import_records(target, source)["stored"] == 1
    assert target.read_samples(record)["sample_id"] == expected["sample_id"]


# ---------------------------------------------------------------- object stores


def test_a_server_without_conditions(s3_server, monkeypatch: pytest.MonkeyPatch):
    """Where a server overwrites without asking, every record has a name of its own: runs at once lose nothing."""
    monkeypatch.setattr(S3Root, "exclusive", False)
    root = "s3://records/without-conditions"
    one, other = Results(root), Results(root)
    assert not other.has(make_record().record_id)
    assert one.put(make_record(value=0.75)).outcome == "stored"
    assert other.put(make_record(value=0.76, created="2027-01-01")).outcome == "drift"
    assert one.put(make_record(value=0.75, created="2028-01-01")).outcome == "present"
    assert len(Results(root).files.record_files()) == 2
    with pytest.raises(MissingError, match="no conditional writes"):
        one.pack()


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch, s3_server):
    """A bucket that is not there is one line that names it."""
    with pytest.raises(MissingError, match=r"cannot write s3://absent/.*bucket does not exist"):
        Results("s3://absent/results").check_writable()


def test_without_s3fs(monkeypatch: pytest.MonkeyPatch):
    """Without s3fs the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingError, match=r"ssl-bench\[s3\]"):
        Results("s3://bucket/prefix").records()


# ---------------------------------------------------------------- kills


@pytest.mark.slow
def test_writers_killed_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writers killed at any moment lose, break and double nothing, and the next run writes exactly what is missing."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    spec = importlib.util.spec_from_file_location("store_stress", BENCHMARKS / "store_stress.py")
    assert spec
    assert spec.loader
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    numbers = benchmark.stress(str(tmp_path / "root"), 8, 50, 10)
    assert numbers["killed"] > 0
    assert {numbers[name] for name in ("lost", "corrupt", "doubled", "strange", "drift in the last run")} == {0}
    assert numbers["missing before the last run"] == numbers["written by the last run"]


def test_a_tree_that_leads_out_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git itself makes a tree with a folder `..`; nothing of it is written, and a folder without files is said."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)

    def made(words: list[str], content: str) -> str:
        return subprocess.run(["git", *words], input=content, capture_output=True, text=True, check=True).stdout.strip()

    blob = made(["hash-object", "-w", "--stdin"], "x")
    inner = made(["mktree"], f"100644 blob {blob}\tout\n")
    outer = made(["mktree"], f"040000 tree {inner}\t..\n")
    with pytest.raises(DataError, match="holds a name that leads out of the folder"):
        git.unpack(f"git:{outer}:", tmp_path / "deep" / "folder")
    assert not [*tmp_path.glob("**/out")]
    with pytest.raises(MissingError, match="git holds no file there"):
        git.unpack(f"git:{inner}:nothing", tmp_path / "deep")
    git.unpack(f"git:{inner}:", tmp_path / "deep")
    assert (tmp_path / "deep" / "out").read_text() == "x"
