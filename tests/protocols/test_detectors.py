"""What holds of detectors whether or not detectron2 is installed: recipes, and what is refused in one line."""

from __future__ import annotations

import sys

import pytest
import timm

from ssl_bench import protocols
from ssl_bench.backbones import given, trunks
from ssl_bench.backbones.base import Backbone
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.heads import detectron
from ssl_bench.model_zoo import ModelCard
from ssl_bench.protocols import _rcnn_recipes

NAMES = ("detection_c4", "detection_fpn", "detection_vitdet")


def backbone_of(name: str) -> Backbone:
    return given(ModelCard("own", "Own", "module"), timm.create_model(name, num_classes=0, global_pool=""))


@pytest.mark.parametrize(
    ("name", "steps", "marks"),
    [
        ("vitdet", 184_375, (163_889, 177_546)),
        ("voc_c4", 24_000, (18_000, 22_000)),
        ("coco_c4", 180_000, (120_000, 160_000)),
        ("coco_fpn", 90_000, (60_000, 80_000)),
    ],
)
def test_published_lengths(name: str, steps: int, marks: tuple[int, ...]) -> None:
    """The rate falls at the steps that the authors' configurations name, and at their share of another length."""
    recipe = _rcnn_recipes.recipe(name)
    assert recipe.steps == steps
    assert tuple(round(share * steps) for share in recipe.milestones) == marks


def test_depth_chooses() -> None:
    """ViT-L and ViT-H have the published rates of their layers and drop paths; a given number stays."""
    said = [_rcnn_recipes.recipe("vitdet", depth) for depth in (12, 24, 32)]
    assert [(one.layer_decay, one.drop_path) for one in said] == [(0.7, 0.1), (0.8, 0.4), (0.9, 0.5)]
    assert [one.steps for one in said] == [184_375, 184_375, 138_281]
    assert _rcnn_recipes.recipe("vitdet", 32, steps=7).steps == 7


def test_only_what_is_given_is_asked() -> None:
    """A number that is not given is no part of the recipe that is recorded."""
    assert protocols.recipe(protocols.get("detection_c4")) == {"recipe": "voc"}
    assert protocols.recipe(protocols.get("detection_vitdet,steps=9000"))["steps"] == 9000


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("detection_vitdet,side=100", "side=100 is no multiple of 32"),
        ("detection_vitdet,window=-1", "window=-1 is below 0"),
        ("detection_vitdet,scales=2+1", "the least and the largest"),
        ("detection_vitdet,steps=10", "a warm-up of 250 steps leaves nothing of 10 steps; give warmup= too"),
        ("detection_c4,batch=0", "batch must be at least 1"),
        ("detection_fpn,shorts=0", "shorts must be at least 32"),
    ],
)
def test_numbers_that_cannot_be(words: str, complaint: str) -> None:
    """A number that no run could have is refused by its name."""
    with pytest.raises(UsageError, match=complaint):
        protocols.get(words)


def test_networks_that_do_not_fit() -> None:
    """A network that a recipe cannot be put around is refused by its name, with the recipe that takes it."""
    vitdet, staged = protocols.get("detection_vitdet"), backbone_of("test_convnext")
    with pytest.raises(UsageError, match=r"ConvNeXt is no .* ask for detection_fpn where it has stages"):
        vitdet.build(staged, _rcnn_recipes.recipe("vitdet"), 3, masks=False)
    with pytest.raises(UsageError, match=r"no stages of the strides 4, 8, 16 and 32.* detection_vitdet"):
        trunks.Staged(backbone_of("test_vit"))
    with pytest.raises(UsageError, match=r"no ResNet that could be cut .* detection_fpn"):
        trunks.Cut(backbone_of("test_convnext"))


def test_without_detectron2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without detectron2 the error and the listing give the command that installs it."""
    detectron.library.cache_clear()
    monkeypatch.setitem(sys.modules, "detectron2", None)
    monkeypatch.setitem(sys.modules, "detectron2.modeling", None)
    with pytest.raises(MissingError, match=r"is not installed\. It is built from its source: pip install"):
        detectron.library()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert {protocols.lacks(name) for name in NAMES} == {detectron.INSTALL}
