"""What holds of records in a folder alone: kills, permissions, full disks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from ssl_bench import files
from ssl_bench.errors import MissingError
from ssl_bench.results.store import Results
from tests.results.factory import make_record

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


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


def test_a_folder_named_as_a_record(tmp_path: Path):
    """A folder where a record might be is listed as what cannot be read, as long as it is there."""
    results = Results(tmp_path)
    (tmp_path / results.put(make_record()).name).with_name("knn-00000003.json").mkdir()
    for _ in range(2):
        assert len(results.records()) == 1
        assert [skipped.reason for skipped in results.skipped] == ["Is a directory"]
    (tmp_path / "dinov2_vits14/cifar10/knn-00000003.json").rmdir()
    results.records()
    assert results.skipped == []


def test_packing_leaves_no_folders(tmp_path: Path):
    """A packed root holds one file per model and no empty folder."""
    results = Results(tmp_path)
    results.put(make_record())
    results.pack()
    assert {path.name for path in tmp_path.iterdir()} == {"dinov2_vits14.jsonl", ".lock"}


def test_names_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A record, and every new folder above it, is synced by name: a loss of power takes none of them back."""
    synced = []
    monkeypatch.setattr(files, "_sync_folder", synced.append)
    name = Results(tmp_path / "root").put(make_record()).name
    folder = (tmp_path / "root" / name).parent
    assert synced == [tmp_path, tmp_path / "root", folder.parent, folder]


def test_no_temporary_files_stay(tmp_path: Path):
    """Nothing but records is left by writers that end well."""
    results = Results(tmp_path)
    for value in (0.75, 0.76):
        results.put(make_record(value=value))
    assert not list(tmp_path.rglob("*.tmp"))


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
