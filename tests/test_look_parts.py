"""The page of a dense task: images beside what is true of them, features as colours, and what a protocol says."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_bench import datasets
from ssl_bench.look import drawing, parts
from ssl_bench.predictions import Detections, DirectionMaps, DistanceMaps, Found, LabelMaps, Quantities
from ssl_bench.targets import VOID, Directions, Distances, Landmarks, Mask, Objects
from ssl_bench.targets.outlines import encode
from tests import scenes
from tests.cli.conftest import Command, command

__all__ = ["command"]
GREY = np.full((4, 6, 3), 100, np.uint8)


def shown(page: str) -> list[np.ndarray]:
    """Return the pictures of a page."""
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one))).convert("RGB")) for one in found]


def test_a_page_of_images_and_masks(tmp_path: Path) -> None:
    """Every image stands beside its mask in the colours of the legend, which tells each class's share of the pixels."""
    card = scenes.card(scenes.write(tmp_path / "scenes"))
    splits = datasets.load(card, tmp_path)
    page = parts.page(card, splits, 3)
    assert "train: 3 of 6 images" in page
    pictures = shown(page)
    assert len(pictures) == 2 * 6
    np.testing.assert_array_equal(pictures[1], drawing.colours()[scenes.scene(0)[1]])
    share = np.mean([scenes.scene(number)[1] == 1 for number in range(6)])
    assert f"{100 * share:.2f} %" in page
    assert "a box" in page
    assert not re.search(r"https?:|<script", page)


def test_what_a_protocol_says_stands_beside_the_truth(tmp_path: Path) -> None:
    """A prediction is drawn in the same colours, and its error red where it differs, but not where nothing counts."""
    card = scenes.card(scenes.write(tmp_path / "scenes"))
    splits = datasets.load(card, tmp_path)
    labels = scenes.scene(100, (29, 50))[1]
    wrong = labels.copy()
    wrong[0, :] = 1
    page = parts.page(card, splits, 1, said=parts.Said("a_protocol,k=1", {0: Mask(wrong)}))
    prediction, error = shown(page)[4:]
    np.testing.assert_array_equal(prediction, drawing.colours()[wrong])
    differ = (wrong != labels) & (labels != VOID)
    red = error[:, :, 0].astype(int) - error[:, :, 1] > 60
    assert red[differ].mean() > 0.95  # a JPEG mixes neighbours
    assert not red[10:].any()


def test_names_of_classes_are_escaped(tmp_path: Path) -> None:
    """Classes whose names are markup stay text."""
    card = dataclasses.replace(scenes.card(scenes.write(tmp_path / "scenes")), class_names=("<b>", "c", "d"))
    page = parts.page(card, datasets.load(card, tmp_path), 1)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_labels_have_colours_of_their_own() -> None:
    """No two of 255 classes share a colour, and neighbours are far apart."""
    colours = drawing.colours().astype(int)
    assert colours.shape == (256, 3)
    assert len(np.unique(colours, axis=0)) == 256
    assert np.abs(np.diff(colours[:20], axis=0)).sum(axis=1).min() > 80


def test_distances_directions_and_boxes_are_drawn() -> None:
    """The near is bright, the unknown black; a normal's axes are red, green and blue; boxes are coloured by class."""
    metres = np.array([[0, 1, 10]], np.float32)
    unknown, near, far = drawing.drawn(Distances(metres), GREY[:1, :3])[0].astype(int)
    assert unknown.sum() == 0
    assert near.sum() > far.sum() > 0
    normals = np.array([[[1, 0, 0], [0, 0, 0], [0, -1, 0]]], np.float32)
    np.testing.assert_array_equal(
        drawing.drawn(Directions(normals), GREY[:1, :3])[0], [[255, 128, 128], [0, 0, 0], [128, 0, 128]]
    )
    no = np.zeros(1, bool)
    one = Objects((4, 6), np.array([[1.0, 1.0, 4.0, 3.0]]), np.array([2]), np.ones(1), no, no)
    boxed = drawing.drawn(one, GREY)
    np.testing.assert_array_equal(boxed[1, 1], drawing.colours()[2])
    np.testing.assert_array_equal(boxed[3, 5], GREY[3, 5])


def test_errors_of_distances_and_directions_are_drawn() -> None:
    """What is right is dark, what is half or more off is bright, and where the truth is unknown it is black."""
    true = Distances(np.array([[0, 2, 2]], np.float32))
    found = drawing.mistaken(true, Distances(np.array([[5, 2, 3]], np.float32)), GREY[:1, :3])
    assert found is not None
    np.testing.assert_array_equal(found[0], [(0, 0, 0), drawing.RAMP[0], drawing.RAMP[-1]])
    normals = np.array([[[1, 0, 0], [0, 1, 0]]], np.float32)
    found = drawing.mistaken(Directions(normals), Directions(normals[:, ::-1]), GREY[:1, :2])
    assert found is not None
    np.testing.assert_array_equal(found[0], [drawing.RAMP[-1]] * 2)


