"""CUB_200_2011.tgz: images by species, and lists that number them from 1."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pack, pictures

CARDS = ("cub200", "cub_novel")


def build(place: Path, card: str) -> Truth:
    """Write the archive: two images of each of 200 species, one for training; few-shot learning has every fourth."""
    names = [f"{number:03d}.{name}" for number, name in enumerate(classes(200, "Bird"), start=1)]
    truth: Truth = {"train": {}, "test": {}} if card == "cub200" else {"test": {}}
    lists, files = dict.fromkeys(("images", "image_class_labels", "train_test_split"), ""), {}
    for number, (label, name, image) in enumerate(deal(names, pictures(400)), start=1):
        path, split = f"{name}/{name[4:]}_{number:04d}.jpg", "train" if number % 3 else "test"
        lists["images"] += f"{number} {path}\n"
        lists["image_class_labels"] += f"{number} {label + 1}\n"
        lists["train_test_split"] += f"{number} {int(split == 'train')}\n"
        files[f"CUB_200_2011/images/{path}"] = image
        if card == "cub200":
            truth[split][path] = (label, image)
        elif label % 4 == 3:
            truth["test"][path] = (label // 4, image)
    lists["classes"] = "".join(f"{number} {name}\n" for number, name in enumerate(names, start=1))
    files |= {f"CUB_200_2011/{name}.txt": text for name, text in lists.items()}
    pack(place / "CUB_200_2011.tgz", files | {"attributes.txt": "not of the folder"})
    return truth
