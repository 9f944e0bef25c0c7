"""Maps of an image's parts: any backbone, any size, and where on the image each place lies."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones import dense, grids, stages
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import UsageError

SMALL = {"depth": 3, "embed_dim": 48, "num_heads": 3}
NETS: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "timm:vit_tiny_patch16_224": (SMALL, 16, 48, 3),
    "timm:vit_small_patch14_reg4_dinov2": ({**SMALL, "img_size": 56}, 14, 48, 3),
    "timm:vit_small_patch16_dinov3": (SMALL, 16, 48, 3),
    "timm:swin_tiny_patch4_window7_224": ({"depths": (1, 1, 2, 1), "embed_dim": 24}, 32, 192, 4),
    "timm:convnext_atto": ({"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 32, 32, 4),
    "timm:resnet10t": ({}, 32, 512, 5),
    "torchvision:resnet18": ({}, 32, 512, 5),
    "torchvision:vit_b_32": ({}, 32, 768, 12),
    "torchvision:swin_t": ({}, 32, 768, 4),
    "open_clip:ViT-S-32-alt": ({}, 32, 384, 12),
}
"""Network to arguments, stride, dim and number of layers."""
FAMILIES = {
    "galileo_nano": (8, 128, 4),
    "shufflenetv2_05": (32, 192, 5),
    "espnet_cityscapes": (8, 256, 3),
    "cifar_resnet20": (4, 64, 3),
    "conv4_omniglot": (4, 64, 3),
    "digits_vit": (4, 64, 4),
}
"""Card to stride, dim and number of layers: the real weights, where they are."""


def untrained(name: str, **arch: Any) -> Backbone:
    card = model_zoo.get(f"{name},pretrained=false")
    return backbones.load(dataclasses.replace(card, arch={**card.arch, **arch}), LoadContext(offline=True))


def trained(name: str, root: Path) -> Backbone:
    card = model_zoo.get(name)
    return backbones.load(card, LoadContext(weights_path=model_zoo.weights_state(card, [root]).path, offline=True))


def image_for(backbone: Backbone, height: int, width: int, count: int = 1) -> torch.Tensor:
    channels = 1 if backbone.input.channels == "grey" else 3
    return torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(0))


def check(backbone: Backbone, stride: int, dim: int, depth: int) -> None:
    """Look at all maps of a backbone, of an image of its own size and of an oblong one."""
    height, width = backbone.input.size
    own = image_for(backbone, height, width)
    if height % stride == 0:
        [last] = dense.maps(backbone, own)
        torch.testing.assert_close(last, backbone.forward(own, backbone.default_pooling).dense.clone())
    assert (dense.stride(backbone), dense.dim(backbone), stages.depth(backbone)) == (stride, dim, depth)
    oblong = image_for(backbone, 100, 131, 2)
    every = dense.maps(backbone, oblong, range(depth))
    [last] = dense.maps(backbone, oblong)
    rows, columns = (-(-side // stride) for side in (100, 131))
    assert last.shape[:2] == (2, dim)
    assert max(rows - last.shape[2], columns - last.shape[3]) in (0, 2)  # 2 of convolutions without padding
    assert not last.is_inference()
    assert not last.requires_grad
    assert [one.shape[2] for one in every] == sorted((one.shape[2] for one in every), reverse=True)
    if stages.is_plain(backbone):
        torch.testing.assert_close(every[-1], last)
    levels = dense.Pyramid(backbone, 8)(image_for(backbone, 64, 70))
    assert {name: tuple(level.shape[1:]) for name, level in levels.items()} == {
        "0": (8, 16, 24),
        "1": (8, 8, 12),
        "2": (8, 4, 6),
        "3": (8, 2, 3),
    }


@pytest.mark.parametrize("name", NETS)
def test_any_network_has_maps_of_images_of_any_size(name: str) -> None:
    """At its own size a map is that of the model's features; at any other it covers the padded image; a pyramid has the
    strides 4, 8, 16 and 32."""
    arch, *wanted = NETS[name]
    check(untrained(name, **arch), *wanted)


@pytest.mark.data
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_checkpoints_have_maps_of_images_of_any_size(name: str, real_data: Path) -> None:
    """What holds of libraries' networks holds of those of checkpoint files, also of convolutions without padding."""
    check(trained(name, real_data), *FAMILIES[name])


