"""Segmentation by UPerNet: its recipes, the images that mmsegmentation would make, a network that learns scenes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import metrics, protocols
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.heads import mmseg
from ssl_bench.predictions import LabelMaps
from ssl_bench.protocols import _upernet_recipes, segmentation_upernet
from ssl_bench.protocols.base import Trial
from ssl_bench.settings import Settings
from ssl_bench.targets import VOID, Mask
from ssl_bench.training.schedules import rates
from tests import scenes
from tests.protocols.dense_trials import trial_and_truth

pytest.importorskip("mmseg")

from ssl_bench.protocols import _upernet_images, _upernet_run

SHORT = "segmentation_upernet,crop=32,steps=40,batch=4,warmup=4,rate=0.003,channels=16"


@pytest.fixture(autouse=True, scope="module")
def _imported() -> None:
    """mmsegmentation comes in by way of ours, which brings what mmcv-lite lacks."""
    mmseg.library()


def scene(model: str, settings: Settings, folder: Path) -> tuple[Trial, Any]:
    """Return a trial of a tiny untrained network on scenes, and the truth that it does not see."""
    return trial_and_truth(settings, model, scenes.card(scenes.write(folder / "scenes")))


def test_defaults_are_the_published_recipes() -> None:
    """Numbers not given are those of mmsegmentation's configurations of MAE's ViT-B, BEiT's ViT-B and BEiT's ViT-L;
    windows overlap by a third."""
    mae = protocols.get("segmentation_upernet").resolved()  # type: ignore[attr-defined]
    assert (mae.crop, mae.window_step, mae.rate, mae.layer_decay, mae.drop_path) == (512, 341, 1e-4, 0.65, 0.1)
    assert (mae.steps, mae.warmup, mae.batch, mae.decay, mae.relative) == (160_000, 1500, 16, 0.05, True)
    beit = _upernet_recipes.recipe("beit")
    assert (beit.crop, beit.window_step, beit.rate, beit.layer_decay, beit.relative) == (640, 426, 3e-5, 0.9, False)
    large = _upernet_recipes.recipe("beit", depth=24)
    assert (large.rate, large.layer_decay, large.drop_path) == (2e-5, 0.95, 0.2)
    assert protocols.recipe(protocols.get("segmentation_upernet")) == {"recipe": "mae"}


def test_the_rate_is_that_of_mmengines_schedulers() -> None:
    """The rate rises on a line in 1,500 steps and falls on a line to 0 as in the configurations; their schedulers count
    one step less on the way down, which at the published length is 7 millionths of the way."""
    from mmengine.optim import LinearLR, PolyLR

    recipe = _upernet_recipes.recipe("mae", steps=400, warmup=50)
    found = rates(_upernet_run.settings_of(recipe, Trial(2, 0, {}, {}, None)))  # type: ignore[arg-type]
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.rate)
    schedulers = [
        LinearLR(optimiser, start_factor=1e-6, by_epoch=False, begin=0, end=50),
        PolyLR(optimiser, eta_min=0.0, power=1.0, by_epoch=False, begin=50, end=400),
    ]
    expected = []
    for _ in range(400):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        for scheduler in schedulers:
            scheduler.step()
    np.testing.assert_allclose(found[:51], expected[:51], rtol=1e-6)
    np.testing.assert_allclose(found, expected, atol=1.01 * recipe.rate / 349)


def test_fewer_steps_have_as_large_a_share_of_warm_up() -> None:
    """A run of a tenth of the steps warms up for a tenth of 1,500, unless a number is given."""
    assert _upernet_recipes.recipe("mae", steps=16_000).warmup == 150
    assert _upernet_recipes.recipe("mae", steps=16_000, warmup=7).warmup == 7
    assert _upernet_recipes.recipe("mae", steps=320_000).warmup == 1500


@pytest.mark.parametrize(
    ("words", "named"),
    [("batch=1", "batch"), ("crop=4", "crop"), ("layer_decay=0", "layer_decay"), ("steps=20,warmup=20", "warm-up")],
)
def test_unfit_numbers_are_refused(words: str, named: str) -> None:
    """A number beyond its limits is a UsageError that names it."""
    with pytest.raises(UsageError, match=named):
        protocols.get(f"segmentation_upernet,{words}")


class Scripted:
    """Draws that two codes take in turn, whichever names they call a generator's methods by."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def integers(self, low: int, high: int | None = None) -> int:
        return int(self.generator.integers(low, high))

    randint = integers

    def uniform(self, low: float, high: float) -> float:
        return float(self.generator.uniform(low, high))

    def random(self) -> float:
        return float(self.generator.random())


