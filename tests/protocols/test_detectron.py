"""Detectors of detectron2 around our networks: the same numbers as its own, and a whole job. Skipped where it is not
installed."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

from ssl_bench import api, protocols
from ssl_bench.backbones import given, windowed
from ssl_bench.backbones.base import Backbone
from ssl_bench.backbones.windowed import quarters
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard
from ssl_bench.protocols import _detectron_recipes
from ssl_bench.targets import Objects, outlines
from ssl_bench.training.schedules import rates

detectron2 = pytest.importorskip("detectron2", reason="detectron2 is not installed: see docs/dense.md")
from detectron2.config import LazyConfig, get_cfg, instantiate  # noqa: E402
from detectron2.modeling import build_model  # noqa: E402
from detectron2.modeling.backbone.vit import get_vit_lr_decay_rate  # noqa: E402
from detectron2.solver import WarmupParamScheduler  # noqa: E402
from detectron2.solver.build import get_default_optimizer_params  # noqa: E402
from detectron2.structures import BitMasks, Boxes, Instances  # noqa: E402
from detectron2.utils.events import EventStorage  # noqa: E402
from fvcore.common.param_scheduler import MultiStepParamScheduler  # noqa: E402

from ssl_bench.protocols import _detectron_images, _detectron_run  # noqa: E402

CONFIGS = Path(detectron2.__file__).parent / "model_zoo" / "configs" / "common" / "models"
CLASSES = 3
ROIS = 16


def inputs(side: int) -> list[dict[str, Any]]:
    """Two images of noise and their objects, as detectron2 wants them."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for boxes in ([[4.0, 6.0, 40.0, 44.0]], [[10.0, 2.0, 30.0, 60.0], [30.0, 30.0, 62.0, 50.0]]):
        instances = Instances((side, side))
        instances.gt_boxes, instances.gt_classes = Boxes(torch.tensor(boxes)), torch.arange(len(boxes))
        masks = torch.zeros(len(boxes), side, side, dtype=torch.bool)
        for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
            mask[int(top) : int(bottom), int(left) : int(right)] = True
        instances.gt_masks = BitMasks(masks)
        found.append({"image": torch.randn(3, side, side, generator=generator), "instances": instances})
    return found


def assert_same(ours: Any, theirs: Any, side: int, c4: bool = False) -> None:
    """Both have as many parameters, and with the same draws the same losses and findings."""
    counts = [sum(p.numel() for p in model.parameters() if p.requires_grad) for model in (ours, theirs)]
    assert counts[0] == counts[1]
    said = []
    for model in (ours, theirs):
        model.train()
        assert model.proposal_generator.post_nms_topk == {True: 2000 if c4 else 1000, False: 1000}
        model.proposal_generator.post_nms_topk = {True: 40, False: 40}
        torch.manual_seed(1)
        with EventStorage(), torch.no_grad():
            losses = model(inputs(side))
        found = model.eval()([{"image": inputs(side)[0]["image"]}])[0]["instances"]
        said.append((losses, found.scores, found.pred_boxes.tensor))
    assert set(said[0][0]) == set(said[1][0]) >= {"loss_rpn_cls", "loss_box_reg", "loss_mask"}
    torch.testing.assert_close(said[0], said[1], rtol=1e-3, atol=1e-4)


def backbone_of(network: nn.Module) -> Backbone:
    """A network as a backbone that may be taken over."""
    return given(ModelCard("own", "Own", "module"), network)


def test_vitdet_as_detectron2() -> None:
    """ViTDet around timm's network has the parameters, losses and findings of detectron2's own configuration."""
    side = 64
    config = LazyConfig.load(str(CONFIGS / "mask_rcnn_vitdet.py")).model
    net = {"img_size": side, "embed_dim": 96, "depth": 4, "num_heads": 3, "window_size": 3, "drop_path_rate": 0.0}
    config.backbone.net.update({**net, "window_block_indexes": [i for i in range(4) if i not in (1, 3)]})
    config.backbone.net.pretrain_img_size = 32
    config.backbone.square_pad, config.roi_heads.num_classes = side, CLASSES
    config.roi_heads.batch_size_per_image, config.proposal_generator.batch_size_per_image = ROIS, ROIS // 2
    config.pixel_mean, config.pixel_std = [0.0] * 3, [1.0] * 3
    torch.manual_seed(0)
    theirs = instantiate(config)
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, embed_dim=96, depth=4)
    state = {key.removeprefix("backbone.net."): value for key, value in theirs.state_dict().items()}
    network.load_state_dict({key: state[key] for key in network.state_dict() if key in state}, strict=False)
    protocol = protocols.get("detection_vitdet,window=3,side=64,drop_path=0")
    recipe = dataclasses.replace(protocol.resolved(), rois=ROIS)
    ours = _with_blocks(protocol, network, recipe)
    _copy_heads(theirs, ours)
    blocks = ours.backbone.net.network.network.blocks
    for block, other in zip(blocks, theirs.backbone.net.blocks, strict=True):
        for name in ("rel_pos_h", "rel_pos_w"):
            nn.init.normal_(getattr(other.attn, name), std=0.2)
            getattr(block.attn.positions, name).data.copy_(getattr(other.attn, name))
    _without_cls(theirs)
    assert_same(ours, theirs, side)


