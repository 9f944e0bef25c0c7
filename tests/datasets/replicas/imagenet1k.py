"""ImageNet-1k in folders of WordNet ids, and beside it the sets that it is asked of."""

from __future__ import annotations

import os
from pathlib import Path

from ssl_bench import tasks
from ssl_bench.tasks import TaskCard
from tests.datasets.replicas import BY_HAND, Truth, pictures, serve, write

CARDS = (
    "imagenet1k",
    "imagenet1k_a",
    "imagenet1k_c",
    "imagenet1k_r",
    "imagenet1k_sketch",
    "imagenet1k_v2",
    "imagenet1k_v2_threshold",
    "imagenet1k_v2_top",
)
SHIFTS = ("gaussian_noise", "defocus_blur", "snow", "contrast")
"""Of ImageNet-C, a corruption of each archive."""
WNIDS = [f"n{1440764 + 7 * number:08d}" for number in range(1000)]


def build(place: Path, card: str) -> Truth:
    """Put ImageNet-1k, and serve the card's further sets as their authors do: ImageNet-A and -R with a README."""
    found = tasks.get(card)
    if not found.source.files:
        return _build(place, found)
    truth = _build(place / BY_HAND, found)
    for name in ("imagenet-a", "imagenet-r"):
        if (place / BY_HAND / name).is_dir():
            write(place / BY_HAND / name, {"README.txt": "what the folders' names mean"})
    serve(place, found.source.files)
    return truth


def _build(place: Path, found: TaskCard) -> Truth:
    """Put one image per class into every folder; the corruptions of ImageNet-C, one of each archive, share theirs."""
    truth = plain(place)
    shared = ""
    for name, shift in found.shifts.items():
        if len(found.shifts) > 1 and name not in SHIFTS:
            continue
        numbers = list(shift.classes or range(1000))
        names = [str(n) for n in numbers] if shift.data.get("order") == "number" else [WNIDS[n] for n in numbers]
        folder = place / shift.data["path"]
        if shared:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.symlink_to(shared)
            truth[name] = truth[next(iter(found.shifts))]
            continue
        splits = shift.split.split("+")
        whole: dict[str, tuple[int, bytes]] = {}
        for position, split in enumerate(splits):
            own = names[position :: len(splits)]
            base = folder if "split" not in shift.data else folder.parent
            whole |= _set(base, split if base == folder else folder.name, own, numbers[position :: len(splits)])
        if "split" in shift.data:
            whole = {key.partition("/")[2]: value for key, value in whole.items()}
        truth[name] = dict(whole)
        shared = str(folder) if len(splits) > 1 else ""
    return truth


def plain(place: Path) -> Truth:
    """Put ImageNet-1k itself."""
    return {split: _set(place / "imagenet1k", split, WNIDS) for split in ("train", "val")}


def _set(base: Path, split: str, names: list[str], labels: list[int] | None = None) -> dict[str, tuple[int, bytes]]:
    image = pictures(1)[0]
    write(base, {"first": image})
    members = {}
    for label, name in zip(labels or range(len(names)), names, strict=True):
        path = f"{split}/{name}/{name}_1.JPEG"
        (base / path).parent.mkdir(parents=True)
        os.link(base / "first", base / path)
        members[path] = (label, image)
    (base / "first").unlink()
    return members
