"""The timm adapter, on untrained networks."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import MissingError, UsageError

SMALL = {
    "vit_tiny_patch16_224": "cls",
    "deit_tiny_patch16_224": "cls",
    "deit_tiny_distilled_patch16_224": "head",
    "vit_small_patch14_reg4_dinov2,size=56": "cls",
    "vit_small_patch16_dinov3,size=64": "patch_mean",
    "vit_small_patch16_dinov3,size=64,global_pool=token": "cls",
    "beit_base_patch16_224,depth=2,size=64": "patch_mean",
    "vit_base_patch16_siglip_224,depth=2,size=64": "map",
    "swin_tiny_patch4_window7_224": "gap",
    "hiera_tiny_224": "gap",
    "convnext_atto": "gap",
    "resnet18": "gap",
    "mobilenetv3_small_100": "gap",
}
TOKENS = ["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2,size=56", "vit_small_patch16_dinov3,size=64"]


def untrained(text: str, seed: int = 0) -> Backbone:
    return backbones.load(model_zoo.get(f"timm:{text}"), LoadContext(untrained=True, seed=seed))


def images_for(backbone: Backbone) -> torch.Tensor:
    return torch.randn(2, 3, *backbone.input.size, generator=torch.Generator().manual_seed(0))


def from_timm(text: str) -> torch.nn.Module:
    """Build the network as a user of timm would, with the adapter's seed."""
    name, *options = text.split(",")
    given = dict(option.split("=") for option in options)
    arguments = {"img_size" if key == "size" else key: int(v) if v.isdigit() else v for key, v in given.items()}
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0, **arguments).eval()


@pytest.mark.parametrize("text", SMALL)
def test_default_is_what_timm_returns(text: str) -> None:
    """The default pooling is, bit for bit, what timm's own network without classifier returns."""
    backbone = untrained(text)
    images = images_for(backbone)
    with torch.inference_mode():
        expected = from_timm(text)(images)
    assert backbone.default_pooling == SMALL[text]
    assert torch.equal(backbone.forward(images, backbone.default_pooling).pooled, expected)


@pytest.mark.parametrize("text", TOKENS)
def test_patch_mean_leaves_out_cls_and_registers(text: str) -> None:
    """The mean over patches is the mean over the dense map: neither cls nor registers are in it."""
    backbone = untrained(text)
    features = backbone.forward(images_for(backbone), "patch_mean")
    assert features.dense is not None
    torch.testing.assert_close(features.dense.mean((2, 3)), features.pooled)
    both = backbone.forward(images_for(backbone), "cls+patch_mean").pooled
    cls = backbone.forward(images_for(backbone), "cls").pooled
    torch.testing.assert_close(both, torch.cat([cls, features.pooled], dim=1))


@pytest.mark.parametrize("text", SMALL)
def test_dense_is_timms_own_map(text: str) -> None:
    """The dense map is channels first and lies in the image's order, as timm's own intermediate features do."""
    backbone = untrained(text)
    images = images_for(backbone)
    dense = backbone.forward(images, backbone.default_pooling).dense
    network = backbone.network
    assert dense is not None
    assert network is not None
    norm = {} if text.startswith("hiera") else {"norm": True}
    with torch.inference_mode():
        _, [*_, expected] = network.forward_intermediates(images, indices=1, output_fmt="NCHW", **norm)
    torch.testing.assert_close(dense, expected)


def test_input_is_timms_evaluation_transform() -> None:
    """Size, filter and statistics come from timm's settings; the short side is scaled to floor(size / crop_pct)."""
    spec = untrained("vit_tiny_patch16_224").input
    assert (spec.size, spec.resize, spec.resize_to, spec.interpolation) == ((224, 224), "short", 248, "bicubic")
    assert spec.mean == (0.5, 0.5, 0.5)