def _with_blocks(protocol: Any, network: nn.Module, recipe: Any) -> Any:
    """Build with the blocks 1 and 3 seeing everything: of four, each is the last of a quarter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windowed, "quarters", lambda depth: (1, 3))
        return protocol.build(backbone_of(network), recipe, CLASSES, masks=True)


def _without_cls(theirs: Any) -> None:
    """Take the position of cls, which stands for nothing, out of detectron2's network."""
    net = theirs.backbone.net
    net.pos_embed, net.pretrain_use_cls_token = nn.Parameter(net.pos_embed.data[:, 1:]), False


def _copy_heads(theirs: Any, ours: nn.Module) -> None:
    """Give our detector the weights of the other's, but for its network."""
    head = theirs.proposal_generator.rpn_head
    for layer in (head.objectness_logits, head.anchor_deltas):  # so that no two proposals are as good as each other
        nn.init.normal_(layer.weight, std=0.1)
    own = ours.state_dict()
    shared = {key: value for key, value in theirs.state_dict().items() if key in own}
    assert any("mask_head" in key for key in shared)
    assert any("rpn_head" in key for key in shared)
    ours.load_state_dict(shared, strict=False)


@pytest.mark.parametrize("name", ["detection_c4", "detection_fpn"])
def test_moco_and_densecl_as_detectron2(name: str) -> None:
    """The recipes of MoCo and DenseCL around torchvision's ResNet-50 have the parameters, losses and findings of
    detectron2's own networks under their configurations."""
    torch.manual_seed(0)
    theirs = build_model(_configuration(name))
    if name == "detection_c4":
        theirs.roi_heads.res5.add_module("norm", nn.BatchNorm2d(2048))
    network = torchvision.models.resnet50()
    network.fc = nn.Identity()
    protocol = protocols.get(name)
    recipe = dataclasses.replace(protocol.resolved(), rois=ROIS)
    _take_over(theirs, network)
    ours: Any = protocol.build(backbone_of(_Maps(network)), recipe, CLASSES, masks=True)
    _copy_heads(theirs, ours)
    assert_same(ours, theirs, 64, c4=name == "detection_c4")


class _Maps(torchvision.models.ResNet):  # type: ignore[misc]  # torchvision has no types
    """Gives the last map of another network, whose parts are its own."""

    def __init__(self, other: nn.Module) -> None:
        nn.Module.__init__(self)
        for part, module in other.named_children():
            if part not in ("avgpool", "fc"):
                self.add_module(part, module)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for module in self.children():
            images = module(images)
        return images


def _configuration(name: str) -> Any:
    """What MoCo's coco_R_50_C4_2x_moco.yaml and DenseCL's R_50_FPN_1x.yaml say of the network, on the CPU."""
    config = get_cfg()
    config.MODEL.DEVICE, config.MODEL.MASK_ON, config.MODEL.BACKBONE.FREEZE_AT = "cpu", True, 0
    config.MODEL.RESNETS.NORM, config.MODEL.RESNETS.STRIDE_IN_1X1 = "BN", False
    config.MODEL.PIXEL_MEAN, config.MODEL.PIXEL_STD = [0.0] * 3, [1.0] * 3
    config.MODEL.ROI_HEADS.NUM_CLASSES, config.MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE = CLASSES, ROIS
    config.MODEL.RPN.BATCH_SIZE_PER_IMAGE = ROIS // 2
    config.MODEL.RPN.PRE_NMS_TOPK_TEST, config.MODEL.RPN.POST_NMS_TOPK_TEST = 6000, 1000
    if name == "detection_fpn":
        model = config.MODEL
        model.BACKBONE.NAME, model.FPN.NORM = "build_resnet_fpn_backbone", "BN"
        model.RESNETS.OUT_FEATURES = model.FPN.IN_FEATURES = ["res2", "res3", "res4", "res5"]
        model.ANCHOR_GENERATOR.SIZES = [[32], [64], [128], [256], [512]]
        model.RPN.IN_FEATURES = ["p2", "p3", "p4", "p5", "p6"]
        model.RPN.PRE_NMS_TOPK_TRAIN, model.RPN.PRE_NMS_TOPK_TEST = 2000, 1000
        model.RPN.POST_NMS_TOPK_TRAIN = 1000
        model.ROI_HEADS.NAME, model.ROI_HEADS.IN_FEATURES = "StandardROIHeads", ["p2", "p3", "p4", "p5"]
        box, mask = model.ROI_BOX_HEAD, model.ROI_MASK_HEAD
        box.NAME, box.NUM_CONV, box.NUM_FC, box.NORM, box.POOLER_RESOLUTION = "FastRCNNConvFCHead", 4, 1, "BN", 7
        mask.NUM_CONV, mask.NORM = 4, "BN"
    return config


