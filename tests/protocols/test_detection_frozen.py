"""Detection on frozen maps: what is shown and learnt, whole runs on small images, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import model_zoo, protocols
from ssl_bench.errors import DataError, UsageError
from ssl_bench.heads.rcnn import Detector, Said
from ssl_bench.images import InputSpec
from ssl_bench.jobs import Job
from ssl_bench.progress import Progress
from ssl_bench.protocols import _detectors
from ssl_bench.protocols.base import Trial
from ssl_bench.results import rescore
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.targets import Objects, outlines
from ssl_bench.training import loop as training
from tests import squares

PIXELS = "pixels,size=64"
TINY = "detection_frozen,epochs=1,batch=2,size=64,anchor=8,channels=8,samples=8"


def run(settings: Settings, folder: Path, protocol: str = TINY, model: str = PIXELS) -> Record:
    """Return the record of a run on squares, and put it into the store."""
    runner = Runner(settings, Progress())
    job = Job(model_zoo.get(model), squares.card(folder), "detection_frozen", protocols.get(protocol), seed=0)
    outcome = runner.run([job], fail_fast=True)
    assert not outcome.failures, outcome.failures
    [record] = outcome.records
    return record


def shown(size: int = 64, flip: float = 0.0, *, masks: bool = False) -> _detectors.Shown:
    """Return what shows images to a backbone of RGB images that are scaled to 0..1."""

    class Plain:
        input = InputSpec((64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)

    trial = Trial(2, 0, {}, {}, None, backbone=Plain())  # type: ignore[arg-type]
    return _detectors.Shown(trial, size, flip, masks)


def objects(boxes: Any, size: tuple[int, int], **changes: Any) -> Objects:
    boxes = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    no = np.zeros(len(boxes), dtype=np.bool_)
    plain = Objects(size, boxes, np.arange(len(boxes)), np.ones(len(boxes)), no, no)
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_and_outlines_follow_the_image(flip: float) -> None:
    """A box and its outline lie on the same pixels of the scaled, flipped and padded image; boxes are cut at its edges,
    and crowds left out."""
    image = np.zeros((40, 80, 3), dtype=np.uint8)
    image[10:30, 8:24] = 255
    mask = image[..., 0] > 0
    true = objects(
        [[8, 10, 24, 30], [-4, -6, 90, 50], [0, 0, 5, 5]],
        (40, 80),
        crowd=np.array([False, False, True]),
        outlines=(outlines.encode(mask), outlines.encode(~mask), outlines.encode(mask)),
    )
    example = shown(160, flip, masks=True).training(image, true, np.random.default_rng(0))
    assert (tuple(example.image.shape), example.size) == ((3, 160, 160), (80, 160))
    assert example.boxes is not None
    assert example.masks is not None
    left = 160 - 48 if flip else 16
    assert example.boxes.tolist() == [[left, 20, left + 32, 60], [0, 0, 160, 80]]
    inside = example.image[0] > 0.5
    assert torch.equal(inside, example.masks[0] > 0)
    assert inside[20:60, left : left + 32].all()
    assert int(inside.sum()) == 40 * 32
    assert not example.masks[:, 80:].any()


def test_answers_are_in_the_images_own_pixels() -> None:
    """What is found in a scaled image is told in pixels of the image as its source keeps it, outlines too."""
    said = Said(
        torch.tensor([[8.0, 4.0, 24.0, 12.0]]), torch.tensor([1]), torch.tensor([0.75]), torch.ones(1, 1, 28, 28)
    )
    found = _detectors.in_image(said, (20, 40), (50, 80))
    assert found.boxes.tolist() == [[16, 10, 48, 30]]
    assert (found.labels.tolist(), found.scores.tolist()) == ([1], [0.75])
    mask = outlines.decode(found.outlines[0], (50, 80))
    rows, columns = np.nonzero(mask)
    assert abs(np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) - [16, 10, 48, 30]).max() <= 1


@pytest.mark.parametrize("outlined", [False, True])
def test_a_run(tmp_path: Path, own_settings: Settings, outlined: bool) -> None:
    """A record's numbers come out of its kept objects again; outlines are learnt where there are some."""
    folder = squares.write(tmp_path / "squares", outlined=outlined)
    record = run(own_settings, folder)
    assert record.protocol.selected["outlines"] is outlined
    assert record.protocol.selected["steps"] == 4
    assert len(record.protocol.curve) == 4
    assert record.metrics["coco_ap50"].n == 4
    assert ("coco_mask_ap" in record.metrics) is outlined
    table = Results(own_settings.results).read_samples(record)
    rescore.check(record, table)
    scores = rescore.rescored(record, table)
    assert scores.keys() == record.metrics.keys()
    bad = dataclasses.replace(record.headline, value=min(1.0, record.headline.value + 0.01), interval=None)
    wrong = dataclasses.replace(record, metrics={**record.metrics, "coco_ap50": bad})
    assert any("coco_ap50" in line for line in rescore.contradictions(wrong, table))


