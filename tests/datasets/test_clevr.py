from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_bench.datasets import clevr
from ssl_bench.errors import DataError

DEPTHS = [[12.0, 8.0, 9.0], [8.1, 10.5, 9.2, 11.0], [10.0, 10.1, 10.2], [10.1, 12.0, 12.0, 13.0, 14.0]]


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    for split in ("train", "val"):
        (tmp_path / f"CLEVR_v1.0/images/{split}").mkdir(parents=True)
        scenes = []
        for i, depths in reversed(list(enumerate(DEPTHS))):
            name = f"CLEVR_{split}_{i:06d}.png"
            (tmp_path / f"CLEVR_v1.0/images/{split}" / name).write_bytes(pngs[i])
            things = [{"pixel_coords": [1, 2, depth]} for depth in depths]
            scenes.append({"image_filename": name, "objects": things})
        (tmp_path / "CLEVR_v1.0/scenes").mkdir(exist_ok=True)
        (tmp_path / f"CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json").write_text(json.dumps({"scenes": scenes}))
    return tmp_path


def test_labels(root: Path, pngs: list[bytes]) -> None:
    """The count begins at three objects; the nearest object's depth is strictly greater than its class's bound."""
    split = clevr.load({"path": ".", "label": "count"}, root)["train"]
    assert split.labels.tolist() == [0, 1, 0, 2]
    assert split.ids[0] == "CLEVR_train_000000.png"
    assert split.read(2) == pngs[2]
    assert clevr.load({"path": ".", "label": "distance"}, root)["val"].labels.tolist() == [0, 1, 4, 5]
    assert clevr.distance_label({"objects": [{"pixel_coords": [1, 2, 8.5 + 1e-9]}]}) == 1  # 8.5 in 32 bits


def test_zip_is_the_folder(root: Path, packer: Callable[..., Path]) -> None:
    """The zip and the folder that it unpacks to give the same samples."""
    packer(root, root.parent / "clevr.zip")
    packed = clevr.load({"path": "clevr.zip", "label": "count"}, root.parent)["val"]
    for path in (root.name, f"{root.name}/CLEVR_v1.0"):
        whole = clevr.load({"path": path, "label": "count"}, root.parent)["val"]
        assert packed.ids == whole.ids
        assert packed.read(3) == whole.read(3)


def test_dirt(root: Path) -> None:
    """Scenes of another form, and a scene without an image, are errors that name the file."""
    (root / "CLEVR_v1.0/images/val/CLEVR_val_000001.png").unlink()
    with pytest.raises(DataError, match=r"holds no file '.*CLEVR_val_000001\.png'"):
        clevr.load({"path": ".", "label": "count"}, root)
    (root / "CLEVR_v1.0/scenes/CLEVR_val_scenes.json").write_text('{"scenes": [{}]}')
    with pytest.raises(DataError, match=r"CLEVR_val_scenes\.json does not hold CLEVR's scenes"):
        clevr.load({"path": ".", "label": "count"}, root)