@pytest.mark.parametrize("seed", range(8))
def test_colours_are_changed_as_theirs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws give the pixels of mmsegmentation's PhotoMetricDistortion."""
    from mmseg.datasets.transforms import transforms

    image, _ = scenes.scene(seed)
    monkeypatch.setattr(transforms, "random", Scripted(seed))
    theirs = transforms.PhotoMetricDistortion()({"img": np.ascontiguousarray(image[..., ::-1])})["img"][..., ::-1]
    np.testing.assert_array_equal(_upernet_images.recoloured(image, Scripted(seed)), theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_crops_are_cut_as_theirs(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws give the part of mmsegmentation's RandomCrop, in which no class has three quarters."""
    from mmseg.datasets.transforms import transforms

    _, labels = scenes.scene(seed)
    labels[:, :30] = 0
    draws = Scripted(seed)
    top, left = _upernet_images._corner(labels, 16, draws)  # type: ignore[arg-type]
    monkeypatch.setattr(transforms.np.random, "randint", Scripted(seed).integers)
    theirs = transforms.RandomCrop((16, 16), cat_max_ratio=0.75)
    box = theirs.crop_bbox({"img": labels, "gt_seg_map": labels})
    assert (top, left) == (box[0], box[2])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("size", [(32, 48), (50, 50), (9, 400), (1, 1), (301, 77)])
def test_images_are_scaled_as_theirs(size: tuple[int, int], ratio: float) -> None:
    """Height and width are those of mmcv's rescaling to (4 x crop, crop), which keeps a panorama small."""
    import mmcv

    image = np.zeros(size, dtype=np.uint8)
    expected = mmcv.imrescale(image, (int(4 * 32 * ratio), int(32 * ratio))).shape
    assert _upernet_images.scaled(size, 32, ratio) == expected
    assert max(expected) <= 4 * 32 * ratio


def test_what_is_beyond_an_image_is_void() -> None:
    """A scaled image smaller than a crop is padded behind: its mask is void there, and the crop says where it ends."""
    image, labels = scenes.scene(0)
    for seed in range(10):
        crop = _upernet_images.trained(image, Mask(labels), np.random.default_rng(seed), 64)
        assert crop.pixels.shape == (3, 64, 64)
        height, width = crop.inside
        assert min(height, width) >= 32
        assert (crop.labels[height:] == VOID).all()
        assert (crop.labels[:, width:] == VOID).all()
        assert (crop.labels[:height, :width] < scenes.CLASSES).any()
        assert not crop.pixels[:, height:].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (20, 30, 3)])
def test_any_image_is_evaluated(size: tuple[int, ...]) -> None:
    """An image of one pixel, a line of pixels and one in grey are brought to a window or more, and never grow long."""
    crop = _upernet_images.evaluated(np.full(size, 7, dtype=np.uint8), 32)
    assert crop.pixels.shape[0] == (3 if len(size) == 3 else 1)
    assert min(crop.pixels.shape[1:]) >= 32
    assert max(crop.pixels.shape[1:]) <= 128
    assert crop.size == size[:2]
    assert (crop.pixels[:, : crop.inside[0], : crop.inside[1]] == 7).all()


@pytest.mark.parametrize("model", ["random:timm:test_vit", "random:timm:test_resnet"])
def test_a_network_learns_scenes(model: str, own_settings: Settings, tmp_path: Path) -> None:
    """A transformer and a network of stages learn which colour is which class, answer at every image's own size, tell
    the recipe as it was resolved."""
    trial, truth = scene(model, own_settings, tmp_path)
    answer = protocols.get(SHORT).answer(trial)
    assert isinstance(answer.predictions, LabelMaps)
    maps = [answer.predictions.maps[index] for index in range(4)]
    assert [one.shape for one in maps] == [truth.dense[index].labels.shape for index in range(4)]
    value, _, _ = metrics.get("miou").score(answer.predictions.judged(truth), truth)
    assert value > 0.45  # one class everywhere has less than 0.2
    assert answer.curve[-1]["train_loss"] < 0.65 * answer.curve[0]["train_loss"]
    told = answer.selected["resolved"]
    plain = model.endswith("vit")
    assert (told["relative"], told["drop_path"], told["steps"], told["window_step"]) == (plain, 0.1, 40, 21)
    assert len(told["layers"]) == len(told["widths"]) == 4
    assert answer.cost["images_trained"] == 160


