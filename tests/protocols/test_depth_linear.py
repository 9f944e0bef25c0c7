"""depth_linear and normals_linear: small rooms whose colours tell, the course by hand, and bad input."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ssl_bench
from ssl_bench.errors import UsageError
from ssl_bench.heads.bins import Bins
from ssl_bench.outcome import Outcome
from ssl_bench.protocols import depth_linear, normals_linear
from ssl_bench.results import rescore
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.training.surfaces import angular, scale_invariant
from tests import rooms

MODEL = "module:tests.rooms:network,size=24"
DEPTH = "depth_linear,steps=120,batch=4,crop=20+24,rate=0.03,warmup=1280,recolour=0"
NORMALS = "normals_linear,steps=100,batch=4,crop=20+24,rate=0.03,warmup=1280,recolour=0"


def run(task: Path, protocol: str, settings: Settings, model: str = MODEL) -> Outcome:
    folders = {name: getattr(settings, name) for name in ("cache", "results")}
    return ssl_bench.run(
        model, task=str(task), protocol=protocol, data=task.parent, **folders, device="cpu", workers=0, progress="none"
    )


def test_depth_is_learnt(tmp_path: Path, own_settings: Settings) -> None:
    """Colours tell how far: the distances of images of another size are learnt, far better than one distance for all.

    The record's figures follow from its table of images, and a second run finds the record.
    """
    task = rooms.write(tmp_path)
    outcome = run(task, DEPTH, own_settings)
    assert not outcome.failures, outcome.failures[0].error
    [record] = outcome.written
    assert record.headline.value < 0.6
    assert record.metrics["a1"].value > 0.9
    blind = run(task, DEPTH, own_settings, "majority").written[0]
    assert blind.headline.value > 1.5
    table = Results(own_settings.results).read_samples(record)
    assert list(rescore.contradictions(record, table)) == []
    assert record.protocol.selected == {"dim": 24, "stride": 4, "warmup": 4}
    assert [row["step"] for row in record.protocol.curve][-1] == 120
    assert record.timing["images_trained"] == 480
    assert len(run(task, DEPTH, own_settings).present) == 1


def test_normals_are_learnt(tmp_path: Path, own_settings: Settings) -> None:
    """Shades tell which way a wall leans, and turn with it where an image is mirrored."""
    task = rooms.write(tmp_path, "normals")
    outcome = run(task, NORMALS, own_settings)
    assert not outcome.failures, outcome.failures[0].error
    [record] = outcome.written
    assert record.metrics["within_30"].value > 0.75
    assert run(task, NORMALS, own_settings, "majority").written[0].headline.value > 30


def test_the_seed_is_all_that_is_drawn(tmp_path: Path, own_settings: Settings) -> None:
    """The same seed gives the same errors, another gives others."""
    task = rooms.write(tmp_path)
    short = DEPTH.replace("steps=120", "steps=6")
    values = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        settings = dataclasses.replace(own_settings, results=tmp_path / folder)
        folders = {name: getattr(settings, name) for name in ("cache", "results")}
        outcome = ssl_bench.run(
            MODEL, task=str(task), protocol=short, seeds=(seed,), data=tmp_path, **folders, device="cpu", workers=2,
            progress="none",
        )  # fmt: skip
        values.append(outcome.written[0].headline.value)
    assert values[0] == values[1] != values[2]


def test_course() -> None:
    """The rate rises from a thousandth to its peak along Σ of a line and half a cosine, then falls; the first beta is 0
    in the warm-up and rises from 0.85 to 0.95 behind it."""
    course = depth_linear.Protocol().course
    rates, momenta = course.rates(), course.momenta()
    assert course.warmup == 12_800
    assert rates[0] == pytest.approx(3e-7)
    middle = 3e-7 + 3e-4 * (1 + math.cos(math.pi / 6)) / 2 * 0.5
    assert rates[6400] == pytest.approx(middle)
    least = 3e-4 / 25 / 1000
    assert rates[19_199] == pytest.approx((3e-4 + least) / 2)
    assert rates[-1] == pytest.approx(least)
    assert momenta[12_799] == 0
    assert momenta[12_800] == pytest.approx(0.85)
    assert momenta[25_600] == pytest.approx(0.9)
    assert momenta[-1] == pytest.approx(0.95)


def test_bins() -> None:
    """Outputs below 0 weigh a tenth each: the distance is the middle one; one large output takes it to its bin."""
    head = Bins(4, 5, 1.0, 9.0).eval()
    torch.nn.init.zeros_(head.linear.conv.weight)
    with torch.no_grad():
        head.linear.conv.bias[:] = -1  # type: ignore[index]
        maps = torch.randn(2, 4, 3, 5)
        torch.testing.assert_close(head(maps), torch.full((2, 1, 3, 5), 5.0))
        head.linear.conv.bias[4] = 0.4  # type: ignore[index]
        torch.testing.assert_close(head(maps), torch.full((2, 1, 3, 5), (0.1 * (1 + 3 + 5 + 7) + 0.5 * 9) / 0.9))


def test_losses_by_hand() -> None:
    """Logarithms ln 2 and 0 apart: mean ½ ln 2, variance ½ ln² 2; a right angle is π / 2; the unknown is left out."""
    said, true = torch.tensor([[1.999, 3.0, 7.0]]), torch.tensor([[0.999, 3.0, 0.0]])
    log = math.log(2)
    assert float(scale_invariant(said, true)) == pytest.approx(log * math.sqrt(0.5 + 0.15 / 4), rel=1e-5)
    assert float(scale_invariant(said, true, spread=False)) == pytest.approx(log * math.sqrt(0.15 / 4), rel=1e-5)
    assert float(scale_invariant(said, true * 0)) == 0
    ahead, aside = torch.tensor([0, 0, 2.0]), torch.tensor([3.0, 0, 0])
    said, true = (
        torch.stack([ahead, aside, aside], 1)[None, :, None],
        torch.stack([aside / 3, aside / 3, aside * 0], 1)[None, :, None],
    )
    assert float(angular(said, true)) == pytest.approx((math.pi / 2 + math.acos(1 - 1e-4)) / 2, rel=1e-5)
    assert float(angular(said, true * 0)) == 0


@pytest.mark.parametrize(
    "changes",
    [{"steps": 0}, {"crop": (4,)}, {"crop": (0, 4)}, {"max_depth": 1e-4}, {"bins": 1}, {"rate": 0.0}, {"layers": 0}],
)
def test_recipes_that_are_none(changes: dict[str, float]) -> None:
    """Numbers outside their limits are refused."""
    with pytest.raises(UsageError, match="depth_linear: "):
        depth_linear.Protocol(**changes)  # type: ignore[arg-type]
    if "max_depth" not in changes and "bins" not in changes:
        with pytest.raises(UsageError, match="normals_linear: "):
            normals_linear.Protocol(**changes)  # type: ignore[arg-type]


def test_images_without_a_known_pixel(tmp_path: Path, own_settings: Settings) -> None:
    """An image of train of which nothing is known teaches nothing; where no test image is known there is no score."""
    task = rooms.write(tmp_path, train=2, test=1)
    np.save(tmp_path / "1.npy", np.zeros(rooms.SIZE, np.float32))
    short = DEPTH.replace("steps=120", "steps=4")
    assert not run(task, short, own_settings).failures
    np.save(tmp_path / "100.npy", np.zeros((25, 34), np.float32))
    [failure] = run(task, short, own_settings).failures
    assert "of no test image anything is known" in str(failure.error)


def test_a_network_without_a_map(tmp_path: Path, own_settings: Settings) -> None:
    """A model whose output is no map, or that takes images of one size alone, is refused in one line."""
    model = "module:tests.counting:network,size=8,channels=grey,mean=[0.0],std=[1.0]"
    [failure] = run(rooms.write(tmp_path), DEPTH, own_settings, model).failures
    assert isinstance(failure.error, UsageError)
    assert "tests.counting" in str(failure.error)