def _take_over(theirs: Any, network: nn.Module) -> None:
    """Give torchvision's ResNet the weights of detectron2's, by the names of MoCo's conversion."""
    trunk = getattr(theirs.backbone, "bottom_up", theirs.backbone)
    parts = {f"{key}": value for key, value in trunk.state_dict().items()}
    if hasattr(theirs.roi_heads, "res5"):
        parts |= {f"res5.{key}": value for key, value in theirs.roi_heads.res5.state_dict().items()}
    state = {}
    for key, value in parts.items():
        name = re.sub(r"res(\d)", lambda match: f"layer{int(match[1]) - 1}", key.removeprefix("stem."))
        name = re.sub(r"conv(\d)\.norm", r"bn\1", name)
        state[name.replace("shortcut.norm", "downsample.1").replace("shortcut", "downsample.0")] = value
    lost = network.load_state_dict(state, strict=False)
    assert not [key for key in lost.missing_keys if "num_batches" not in key]


def test_groups_as_detectron2() -> None:
    """Every parameter of ViTDet has the rate and decay that detectron2's own rules give it."""
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, embed_dim=96, depth=4)
    backbone, protocol = backbone_of(network), protocols.get("detection_vitdet,side=64")
    recipe = protocol.resolved()
    detector: Any = protocol.build(backbone, recipe, CLASSES, masks=False)
    ours = {
        id(parameter): (group.rate_scale, group.decay)
        for group in _detectron_run.groups_of(detector, backbone.network, recipe)
        for parameter in group.parameters
    }
    theirs = get_default_optimizer_params(
        detector,
        base_lr=1.0,
        weight_decay=0.1,
        weight_decay_norm=0.0,
        lr_factor_func=lambda name: get_vit_lr_decay_rate(name.replace(".network", ""), 0.7, 4),
        overrides={"pos_embed": {"weight_decay": 0.0}},
    )
    expected = {id(p): (group["lr"], group["weight_decay"]) for group in theirs for p in group["params"]}
    assert ours.keys() == expected.keys()
    assert all(ours[key] == pytest.approx(expected[key]) for key in ours)


