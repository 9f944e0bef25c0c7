"""`ssl-bench cache`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np

from ssl_bench import cache
from tests.cli.conftest import Command, lines

PIXELS = "pixels,size=8,channels=grey"


def run(command: Command, *more: str) -> Path:
    """Fill the cache with the digits' pixels and return its folder."""
    assert command("run", "-m", PIXELS, "-t", "digits", "-p", "knn", *more).code == 0
    return Path(os.environ["SSL_BENCH_CACHE"])


def test_ls_says_what_is_cached(command: Command) -> None:
    """A line per kind of features says what first asked for them, how many images they are of and how large."""
    run(command)
    (row,) = lines(command("cache", "ls").out)
    assert row[1:7] == [f"{PIXELS} × digits train", "pixels", "8x8", "float32", "1617", "64"]
    (entry,) = json.loads(command("cache", "ls", "--json").out)
    assert (entry["images"], entry["shape"]) == (1617, [64])
    assert "1,617 rows" in command("cache", "stats").out


def test_check_names_what_is_broken(command: Command) -> None:
    """A truncated block and features that are not finite are named, and the command exits with 2."""
    folder = run(command)
    assert command("cache", "check").code == 0
    block = next(folder.rglob("*.features.npy"))
    rows = np.load(block)
    rows[3, 0] = np.nan
    np.save(block, rows)
    said = command("cache", "check", PIXELS)
    assert (said.code, "1 rows are NaN or infinite" in said.out) == (2, True)
    block.write_bytes(block.read_bytes()[:50])
    said = command("cache", "check")
    assert (said.code, "not a whole array" in said.out) == (2, True)


def test_gc_removes_what_killed_runs_left(command: Command) -> None:
    """Blocks without their list of images go once they are old; whole blocks stay unless their age is named."""
    folder = run(command)
    block = next(folder.rglob("*.features.npy"))
    left = block.with_name("0.features.npy")
    left.write_bytes(block.read_bytes())
    assert "0 files" in command("cache", "gc").err  # a run may still be writing it
    old = time.time() - 3 * 3600
    os.utime(left, (old, old))
    assert "would free" in command("cache", "gc", "--dry-run").err
    assert left.exists()
    assert "1 files and 0 kinds" in command("cache", "gc").err
    assert block.exists()
    assert not left.exists()
    assert "0 files and 1 kinds" in command("cache", "gc", "--older-than", "0").err
    assert cache.entries(folder) == []


def test_clear_removes_what_is_named(command: Command) -> None:
    """A part of a model's name clears its features alone; a wrong one is told, and nothing is lost."""
    folder = run(command)
    run(command, "-m", "pixels,size=6,channels=grey")
    assert command("cache", "clear", "size=7", "--yes").code == 2
    assert len(cache.entries(folder)) == 2
    assert command("cache", "clear", "size=6", "--yes").code == 0
    assert [entry.first_asked_for for entry in cache.entries(folder)] == [f"{PIXELS} × digits train"]
