"""fgvc-aircraft-2013b.tar.gz: images in one folder, names of variants with spaces, and a list per split."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pack, pictures

CARDS = ("fgvc_aircraft",)


def build(place: Path) -> Truth:
    """Write the archive: an image of each of 100 variants per split; the list of variants is not sorted."""
    names, truth, base = [f"Type {name}" for name in classes(100)][::-1], Truth(), "fgvc-aircraft-2013b/data"
    files: dict[str, bytes | str] = {f"{base}/variants.txt": "".join(f"{name}\n" for name in names)}
    images = pictures(300)
    for number, split in enumerate(("train", "val", "test")):
        members, lines = {}, []
        for label, name, image in deal(names, images[100 * number :][:100]):
            code = f"{3 * label + number:07d}"
            members[f"{code}.jpg"] = (label, image)
            lines.append(f"{code} {name}\n")
        files |= {f"{base}/images/{path}": image for path, (_, image) in members.items()}
        files[f"{base}/images_variant_{split}.txt"] = "".join(lines)
        truth[split] = members
    pack(place / "fgvc-aircraft-2013b.tar.gz", files)
    return truth
