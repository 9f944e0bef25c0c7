"""label_propagation: places by hand, a square that moves, and DAVIS's replica from data to record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ssl_bench
from ssl_bench.errors import UsageError
from ssl_bench.outcome import Outcome
from ssl_bench.protocols.label_propagation import Protocol, carried, largest
from ssl_bench.results import rescore
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.targets.videos import Video
from tests.datasets.replicas import davis

MODEL = "module:tests.rooms:network,size=24"


def test_labels_are_carried_by_hand() -> None:
    """A place takes the labels of the places most like it, by the exponential of cosines, of those that are near."""
    seen = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # two places in a row, at right angles
    known = torch.tensor([[[0.0, 0.6]], [[1.0, 0.8]]])
    labels = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    one = carried(seen, [(known, labels)], 1, 5, 0.1)
    torch.testing.assert_close(one[1], torch.tensor([[1.0, 0.0]]))  # 0.6 is more than 0, and 1.0 more than 0.8
    both = carried(seen, [(known, labels)], 2, 5, 0.5)
    share = np.exp(0.6 / 0.5) / (1 + np.exp(0.6 / 0.5))
    torch.testing.assert_close(both[1, 0, 0], torch.tensor(share, dtype=torch.float32))
    near = carried(seen, [(known, labels)], 2, 0, 0.1)
    torch.testing.assert_close(near, labels)  # each place sees but its own


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many places are compared at once, the labels are the same."""
    torch.manual_seed(0)
    maps = torch.nn.functional.normalize(torch.randn(3, 8, 6, 7), dim=1)
    known = [(one, torch.rand(4, 6, 7)) for one in maps[:2]]
    whole = carried(maps[2], known, 5, 2, 0.1)
    monkeypatch.setattr("ssl_bench.protocols.label_propagation.BLOCK", 300)
    torch.testing.assert_close(carried(maps[2], known, 5, 2, 0.1), whole)


def test_largest() -> None:
    """Each class's map is stretched to 0 … 1 before the largest is taken; a class that is nowhere stays nowhere."""
    labels = torch.tensor([[[1.0, 0.9]], [[0.0, 0.1]], [[0.0, 0.0]]])
    assert largest(labels, (2, 4), (2, 2)).tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("size", "step", "sides"),
    [
        ((480, 854), 16, (480, 832)),
        ((854, 480), 16, (832, 480)),
        ((480, 900), 14, (476, 896)),
        ((48, 48), 8, (480, 480)),
    ],
)
def test_sides(size: tuple[int, int], step: int, sides: tuple[int, int]) -> None:
    """The short side is 480 pixels, the long a multiple of 64, and both are multiples of the stride."""
    video = Video("a", np.arange(3), np.zeros(size, np.uint8), 1)
    assert Protocol()._sides(video, step) == sides


def run(root: Path, settings: Settings, protocol: str, model: str = MODEL) -> Outcome:
    folders = {name: getattr(settings, name) for name in ("cache", "results")}
    return ssl_bench.run(
        model, task="davis2017", protocol=protocol, data=root, **folders, device="cpu", workers=0, progress="none"
    )


def test_squares_are_followed(tmp_path: Path, own_settings: Settings) -> None:
    """Objects of one colour each are followed as they move, better than where they stood; the record holds together."""
    davis.build(tmp_path)
    outcome = run(tmp_path, own_settings, "label_propagation,size=96,radius=4")
    assert not outcome.failures, outcome.failures[0].error
    [record] = outcome.written
    assert record.metrics["j_mean"].value > 0.9
    assert record.samples.n == record.headline.n == 3
    assert record.protocol.selected == {"videos": 2, "stride": 4}
    assert list(rescore.contradictions(record, Results(own_settings.results).read_samples(record))) == []
    [still] = run(tmp_path, own_settings, "label_propagation", "majority").written
    expected = np.mean([(16 - 2 * n) / (16 + 2 * n) for n in (1, 2, 3)])
    assert still.metrics["j_mean"].value == pytest.approx(expected)


@pytest.mark.parametrize("change", ["size=0", "kept=0", "top=0", "radius=-1", "temperature=0"])
def test_recipes_that_are_none(change: str, tmp_path: Path, own_settings: Settings) -> None:
    """Numbers outside their limits are refused."""
    with pytest.raises(UsageError, match="label_propagation: size, kept and top from 1"):
        run(tmp_path, own_settings, f"label_propagation,{change}")
