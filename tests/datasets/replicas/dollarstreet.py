"""ImageNet-1k, and MLCommons' folder of Dollar Street: a table whose lists of labels are text."""

from __future__ import annotations

from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pictures, write
from tests.datasets.replicas.imagenet1k import plain

CARDS = ("imagenet1k_dollarstreet",)


def build(place: Path) -> Truth:
    """Put four images of each region, of none, one and two labels."""
    truth, folder = plain(place), place / "dollarstreet/dataset_dollarstreet"
    head = "id,country.name,region.id,topics,imageRelPath,income,imagenet_synonyms,imagenet_sysnet_id"
    rows, images = [head], pictures(16)
    for name, shift in tasks.get("imagenet1k_dollarstreet").shifts.items():
        truth[name] = {}
        for number in range(4):
            image, path = images[len(rows) - 1], f"assets/{shift.split}{number}/{number}.jpg"
            right = [[414, 748], [999], [], [0, 3]][number]
            rows.append(f"x,Land,{shift.split},['thing'],{path},{100 + number},['a'],\"{right}\"")
            write(folder, {path: image})
            if right:
                truth[name][path] = (right, image)
    write(folder, {"images_v2_imagenet_test.csv": "\n".join(rows) + "\n"})
    return truth