def test_what_has_no_map_says_so() -> None:
    """A network without a map, one of one size alone, and a layer that there is not, are errors that name it."""
    with pytest.raises(UsageError, match=r"BurgessEncoder \(burgess_vae\) has no map of an image's parts"):
        dense.stride(untrained_family("vae_mnist"))
    beit = untrained("timm:beit_base_patch16_224", depth=1, embed_dim=48, num_heads=3)
    assert dense.stride(beit) == 16
    with pytest.raises(UsageError, match=r"Beit \(beit_base_patch16_224\) takes no images of 144x96 .* 224x224"):
        dense.maps(beit, image_for(beit, 90, 131))
    with pytest.raises(UsageError, match="no layer 7: this network has 1 blocks"):
        dense.maps(beit, image_for(beit, 224, 224), [7])
    with pytest.raises(UsageError, match="no network whose layers"):
        stages.depth(untrained("pixels"))


def untrained_family(name: str) -> Backbone:
    return backbones.load(model_zoo.get(name), LoadContext(untrained=True))


def test_positions_are_interpolated_as_timm_does() -> None:
    """A ViT built for one size sees an image of another as one that was built to see any."""
    backbone = untrained("timm:vit_tiny_patch16_224", **SMALL)
    other = timm.create_model("vit_tiny_patch16_224", num_classes=0, dynamic_img_size=True, **SMALL).eval()
    other.load_state_dict(backbone.network.state_dict())  # type: ignore[union-attr]
    image = image_for(backbone, 80, 112)
    with torch.no_grad():
        [wanted] = other.forward_intermediates(image, indices=1, norm=True, intermediates_only=True)
    torch.testing.assert_close(dense.maps(backbone, image)[0], wanted)


def test_blocks_that_are_watched_are_those_of_open_clips_own_taps() -> None:
    """Maps behind blocks that are found by their names, before the last norm, are those that the library hands out."""
    backbone = untrained("open_clip:ViT-S-32-alt")
    image = image_for(backbone, 224, 224)
    with torch.no_grad():
        wanted = backbone.network.forward_intermediates(image, indices=[2, 5], output_fmt="NCHW")  # type: ignore
    found = dense.maps(backbone, image, [2, 5], norm=False)
    for one, other in zip(found, wanted["image_intermediates"], strict=True):
        torch.testing.assert_close(one, other)


def test_stages_are_those_of_torchvisions_own_extractor() -> None:
    """Of a ResNet the stages are the stem and the four layers."""
    from torchvision.models.feature_extraction import create_feature_extractor

    backbone = untrained("torchvision:resnet18")
    nodes = ["relu", "layer1", "layer2", "layer3", "layer4"]
    image = image_for(backbone, 64, 96)
    with torch.no_grad():
        wanted = create_feature_extractor(backbone.network, nodes)(image)  # type: ignore[arg-type]
    for one, name in zip(dense.maps(backbone, image, range(5)), nodes, strict=True):
        torch.testing.assert_close(one, wanted[name])


def test_gradients_where_parameters_have_them() -> None:
    """Maps of a network that is trained carry gradients, those of a frozen one serve a head as they are."""
    for name, arch in (("timm:vit_tiny_patch16_224", SMALL), ("torchvision:resnet18", {})):
        backbone = untrained(name, **arch)
        head = nn.Conv2d(dense.dim(backbone), 2, 1)
        head(dense.maps(backbone, image_for(backbone, 64, 64))[0]).sum().backward()
        assert backbone.network is not None
        backbone.network.requires_grad_(True)
        for one in dense.maps(backbone, image_for(backbone, 64, 64), [-1, 0]):
            assert one.requires_grad