def test_the_seed_alone_decides(tmp_path: Path, own_settings: Settings) -> None:
    """The same job gives the same numbers, however many images pass at once."""
    folder = squares.write(tmp_path / "squares")
    first = run(own_settings, folder)
    again = dataclasses.replace(own_settings, results=tmp_path / "other")
    assert run(again, folder).metrics == first.metrics


@pytest.mark.slow
def test_squares_are_found(tmp_path: Path, own_settings: Settings) -> None:
    """Coloured squares are found from the colours of pixels, in images that show none too."""
    folder = squares.write(tmp_path / "squares", train=32, test=8)
    recipe = "detection_frozen,epochs=30,batch=8,size=64,anchor=8,channels=32,samples=32,rate=0.002"
    record = run(own_settings, folder, recipe)
    assert record.headline.value > 0.6


def test_images_without_objects(tmp_path: Path, own_settings: Settings) -> None:
    """A train without an object, crowds being none, is refused."""
    folder = squares.write(tmp_path / "squares")
    content = json.loads((folder / "train.json").read_text())
    for one in content["annotations"]:
        one["iscrowd"] = 1
    (folder / "train.json").write_text(json.dumps(content))
    runner = Runner(own_settings, Progress())
    job = Job(model_zoo.get(PIXELS), squares.card(folder), "detection_frozen", protocols.get(TINY), seed=0)
    with pytest.raises(DataError, match="the images of train show no object to learn from"):
        raise runner.run([job], fail_fast=True).failures[0].error


def test_a_backbone_that_says_nothing(tmp_path: Path, own_settings: Settings) -> None:
    """What says nothing of images finds nothing in them."""
    record = run(own_settings, squares.write(tmp_path / "squares"), model="majority")
    assert record.headline.value == 0


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("detection_frozen,size=16", "size must be from 32"),
        ("detection_frozen,batch=0", "batch must be from 1"),
        ("detection_frozen,milestones=0", "milestones must be above 0"),
        ("detection_frozen,flip=2", "flip must be from 0 to 1"),
    ],
)
def test_wrong_recipes(recipe: str, says: str) -> None:
    """A number out of its range is one line."""
    with pytest.raises(UsageError, match=says):
        protocols.get(recipe)


def test_the_network_stays_as_it_is() -> None:
    """The backbone is no part of what is trained: neither its parameters nor its batch statistics move."""
    from ssl_bench import backbones
    from ssl_bench.backbones.base import LoadContext
    from ssl_bench.backbones.dense import Pyramid
    from ssl_bench.heads.rcnn import Example

    backbone = backbones.load(model_zoo.get("timm:resnet10t,pretrained=false"), LoadContext(offline=True))
    assert backbone.network is not None
    before = {name: tensor.clone() for name, tensor in backbone.network.state_dict().items()}
    pyramid = Pyramid(backbone, 8)
    assert pyramid.joined is not None
    detector = Detector(pyramid, 2, channels=8, anchor=8, samples=8).train()
    example = Example(torch.rand(3, 64, 64), (64, 64), torch.tensor([[4.0, 4.0, 30.0, 30.0]]), torch.tensor([1]))
    detector([example]).backward()
    assert all(parameter.grad is None for parameter in backbone.network.parameters())
    assert sum(one.grad is not None and bool(one.grad.any()) for one in detector.parameters()) > 20
    for name, tensor in backbone.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_a_run_that_was_ended_goes_on_as_if_it_had_not(
    own_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that was ended and is asked for again finds the very boxes of one that was left alone."""
    squares.write(tmp_path / "squares")
    whole = run(own_settings, tmp_path / "squares")
    calls: list[bool] = []

    def ended(*arguments: Any, advance: Any, **named: Any) -> Any:
        def counted(count: int) -> None:
            advance(count)
            if len(calls) == 1 and (steps := next(left, None)) is None:
                raise KeyboardInterrupt(steps)

        calls.append(True)
        left = iter(range(1))
        return training.train(*arguments, advance=counted, keep_seconds=0.0, **named)

    monkeypatch.setattr("ssl_bench.training.train", ended)
    other = dataclasses.replace(own_settings, results=tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        run(other, tmp_path / "squares")
    assert list((own_settings.cache / "training").rglob("detector.pt"))
    again = run(other, tmp_path / "squares")
    assert len(calls) == 2
    assert again.samples.sha256 == whole.samples.sha256
    assert again.protocol.curve == whole.protocol.curve
