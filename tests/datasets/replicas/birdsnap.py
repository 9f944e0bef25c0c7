"""Birdsnap's three lists, and those of the images that Flickr still has."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("birdsnap",)


def build(place: Path) -> Truth:
    """Put 500 species, two images listed of each; every seventh image of those is not there."""
    names, truth = classes(500, "Bird"), Truth()
    truth = {"train": {}, "test": {}}
    rows, held = ["url\tmd5\tpath\tspecies_id\tbb_x1"], ["path"]
    for number, (label, name, image) in enumerate(deal(names, pictures(1000))):
        split, path = ("test", "train")[number < 500], f"{name}/{number}.jpg"
        rows.append(f'http://flickr/"{number}\t0\t{path}\t{label + 1}\t3')
        held += [path] if split == "test" else []
        if number % 7:
            truth[split][path] = (label, image)
            write(place / "birdsnap/images", {path: image})
    species = ["id\tcommon\tscientific\tdir", *(f"{i + 1}\t{name}\tAvis\t{name}" for i, name in enumerate(names))]
    lists = {"species.txt": species, "images.txt": rows, "test_images.txt": held}
    write(place / "birdsnap", {name: "\n".join(lines) + "\n" for name, lines in lists.items()})
    return truth
