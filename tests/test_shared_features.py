"""Features that machines share through a folder or an object store, each with a cache folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import settings
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.features import FeatureStore
from ssl_bench.loading import Work
from tests.places import Place
from tests.test_features import Counting, extract

SMALL = Work(batch_size=10, workers=0)


def test_what_one_machine_extracted_another_takes(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine takes the whole blocks that hold what it asks for, passes the rest through the network, and gives that
    in turn; features are those of one machine, bit for bit."""
    monkeypatch.setattr("ssl_bench.features.FLUSH_IMAGES", 20)
    first, second, third = Counting(), Counting(), Counting()
    extract(FeatureStore(tmp_path / "a", place.root), first, slice(0, 60), SMALL)
    assert len(place.files()) == 6
    found, cost = extract(FeatureStore(tmp_path / "b", place.root), second, slice(25, 80), SMALL)
    assert (cost.extracted, second.seen) == (20, 20)
    taken = list((tmp_path / "b").glob("features/*/*/*.images.npy"))
    assert len(taken) == 3  # two blocks of the first machine's three, and its own
    alone, _ = extract(FeatureStore(tmp_path / "alone"), Counting(), slice(25, 80), SMALL)
    assert np.array_equal(found, alone)
    _, cost = extract(FeatureStore(tmp_path / "c", place.root), third, slice(0, 80), SMALL)
    assert (cost.extracted, cost.cached, third.seen) == (0, 80, 0)


def test_a_block_without_its_images_is_none(place: Place, tmp_path: Path) -> None:
    """What a killed machine had copied by half is taken by nobody."""
    extract(FeatureStore(tmp_path / "a", place.root), Counting(), slice(0, 30), SMALL)
    for name in place.files():
        if name.endswith(".features.npy"):
            place.beside("half").write(name, place.files()[name])
    backbone = Counting()
    extract(FeatureStore(tmp_path / "b", place.beside("half").root), backbone, slice(0, 30), SMALL)
    assert backbone.seen == 30


def test_a_shared_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """Where the shared place takes nothing, the extraction fails in one line and keeps what it has here."""
    (tmp_path / "file").write_text("")
    store = FeatureStore(tmp_path / "a", tmp_path / "file")
    with pytest.raises(MissingError, match="file"):
        extract(store, Counting(), slice(0, 30), SMALL)
    backbone = Counting()
    extract(FeatureStore(tmp_path / "a"), backbone, slice(0, 30), SMALL)
    assert backbone.seen == 0


def test_the_cache_itself_is_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object store as the cache folder is refused with the setting that is meant."""
    with pytest.raises(UsageError, match="shared_cache"):
        settings.resolve({"cache": "s3://bucket/cache"})
    monkeypatch.setenv("SSL_BENCH_CACHE", "s3://bucket/cache")
    with pytest.raises(UsageError, match=r"SSL_BENCH_CACHE.*shared_cache"):
        settings.resolve()
    monkeypatch.delenv("SSL_BENCH_CACHE")
    monkeypatch.setenv("SSL_BENCH_SHARED_CACHE", "s3://bucket/cache")
    assert settings.resolve().settings.shared_cache == "s3://bucket/cache"