def test_objects_and_their_errors_are_drawn() -> None:
    """Of objects their pixels are tinted; a box that was found is green, a missed one red, and a false one yellow."""
    no = np.zeros(2, bool)
    inside = np.zeros((40, 60), bool)
    inside[20:30, 20:30] = True
    whole = np.full((40, 60, 3), 100, np.uint8)
    boxes = np.array([[2.0, 2, 12, 12], [20, 20, 30, 30]])
    true = Objects((40, 60), boxes, np.array([0, 1]), np.ones(2), no, no, (encode(~inside & inside), encode(inside)))
    tinted = drawing.drawn(true, whole)
    np.testing.assert_array_equal(tinted[25, 25], (50 + 0.5 * drawing.colours()[1]).astype(np.uint8))
    said = Objects((40, 60), boxes + np.array([[1, 1, 1, 1], [20, 0, 20, 0]]), np.array([0, 1]), np.ones(2), no, no)
    error = drawing.mistaken(true, said, whole)
    assert error is not None
    for place, colour in (((2, 5), drawing.RIGHT), ((20, 25), drawing.WRONG), ((20, 45), drawing.FALSE)):
        np.testing.assert_array_equal(error[place], colour)
    nothing = dataclasses.replace(said, labels=np.array([1, 0]))
    wrong = drawing.mistaken(true, nothing, whole)
    assert wrong is not None
    np.testing.assert_array_equal(wrong[2, 5], drawing.WRONG)


def test_landmarks_are_drawn() -> None:
    """Each landmark is a dot in the colour of its name."""
    places = np.array([[10.0, 20.0], [40.0, 30.0]])
    one = Landmarks((80, 80), places, np.array([0, 3]), np.array([1.0, 1.0, 70.0, 70.0]), "cat", ())
    shown = drawing.drawn(one, np.full((80, 80, 3), 100, np.uint8))
    np.testing.assert_array_equal(shown[20, 10], drawing.colours()[0])
    np.testing.assert_array_equal(shown[30, 40], drawing.colours()[3])


def test_what_other_protocols_say_is_drawn_as_if_it_were_true() -> None:
    """Distances and directions are taken as they are said, and of objects the surest, those first."""
    said = DistanceMaps([np.ones((2, 2), np.float32)]).of_image(0, (2, 2))
    assert isinstance(said, Distances)
    turned = DirectionMaps([np.full((2, 2, 3), 7, np.float32)]).of_image(0, (2, 2))
    np.testing.assert_allclose(np.linalg.norm(turned.normals, axis=2), 1, rtol=1e-6)
    boxes = np.array([[0.0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]])
    found = Found(boxes, np.array([0, 1, 2]), np.array([0.5, 0.3, 0.8], np.float32))
    assert Detections([found]).of_image(0, (9, 9)).labels.tolist() == [2, 0]
    empty = Found(np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.float32))
    assert Detections([empty]).of_image(0, (9, 9)).boxes.shape == (0, 4)


def test_features_become_colours() -> None:
    """Places whose features are alike have one colour in every image, and unlike ones another, whatever axes mean."""
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(4, 16)) * 5
    labels = [generator.integers(0, 4, shape) for shape in ((6, 8), (5, 7))]
    maps = [(kinds[one] + generator.normal(size=(*one.shape, 16)) * 0.05).transpose(2, 0, 1) for one in labels]
    first, second = drawing.as_colours(maps)
    assert first.shape == (6, 8, 3)
    colours = [np.concatenate([p[own == k] for p, own in zip((first, second), labels, strict=True)]) for k in range(4)]
    assert max(one.std(axis=0).max() for one in colours) < 8
    means = np.array([one.mean(axis=0) for one in colours])
    assert min(np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]) > 60
    again = drawing.as_colours([-one for one in maps])
    assert np.abs(again[0].astype(int) + first.astype(int) - 255).mean() < 8 or np.array_equal(again[0], first)
    assert drawing.as_colours([np.ones((2, 3, 3))])[0].shape == (3, 3, 3)


def test_predictions_without_a_picture() -> None:
    """Maps of classes are drawn as masks; predictions that say nothing of pixels are not drawn."""
    said = LabelMaps([np.ones((2, 2), np.uint8)]).of_image(0, (2, 2))
    assert isinstance(said, Mask)
    assert said.labels.all()
    assert Quantities({}, {}).of_image(0, (2, 2)) is None


def test_look_runs_a_protocol(command: Command, tmp_path: Path) -> None:
    """`look` of masks with a model and a protocol shows features as colours, predictions, errors and all figures."""
    folder = scenes.write(tmp_path / "own")
    (folder / "classes.txt").write_text("sky\nground\nbox\n")
    words = "segmentation_linear,steps=2,batch=2,size=32,crop=32"
    said = command("look", folder, "-m", "random", "-p", words, "--images", 2)
    assert said.code == 0, said.err
    page = Path("look-own.html").read_text()
    assert len(shown(page)) == 2 * 3 + 2 * 5
    assert "boundary_iou" in page
    assert page.count("PCA of its features") >= 4
    assert command("look", "digits", "-p", "knn").code == 2
    assert "knn asks classification" in command("look", folder, "-m", "random", "-p", "knn").err