@pytest.mark.parametrize("name", ["vitdet", "voc_c4", "coco_c4", "coco_fpn"])
def test_rates_as_detectron2(name: str) -> None:
    """The rate of every step is that of detectron2's scheduler."""
    recipe = _detectron_recipes.recipe(name)
    marks = [round(share * recipe.steps) for share in recipe.milestones]
    falling = MultiStepParamScheduler(values=[1.0, 0.1, 0.01], milestones=marks, num_updates=recipe.steps)
    theirs = WarmupParamScheduler(falling, 0.001, recipe.warmup / recipe.steps)
    ours = rates(_detectron_run.settings_of(recipe, "float32"))
    near = [step + more for step in (1, recipe.warmup, *marks) for more in (-1, 0, 1)]
    for step in [*near, recipe.warmup // 2, recipe.steps - 1]:
        assert ours[step] == pytest.approx(recipe.rate * theirs(step / recipe.steps), rel=1e-6)


def test_objects_follow_their_pixels() -> None:
    """However an image is scaled, cut and flipped, boxes and outlines stay around what they are of."""
    height, width = 60, 90
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[10:40, 20:70] = 255
    mask = image[:, :, 0] > 0
    true = _objects((height, width), [[20, 10, 70, 40]], [outlines.encode(mask)])
    for name in ("vitdet", "coco_fpn"):
        changes = {"side": 96} if name == "vitdet" else {"shorts": (48, 120), "longest": 150}
        recipe = _detectron_recipes.recipe(name, **changes)
        sizes = set()
        for draw in range(20):
            made = _example(recipe, image, true, draw)
            bright = made["image"][0] > 0.5
            sizes.add(tuple(bright.shape))
            if not len(made["instances"]):
                assert bright.sum() < 16
                continue
            [box] = made["instances"].gt_boxes.tensor.tolist()
            rows, columns = torch.where(bright)
            edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box == pytest.approx([float(edge) for edge in edges], abs=1.6)
            assert (made["instances"].gt_masks.tensor[0] != bright).float().mean() < 0.05
        assert len(sizes) > 1


def test_crowds_are_left_out() -> None:
    """Of an image's objects, crowds are not learnt from."""
    true = _objects((20, 20), [[0, 0, 9, 9], [10, 10, 19, 19]], [])
    true = dataclasses.replace(true, crowd=np.array([True, False]))
    made = _example(
        _detectron_recipes.recipe("coco_fpn", shorts=(20,)), np.zeros((20, 20, 3), dtype=np.uint8), true, 0, masks=False
    )
    assert len(made["instances"]) == 1


@dataclasses.dataclass
class _Shown:
    input = InputSpec((32, 32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@dataclasses.dataclass
class _Trial:
    backbone = _Shown()
    seed = 0


def _example(recipe: Any, image: np.ndarray, true: Objects, draw: int, masks: bool = True) -> dict[str, Any]:
    given_inputs = _detectron_images.Inputs(_Trial(), np.arange(1), recipe, masks)  # type: ignore[arg-type]
    return given_inputs.example(image, true, np.random.default_rng(draw))


def _objects(size: tuple[int, int], boxes: list[list[int]], drawn: list[bytes]) -> Objects:
    none = np.zeros(len(boxes), dtype=np.bool_)
    return Objects(
        size=size,
        boxes=np.array(boxes, dtype=np.float64),
        labels=np.zeros(len(boxes), dtype=np.int64),
        areas=np.ones(len(boxes)),
        crowd=none,
        difficult=none,
        outlines=tuple(drawn),
    )


def test_outlines_are_of_the_images_own_size() -> None:
    """What is found has its outlines and boxes in pixels of the image as its source keeps it."""
    network = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, embed_dim=96, depth=2)
    protocol = protocols.get("detection_vitdet,side=64,proposals=20")
    detector: Any = protocol.build(backbone_of(network), protocol.resolved(), CLASSES, masks=True)
    trial: Any = _Images([np.full((50, 80, 3), 200, dtype=np.uint8), np.zeros((1, 1, 3), dtype=np.uint8)])
    wide, small = _detectron_run.found(detector, trial, protocol.resolved())
    assert 0 < len(wide.boxes) == len(wide.outlines) <= 100
    assert all(outlines.decode(outline, (50, 80)).shape == (50, 80) for outline in wide.outlines)
    assert (wide.boxes >= 0).all()
    assert (wide.boxes <= [80, 50, 80, 50]).all()
    assert all(len(outlines.decode(outline, (1, 1))) == 1 for outline in small.outlines)


@dataclasses.dataclass
class _Images:
    """A trial of test images in memory."""

    images: list[np.ndarray]
    precision = "float32"
    device = "cpu"
    backbone = _Shown()

    @property
    def sizes(self) -> dict[str, int]:
        return {"test": len(self.images)}

    def track(self, *_: Any) -> Any:
        return contextlib.nullcontext(lambda count: None)

    def prepared(self, split: str, prepare: Any, order: np.ndarray) -> Any:
        return (prepare(self.images[i], None, np.random.default_rng(0)) for i in order)


def test_quarters_are_vitdets() -> None:
    """ViTDet's configurations let the same blocks see everything."""
    config = LazyConfig.load(str(CONFIGS / "mask_rcnn_vitdet.py")).model.backbone.net
    assert sorted(set(range(12)) - set(config.window_block_indexes)) == list(quarters(12))


@pytest.mark.data
@pytest.mark.parametrize(
    ("model", "protocol"),
    [
        ("random:digits_vit", "detection_vitdet,side=64,rois=8,proposals=50"),
        ("random:galileo_nano", "detection_vitdet,side=64,rois=8,proposals=50,attention=own"),
        ("random:shufflenetv2_05", "detection_fpn,short=64,shorts=64,rois=8,proposals=50,precise=1"),
    ],
)
def test_a_whole_job(model: str, protocol: str, tmp_path: Path, real_data: Path) -> None:
    """A job on BCCD trains, finds and scores, the same twice, and its record tells the recipe as it was resolved."""
    outcome = api.run(
        model, task="bccd", protocol=f"{protocol},steps=2,warmup=1,batch=2", limit=2,
        results=tmp_path / "results", cache=tmp_path / "cache", data=real_data, device="cpu",
    )  # fmt: skip
    [record] = outcome.records
    assert 0 <= record.metrics["voc12_ap50"].value <= 1
    assert record.protocol.selected["resolved"]["steps"] == 2
    assert [row["step"] for row in record.protocol.curve] == [1, 2]
