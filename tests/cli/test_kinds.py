"""Protocols that give no classes, and tasks that have none, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench.results.store import Results
from tests.cli.conftest import Command
from tests.cli.test_run import PIXELS, images

CARD = """
title = "Noise"
reader = "image_folder"
kind = "{kind}"
classes = {classes}
[data]
path = "{path}"
{data}
[splits]
train = "train"
test = "test"
"""


def card(path: Path, kind: str = "classification", classes: int = 2, data: str = "") -> None:
    Path("tasks").mkdir(exist_ok=True)
    Path("tasks/noise.toml").write_text(CARD.format(kind=kind, classes=classes, path=path, data=data))


@pytest.mark.parametrize(
    ("protocol", "metric", "unit"),
    [("clustering", "hungarian_accuracy", "fraction"), ("retrieval", "map", "fraction"), ("label_free", "rankme", "")],
)
def test_a_run_a_record_and_a_board(protocol: str, metric: str, unit: str, command: Command) -> None:
    """A learned network, pixels and nothing at all are asked, recorded, listed, shown and stand on a board."""
    said = command("run", "-m", PIXELS, "-m", "majority", "-t", "digits", "-p", protocol, "--seeds", 0)
    assert said.code == 0, said.err
    records = Results(Path("results")).records()
    assert len(records) == 2
    by_name = {record.model.name: record for record in records}
    assert by_name[PIXELS].headline.value > 2 * by_name["majority"].headline.value
    assert by_name[PIXELS].definition(metric).unit == (unit or "dimensions")
    assert metric in command("results", "show", by_name[PIXELS].record_id[:8]).out
    assert command("board", "--html", "b.html", "--markdown", "b.md").code == 0
    assert f"## {protocol}" in Path("b.md").read_text()


def test_images_without_labels(command: Command, tmp_path: Path) -> None:
    """A folder of images without classes is asked what needs no labels, and nothing else."""
    place = images(tmp_path / "noise")
    Image.fromarray(np.zeros((16, 16, 3), dtype=np.uint8)).save(place / "train" / "loose.png")
    card(place, "unlabelled", 0, "labelled = false")
    said = command("run", "-m", PIXELS, "-t", "noise", "-p", "label_free", "--shelf", ".")
    assert said.code == 0, said.err
    (record,) = Results(Path("results")).records()
    assert record.task.samples == {"train": 25, "test": 24}
    assert (record.task.kind, record.task.classes, record.task.metric) == ("unlabelled", 0, "rotation_accuracy")
    assert command("show", "noise", "--shelf", ".").code == 0
    for protocol in ("knn", "clustering", "retrieval", "zero_shot"):
        said = command("run", "-m", PIXELS, "-t", "noise", "-p", protocol, "--shelf", ".")
        assert said.code == 2
        assert f"{protocol} cannot ask the task 'noise', which is of the kind 'unlabelled'" in said.err


def test_zero_shot(command: Command, tmp_path: Path) -> None:
    """A model of images and text names the classes that folders name; one without a text tower says so and exits 2."""
    card(images(tmp_path / "noise", per_class=4))
    model = "open_clip:ViT-S-32-alt,pretrained=false"
    said = command("run", "-m", model, "-t", "noise", "-p", "zero_shot", "--shelf", ".")
    assert said.code == 0, said.err
    (record,) = Results(Path("results")).records()
    assert record.protocol.selected == {"class_names": ["bright", "dark"], "templates": ["a photo of a {}."]}
    assert {"top1", "top5", "mean_per_class"} <= set(record.metrics)
    said = command("run", "-m", PIXELS, "-t", "noise", "-p", "zero_shot", "--shelf", ".")
    assert said.code == 2
    assert "no text tower" in said.err