def test_frozen_and_seeded() -> None:
    """Networks are in eval mode without gradients; the seed decides untrained weights and leaves torch's own alone."""
    before = torch.random.get_rng_state()
    one, same, other = (untrained("resnet10t", seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert one.network is not None
    assert not one.network.training
    assert not any(parameter.requires_grad for parameter in one.network.parameters())
    assert one.weights_digest() == same.weights_digest() != other.weights_digest()
    assert one.arch() == other.arch() == {"class": "ResNet", "library": "timm", "name": "resnet10t"}


@pytest.mark.parametrize("container", ["", "state_dict", "model"])
def test_local_file_with_classifier(tmp_path: Path, container: str) -> None:
    """A local file fills the network strictly; the classifier in it is dropped."""
    torch.manual_seed(5)
    whole = timm.create_model("resnet10t", num_classes=7).eval()
    state = whole.state_dict()
    path = tmp_path / "weights.pth"
    torch.save({container: state} if container else state, path)
    backbone = backbones.load(model_zoo.get("timm:resnet10t"), LoadContext(path))
    images = images_for(backbone)
    with torch.inference_mode():
        expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
    assert torch.equal(backbone.forward(images, "gap").pooled, expected)


def test_last_layer_can_be_kept(tmp_path: Path) -> None:
    """A card that names the last layer's outputs keeps it, as the pooling `proj`; the default stays before it."""
    torch.manual_seed(5)
    whole = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=32, depth=2).eval()
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    card = model_zoo.get("timm:vit_tiny_patch16_224,num_classes=7,size=32,depth=2")
    backbone = backbones.load(card, LoadContext(tmp_path / "w.safetensors"))
    images = images_for(backbone)
    with torch.inference_mode():
        assert torch.equal(backbone.forward(images, "proj").pooled, whole(images))
        expected = whole.forward_head(whole.forward_features(images), pre_logits=True)
    assert backbone.default_pooling == "cls"
    assert torch.equal(backbone.forward(images, "cls").pooled, expected)


def test_final_norm_of_a_pretrained_file_is_kept(tmp_path: Path) -> None:
    """A file whose final norm stands before the pooling is not loaded into a network that puts a new norm behind it."""
    arguments = {"depth": 2, "img_size": 64}
    whole = timm.create_model("beit_base_patch16_224", num_classes=0, global_pool="token", **arguments).eval()
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    card = model_zoo.get("timm:beit_base_patch16_224,depth=2,size=64")
    backbone = backbones.load(card, LoadContext(tmp_path / "w.safetensors"))
    images = images_for(backbone)
    assert backbone.default_pooling == "cls"
    with torch.inference_mode():
        assert torch.equal(backbone.forward(images, "cls").pooled, whole(images))


def test_file_of_another_network(tmp_path: Path) -> None:
    """A file that does not fit is refused with the keys that tell why."""
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=r"w\.safetensors does not fit VisionTransformer: keys .* missing \(cls_token"):
        backbones.load(model_zoo.get("timm:vit_tiny_patch16_224"), LoadContext(tmp_path / "w.safetensors"))


def test_offline_says_what_is_missing() -> None:
    """Weights that are not here are named with their source and the command that gets them; nothing is downloaded."""
    with pytest.raises(
        MissingError, match=r"huggingface\.co/timm/resnet18.*ssl-bench fetch --model timm:resnet18\.a1_in1k"
    ):
        backbones.load(model_zoo.get("timm:resnet18.a1_in1k"), LoadContext(offline=True))


def test_wrong_names() -> None:
    """A wrong network, tag or argument is answered with the nearest right ones."""
    for text, said in (
        ("timm:vit_small_patch16_225", "Did you mean vit_small_patch16_224"),
        ("timm:resnet18.a1_in1", "Did you mean a1_in1k"),
        ("timm:resnet18,img_size=64", "timm cannot build resnet18 with {'img_size': 64}"),
    ):
        with pytest.raises(UsageError, match=said):
            backbones.load(model_zoo.get(text), LoadContext(untrained=True))


def test_pooling_that_the_network_lacks() -> None:
    """A pooling that the network does not offer is refused with those that it does."""
    with pytest.raises(UsageError, match="It offers: gap"):
        backbones.load(model_zoo.get("timm:resnet18,pooled=cls"), LoadContext(untrained=True))


@pytest.mark.parametrize(
    ("name", "poolings"),
    [
        ("vit_tiny_patch16_224", ("cls", "patch_mean", "cls_last4", "cls_last4+patch_mean")),
        ("vit_tiny_patch16_224", ("cls", "cls+patch_mean")),
        ("resnet18", ("gap",)),
    ],
)
def test_several_poolings_take_one_pass(name: str, poolings: tuple[str, ...]) -> None:
    """Poolings that are asked for together are those asked for one by one, and the first layer works once."""
    backbone = backbones.load(model_zoo.get(f"random:timm:{name}"))
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    passes = []
    first = next(module for module in backbone.network.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda *_: passes.append(1))
    together = backbone.forward_all(images, poolings)
    assert len(passes) == 1
    for pooling in poolings:
        torch.testing.assert_close(together[pooling], backbone.forward(images, pooling).pooled, atol=1e-5, rtol=0)
