"""`ssl-bench look`: the page before measuring."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np

from ssl_bench import datasets, look, tasks
from tests.cli.conftest import Command
from tests.cli.test_run import images

PIXELS = "pixels,size=8,channels=grey"


def test_a_page_of_what_a_model_sees(command: Command) -> None:
    """The page names counts and transform, shows images of every class and the neighbours that the model finds."""
    assert command("look", "digits", "-m", PIXELS, "--neighbours", 4, "--per-class", 2).code == 0
    page = Path("look-digits.html").read_text()
    assert "20 of 1,257 images, as pixels,size=8,channels=grey sees them: 8 x 8 pixels" in page
    assert page.count('<div class="row">') == 4
    assert page.count("<img") == 3 * 20 + 4 * 7
    assert not re.search(r"https?:|<script", page)


def test_foreign_names_are_escaped(command: Command, tmp_path: Path) -> None:
    """A class whose name is markup stays text, and without a model images are shown as they are."""
    folder = images(tmp_path / "own")
    for split in ("train", "test"):
        (folder / split / "dark").rename(folder / split / "<b>dark")
    assert command("look", folder, "--html", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "&lt;b&gt;dark" in page
    assert "<b>dark" not in page


def test_several_labels(command: Command, tmp_path: Path) -> None:
    """Of images that show several classes all are named, and a neighbour is wrong where it shares none."""
    folder = images(tmp_path / "own")
    rows = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.png"))]
    head = "path,split,<a>,b\n"
    lines = [f"{row},{row.partition('/')[0]},1,{i % 2}\n" for i, row in enumerate(rows)]
    (folder / "list.csv").write_text(head + "".join(lines))
    (tmp_path / "several.toml").write_text(
        'title = "Several"\nreader = "table"\nkind = "multilabel"\nclasses = 2\nmetric = "voc07_map"\n[data]\n'
        f'path = "{folder}"\nlist = "list.csv"\nlabels = ["<a>", "b"]\nsplit_column = "split"\n'
    )
    assert command("look", tmp_path / "several.toml", "-m", PIXELS, "--html", "page.html").code == 0
    page = Path("page.html").read_text()
    assert "&lt;a&gt;, b</figcaption>" in page
    assert 'class="wrong"' not in page


def test_several_right_labels() -> None:
    """Of an image of a shifted set that may be one of several classes, the lowest is shown."""
    card = tasks.get("digits")
    splits = datasets.load(card, Path())
    shifted = splits["test"].take(slice(0, 4))
    labels = np.array([[7, 8], [2, -1], [2, 9], [0, 1]])
    shifted = dataclasses.replace(shifted, labels=labels, class_names=())
    page = look.page(card, {**splits, "shift": shifted})
    assert page.count(">7</figcaption>") == 3 * 3 + 1
    assert page.count(">2</figcaption>") == 3 * 3 + 2


def test_absent_data_and_weights_are_told(command: Command) -> None:
    """What is missing is named with the command that gets it, and exit code 6."""
    assert command("look", "vtab1k_dtd").code == 6
    assert "ssl-bench fetch --model dinov2_vitb14" in command("look", "digits", "-m", "dinov2_vitb14").err


def test_drawings_are_exact_and_photographs_small() -> None:
    """An image that PNG keeps in little is shown pixel by pixel, any other as JPEG."""
    split = datasets.load(tasks.get("digits"), Path())["test"]
    assert look.thumbnail(split, 0).startswith("data:image/png;base64,")
    noise = np.random.default_rng(0).integers(0, 256, (1, 200, 200, 3)).astype(np.uint8)
    photograph = dataclasses.replace(split.take(slice(0, 1)), source=datasets.base.Arrays(lambda: noise, 1))
    photograph = dataclasses.replace(photograph, rows=np.zeros(1, dtype=np.int64))
    shown = look.thumbnail(photograph, 0, dataclasses.replace(look.PLAIN, size=(112, 112)))
    assert shown.startswith("data:image/jpeg;base64,")
    assert len(shown) < 20_000
