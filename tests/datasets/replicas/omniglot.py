"""images_evaluation.zip: drawings by alphabet and character, with the folders as members of their own."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("omniglot",)


def build(place: Path) -> Truth:
    """Write the archive: a drawing of each of 659 characters, 33 of each of 20 alphabets but the last."""
    truth: Truth = {"test": {}}
    for number, image in enumerate(pictures(659, form="png")):
        path = f"Alphabet_{number // 33:02d}/character{number % 33 + 1:02d}/{number:04d}_01.png"
        truth["test"][path] = (number, image)
    files: dict[str, bytes | str] = {"images_evaluation/": "", "images_evaluation/Alphabet_00/": ""}
    pack(place / "images_evaluation.zip", files | {f"images_evaluation/{p}": i for p, (_, i) in truth["test"].items()})
    return truth
