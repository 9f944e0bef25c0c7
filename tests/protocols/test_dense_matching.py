"""dense_matching: places by hand, a photograph that was moved, and SPair's replica from data to record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ssl_bench
from ssl_bench import protocols
from ssl_bench.errors import UsageError
from ssl_bench.outcome import Outcome
from ssl_bench.protocols.dense_matching import likest
from ssl_bench.results import rescore
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from tests.datasets.replicas import pixels, spair

MODEL = "module:tests.rooms:network,size=24"


def test_places_by_hand() -> None:
    """Features are read between the middles of cells; the likest cell's middle is the place, whatever lengths are."""
    first = torch.zeros(3, 2, 4)
    first[0, 0, 1], first[1, 0, 2] = 1.0, 1.0  # (3/8, 1/4) and (5/8, 1/4)
    second = torch.zeros(3, 3, 3)
    second[0, 2, 0], second[1, 0, 2], second[:2, 1, 1] = 9.0, 9.0, 0.1
    places = np.array([[3 / 8, 1 / 4], [5 / 8, 1 / 4], [1 / 2, 1 / 4]])
    expected = np.array([[1 / 6, 5 / 6], [5 / 6, 1 / 6], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(likest(first, second, places), expected)


def test_equal_places() -> None:
    """Of cells that are equally like the first, row by row, is taken; places at the edge are read from the edge."""
    ones = torch.ones(2, 2, 2)
    np.testing.assert_allclose(likest(ones, ones, np.array([[0.0, 1.0]])), [[0.25, 0.25]])


def test_a_moved_picture_is_found() -> None:
    """What lies in one part of a picture is found where it lies in another part of it, by a convolution's map."""
    from tests.rooms import network

    whole = torch.from_numpy(
        pixels(1, 64)[0].astype(np.float32) + np.random.default_rng(0).normal(0, 20, (64, 64, 3)).astype(np.float32)
    )
    whole = whole.permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        first, second = (network()(part)[0] for part in (whole[..., :48, :48], whole[..., 8:56, 12:60]))
    places = (np.array([[5, 6], [8, 9], [11, 4]]) + 0.5) / 12  # cells of 4 pixels; moved by 3 across and 2 down
    np.testing.assert_allclose(likest(first, second, places), places - np.array([3, 2]) / 12)


def run(root: Path, settings: Settings, protocol: str, model: str = MODEL, **flags: object) -> Outcome:
    folders = {name: getattr(settings, name) for name in ("cache", "results")}
    return ssl_bench.run(
        model,
        task="spair71k",
        protocol=protocol,
        data=root,
        **folders,
        device="cpu",
        workers=0,
        progress="none",
        **flags,
    )  # type: ignore[arg-type]


def test_from_data_to_record(tmp_path: Path, own_settings: Settings) -> None:
    """Images pass once, as squares of a multiple of the stride; the record's figures follow from its table."""
    spair.build(tmp_path)
    outcome = run(tmp_path, own_settings, "dense_matching,size=31")
    assert not outcome.failures, outcome.failures[0].error
    [record] = outcome.written
    assert record.protocol.selected == {"pairs": 4, "side": 32, "grid": [8, 8]}
    assert record.protocol.deterministic
    assert record.samples.n == 6
    assert record.timing["images_extracted"] == 5
    assert set(record.metrics) == {"pck_10", "pck_05", "pck_01", "pck_10_ceiling"}
    assert list(rescore.contradictions(record, Results(own_settings.results).read_samples(record))) == []


def test_a_blind_model(tmp_path: Path, own_settings: Settings) -> None:
    """What says nothing of its images says the middle of each."""
    spair.build(tmp_path)
    [record] = run(tmp_path, own_settings, "dense_matching", "majority").written
    assert "pck_10_ceiling" not in record.metrics
    table = Results(own_settings.results).read_samples(record)
    expected = [np.hypot(32 - x, 24 - y) / 42 for x, y in [(5, 5), (12, 22), (14, 24), (34, 44), (12, 22), (40, 8)]]
    assert sorted(table["landmark_error"]) == pytest.approx(sorted(expected))


def test_bad_input(tmp_path: Path, own_settings: Settings) -> None:
    """A size of 0 is refused, and so is a model whose output is no map, by its name."""
    with pytest.raises(UsageError, match="size must be above 0"):
        protocols.get("dense_matching,size=0")
    spair.build(tmp_path)
    model = "module:tests.counting:network,size=8,channels=grey,mean=[0.0],std=[1.0]"
    [failure] = run(tmp_path, own_settings, "dense_matching", model).failures
    assert isinstance(failure.error, UsageError)
    assert "tests.counting" in str(failure.error)