def test_the_same_seed_says_the_same(own_settings: Settings, tmp_path: Path) -> None:
    """A run of the same seed answers the same to the last pixel; of another seed it does not."""
    trial, _ = scene("random:timm:test_vit", own_settings, tmp_path)

    def said(trial: Trial) -> list[bytes]:
        answer = protocols.get("segmentation_upernet,crop=32,steps=3,batch=2,rate=0.01,channels=16").answer(trial)
        assert isinstance(answer.predictions, LabelMaps)
        return [answer.predictions.maps[index].tobytes() for index in range(4)]

    assert said(trial) == said(trial) != said(trial.reseeded(1))


@pytest.mark.parametrize(("model", "precision"), [("digits_vit", "float32"), ("random:timm:test_resnet", "bfloat16")])
def test_grey_images_and_lower_precision(model: str, precision: str, own_settings: Settings, tmp_path: Path) -> None:
    """A network of grey images is trained on grey crops, and the arithmetic may be bfloat16's."""
    trial, truth = scene(model, own_settings, tmp_path)
    text = "segmentation_upernet,crop=32,steps=2,batch=2,channels=16"
    answer = protocols.get(text).answer(dataclasses.replace(trial, precision=precision))
    assert np.isfinite(answer.curve[-1]["train_loss"])
    value, _, _ = metrics.get("miou").score(answer.predictions.judged(truth), truth)
    assert 0 < value < 1
    assert answer.selected["resolved"]["precision"] == precision


def test_a_run_that_was_ended_goes_on(own_settings: Settings, tmp_path: Path) -> None:
    """What a run keeps beside the cache is taken up by the next: no step is made twice. Another recipe's is refused."""
    trial, _ = scene("random:timm:test_vit", own_settings, tmp_path)
    trial = dataclasses.replace(trial, state=tmp_path / "state")
    (tmp_path / "state").mkdir()
    recipe = _upernet_recipes.recipe("mae", crop=32, steps=3, batch=2, channels=16, warmup=0)
    first = _upernet_run.run(trial, recipe)
    again = _upernet_run.run(trial, recipe)
    assert again.history.losses == first.history.losses
    assert again.history.seconds == first.history.seconds
    states = zip(first.network.state_dict().values(), again.network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in states)
    with pytest.raises(UsageError, match="another recipe"):
        _upernet_run.run(trial, dataclasses.replace(recipe, rate=1e-3))


def test_a_step_has_its_crops_whatever_was_asked_before(own_settings: Settings, tmp_path: Path) -> None:
    """What stands at a place depends on step and place alone, and permutations of train follow one another."""
    trial, _ = scene("random:timm:test_vit", own_settings, tmp_path)
    crops = _upernet_run.Crops(trial, _upernet_recipes.recipe("mae", crop=32, batch=4, steps=9))

    def taken(first: int, places: Sequence[int], size: int, parts: int) -> tuple[Any, Any]:
        source = crops(first, places, size)
        images, labels = zip(*(next(source) for _ in range(parts)), strict=True)
        return torch.cat(images), torch.cat(labels)

    images, labels = taken(0, [0, 1, 2, 3], 4, 3)
    later, said = taken(1, [0, 1, 2, 3], 2, 4)
    assert torch.equal(images[4:], later)
    assert torch.equal(labels[4:], said)
    [last], _ = taken(2, [3], 1, 1)
    assert torch.equal(images[-1], last)
    order = np.concatenate([crops.members(step) for step in range(9)])
    assert np.bincount(order).tolist() == [6] * 6
    assert sorted(order[:6].tolist()) == sorted(order[6:12].tolist()) == list(range(6))


def test_a_control_without_a_network_is_refused(own_settings: Settings, tmp_path: Path) -> None:
    """A model that has no network cannot be asked, and one whose network gives no maps is named."""
    trial, _ = scene("random:timm:test_vit", own_settings, tmp_path)
    with pytest.raises(UsageError, match="none that can be trained"):
        protocols.get(SHORT).predict(dataclasses.replace(trial, backbone=None))


def test_too_little_memory_for_two_images_is_said(own_settings: Settings, tmp_path: Path) -> None:
    """Batch normalisation needs two images at once: where one passes at a time, the error says so."""
    trial, _ = scene("random:timm:test_vit", own_settings, tmp_path)
    with pytest.raises(MissingError, match="two images at once"):
        protocols.get(SHORT).predict(dataclasses.replace(trial, at_once=1))


def test_a_plan_knows_what_passes_the_network() -> None:
    """A plan counts the crops of all steps, and the test images."""
    passes = protocols.get(SHORT).passes({"train": 6, "test": 4})
    assert (passes.trained, passes.crops) == (160, 4)
    assert segmentation_upernet.Protocol.kinds == ("segmentation",)
