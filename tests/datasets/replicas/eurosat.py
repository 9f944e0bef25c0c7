"""EuroSAT.zip: one folder, called 2750, of ten folders of JPEG files."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, deal, pack, pictures

CARDS = ("cdfsl_eurosat", "vtab1k_eurosat", "vtab_eurosat")
SPLITS = {"train": "train[:24]", "val": "train[24:36]", "test": "train[48:]"}
NAMES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial",
    "Pasture", "PermanentCrop", "Residential", "River", "SeaLake",
)  # fmt: skip


def build(place: Path) -> Truth:
    """Write the archive: six images of every class, EuroSAT's own where these are."""
    members = {}
    for number, (label, name, image) in enumerate(deal(NAMES, pictures(60, "eurosat"))):
        members[f"{name}/{name}_{number // 10 + 1}.jpg"] = (label, image)
    pack(place / "EuroSAT.zip", {f"2750/{name}": image for name, (_, image) in members.items()})
    return {"train": members}