def test_measuring_leaves_no_trace() -> None:
    """A network that is being trained keeps its statistics and its mode when its stride and stages are looked up."""
    backbone = untrained("torchvision:resnet18")
    assert backbone.network is not None
    backbone.network.train()
    backbone.network.layer1.eval()  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in backbone.network.state_dict().items()}
    dense.Pyramid(backbone, 8)
    assert stages.depth(backbone) == 5
    assert all(torch.equal(value, before[name]) for name, value in backbone.network.state_dict().items())
    assert backbone.network.training
    assert not backbone.network.layer1[0].training  # type: ignore[index,union-attr]


def test_padding_is_centred_and_undone() -> None:
    """A side of 100 gets 12 rows for a stride of 16, 6 before and 6 behind, 101 gets 5 and 6; what is said of the map
    comes back to the image's pixels."""
    assert dense.padding((100, 101), 16) == (5, 6, 6, 6)
    padded = dense.fitted_to(torch.ones(1, 1, 100, 101), 16)
    assert padded.shape[2:] == (112, 112)
    assert float(padded.sum()) == 100 * 101
    assert float(padded[0, 0, 6:106, 5:106].sum()) == 100 * 101
    assert dense.fitted_to(torch.ones(1, 1, 100, 101), 16, "resize").shape[2:] == (96, 96)
    ramp = torch.arange(7.0)[:, None].expand(7, 7)[None, None]
    wide = dense.spread(ramp, (100, 101), 16)
    middles = (torch.arange(100) + 0.5 + 6) / 16 - 0.5
    torch.testing.assert_close(wide[0, 0, :, 50], middles.clamp(0, 6))
    assert dense.spread(ramp, (100, 101), 16, "resize").shape[2:] == (100, 101)


def test_windows_by_hand() -> None:
    """Windows of 512 every 341 on 512 by 683 pixels stand at 0 and, flush with the edge, at 171; a larger window stands
    once."""
    assert dense.windows((512, 683), (512, 512), (341, 341)) == [(0, 0), (0, 171)]
    assert dense.windows((4, 9), (3, 4), (2, 3)) == [(top, left) for top in (0, 1) for left in (0, 3, 5)]
    assert dense.windows((10, 10), (12, 12), (8, 8)) == [(0, 0)]


def test_the_simple_pyramid_is_vitdets() -> None:
    """A plain ViT of stride 16 has ViTDet's layers: two deconvolutions with a norm and a GELU between, one, none, and a
    pooling; then 1x1 and 3x3 convolutions without bias, each before a norm."""
    pyramid = dense.Pyramid(untrained("timm:vit_tiny_patch16_224", **SMALL), 32)
    told = [[type(part).__name__ for part in level] for level in pyramid.levels]
    end = ["Conv2d", "LayerNorm", "Conv2d", "LayerNorm"]
    up = "ConvTranspose2d"
    assert told == [[up, "LayerNorm", "GELU", up, *end], [up, *end], end, ["MaxPool2d", *end]]
    deconvolutions = 48 * 24 * 4 + 24 + 24 * 2 + 24 * 12 * 4 + 12 + 48 * 24 * 4 + 24
    ends = sum(width * 32 + 32 * 32 * 9 + 4 * 32 for width in (12, 24, 48, 48))
    assert sum(one.numel() for one in pyramid.parameters()) == deconvolutions + ends
    assert not any(one is other for one in pyramid.parameters() for other in pyramid._backbone[0].network.parameters())


def test_a_stride_that_is_no_power_of_two_is_scaled() -> None:
    """Patches of 14 pixels see an image at 14/16 of its size, so that a level's row stands for 16 pixels."""
    backbone = untrained("timm:vit_small_patch14_reg4_dinov2", **SMALL, img_size=56)
    pyramid, image = dense.Pyramid(backbone, 8), image_for(backbone, 64, 96)
    seen = functional.interpolate(image, size=(56, 84), mode="bilinear", antialias=True)
    wanted = pyramid.levels[2](grids.final(backbone, seen))
    torch.testing.assert_close(pyramid(image)["2"], wanted)
