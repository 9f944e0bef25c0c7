"""Poolings over several blocks: cls of the last four side by side, as the linear classifiers of DINO and DINOv2."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import assert_same, images, load, randomised


def network(depth: int = 5) -> nn.Module:
    given = {"img_size": 64, "patch_size": 16, "embed_dim": 128, "depth": depth, "num_heads": 2, "num_classes": 0}
    return randomised(VisionTransformer(**given, global_pool="token"))


@torch.inference_mode()
def tokens_of_last_blocks(source: nn.Module, batch: Tensor) -> list[Tensor]:
    """Return the tokens behind each of the last four blocks, each after the final norm, by hooks on the blocks."""
    found: list[Tensor] = []
    blocks = list(source.get_submodule("blocks").children())[-4:]
    hooks = [block.register_forward_hook(lambda _block, _given, out: found.append(out)) for block in blocks]
    source(batch)
    for hook in hooks:
        hook.remove()
    return [source.get_submodule("norm")(tokens) for tokens in found]


def test_cls_of_the_last_four_blocks(tmp_path: Path) -> None:
    """Cls of the last four blocks stands side by side, the last one last, and the mean over its patches behind them."""
    source = network()
    backbone = load(tmp_path, {"teacher": source.state_dict()}, "dino_vit")
    tokens = tokens_of_last_blocks(source, images())
    cls = torch.cat([each[:, 0] for each in tokens], dim=1)
    found = backbone.forward(images(), "cls_last4")
    assert_same(found.pooled, cls)
    assert_same(found.dense, backbone.forward(images(), "cls").dense)
    both = torch.cat([cls, tokens[-1][:, 1:].mean(1)], dim=1)
    assert_same(backbone.forward(images(), "cls_last4+patch_mean").pooled, both)


def test_the_timm_adapter_takes_the_same_blocks(tmp_path: Path) -> None:
    """A network of timm's own offers the same poolings, and does not where its norm stands behind the pooling."""
    name = "vit_tiny_patch16_224,size=64"
    backbone = backbones.load(model_zoo.get(f"timm:{name}"), LoadContext(untrained=True))
    torch.manual_seed(0)
    source = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64).eval()
    tokens = tokens_of_last_blocks(source, images())
    assert_same(backbone.forward(images(), "cls_last4").pooled, torch.cat([each[:, 0] for each in tokens], dim=1))
    averaged = backbones.load(model_zoo.get(f"timm:{name},global_pool=avg"), LoadContext(untrained=True))
    assert not any("last4" in pooling for pooling in averaged.poolings)


@pytest.mark.parametrize("family", ["mae", "ijepa"])
def test_who_offers_them(tmp_path: Path, family: str) -> None:
    """A network of fewer than four blocks, or without cls, does not offer them."""
    given = {} if family == "mae" else {"class_token": False, "global_pool": "avg", "fc_norm": False}
    arguments = {"img_size": 64, "embed_dim": 128, "num_heads": 2, "num_classes": 0, **given}
    source = VisionTransformer(depth=3 if family == "mae" else 5, **arguments)
    backbone = load(tmp_path, {"model" if family == "mae" else "target_encoder": source.state_dict()}, family)
    with pytest.raises(UsageError, match="no pooling 'cls_last4'"):
        backbone.resolve_pooling("cls_last4")


@pytest.mark.parametrize(
    ("poolings", "passes"),
    [(("cls", "patch_mean"), 1), (("cls_last4", "cls_last4+patch_mean"), 1), (("cls", "cls_last4"), 1)],
)
def test_several_poolings_of_a_file_take_one_pass(tmp_path: Path, poolings: tuple[str, ...], passes: int) -> None:
    """Poolings that are asked for together are those asked for one by one, and the first layer works once."""
    backbone = load(tmp_path, {"teacher": network().state_dict()}, "dino_vit")
    seen: list[int] = []
    assert backbone.network is not None
    backbone.network.get_submodule("patch_embed").register_forward_hook(lambda *_: seen.append(1))
    together = backbone.forward_all(images(), poolings)
    assert len(seen) == passes
    for pooling in poolings:
        assert_same(together[pooling], backbone.forward(images(), pooling).pooled)
