"""Trunks of detectors: windows and relative positions as ViTDet's, around the blocks that a network has."""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import pytest
import timm
import torch
from torch import nn

from ssl_bench.backbones.windowed import PATCH, Trunk, fits, joined, parted, quarters
from ssl_bench.errors import UsageError

WITH_DETECTRON2 = pytest.mark.skipif(
    importlib.util.find_spec("detectron2") is None, reason="detectron2 is not installed"
)
NETWORKS = {
    "deit": ("vit_tiny_patch16_224", {}),
    "DINOv2 with registers and LayerScale": ("vit_small_patch14_reg4_dinov2", {"init_values": 0.3}),
    "SigLIP": ("vit_base_patch16_siglip_224", {}),
    "DINOv3": ("vit_small_patch16_dinov3", {}),
    "EVA02": ("eva02_tiny_patch14_224", {}),
    "EVA": ("eva_giant_patch14_224", {}),
    "BEiT": ("beit_base_patch16_224", {}),
    "BEiT before it is fine-tuned": ("beit_base_patch16_224", {"use_shared_rel_pos_bias": True}),
}


def network(name: str, **more: Any) -> Any:
    """An untrained network, small, whose parameters are all drawn: zeros would hide what is left out."""
    if "use_shared_rel_pos_bias" in more:
        more["use_rel_pos_bias"] = False
    if "siglip" in name:
        more["global_pool"] = ""
    torch.manual_seed(0)
    made = timm.create_model(name, num_classes=0, **{"depth": 4, "embed_dim": 96, "num_heads": 3, **more})
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1 + (parameter.ndim == 1) * 0.5)
    return made.eval()


def test_parted_and_joined() -> None:
    """What is parted into windows and joined again is as it was, at sizes that are no multiples of the window."""
    grid = torch.randn(2, 5, 9, 3)
    parts = parted(grid, 4)
    assert parts.shape == (2 * 2 * 3, 4, 4, 3)
    assert torch.equal(parts[1], grid[0, :4, 4:8])
    assert not parts[3, 1:].any()
    assert torch.equal(joined(parts, (5, 9)), grid)


def test_quarters() -> None:
    """The last block of each quarter sees the whole image: ViTDet's for ViT-B, L and H."""
    assert quarters(12) == (2, 5, 8, 11)
    assert quarters(24) == (5, 11, 17, 23)
    assert quarters(32) == (7, 15, 23, 31)
    assert quarters(4) == (0, 1, 2, 3)
    assert quarters(2) == (0, 1)


@WITH_DETECTRON2
@pytest.mark.parametrize("side", [96, 64])
def test_as_detectron2(side: int) -> None:
    """With detectron2's weights, a trunk gives detectron2's map: windows that do not fit, tables, positions of another
    grid; and at a size that tables and positions are not of, too."""
    from detectron2.modeling import ViT

    torch.manual_seed(0)
    kind = functools.partial(nn.LayerNorm, eps=1e-6)
    theirs = ViT(
        img_size=96, embed_dim=96, depth=4, num_heads=3, window_size=4, window_block_indexes=[0, 2], use_rel_pos=True,
        norm_layer=kind, pretrain_img_size=64,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    mine = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=64, depth=4, embed_dim=96)
    state = {name: tensor for name, tensor in theirs.state_dict().items() if "rel_pos" not in name}
    mine.load_state_dict(state, strict=False)
    trunk = Trunk(mine, 96, window=4, everywhere=(1, 3)).eval()
    for ours, other in zip(mine.blocks, theirs.blocks, strict=True):
        ours.attn.positions.load_state_dict({key: getattr(other.attn, key) for key in ("rel_pos_h", "rel_pos_w")})
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), theirs(images)["last_feat"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "more"), NETWORKS.values(), ids=NETWORKS)
def test_as_the_network_itself(name: str, more: dict[str, Any]) -> None:
    """Where one window covers the image and nothing is trained, a trunk says what the network itself says of patches,
    without cls and registers: LayerScale, rotary positions and BEiT's tables stay in force."""
    own = network(name, **more)
    patch, rows = own.patch_embed.patch_size[0], own.patch_embed.grid_size[0]
    images = torch.randn(1, 3, rows * patch, rows * patch)
    expected = _of_patches(own, images)
    trunk = Trunk(network(name, **more), rows * PATCH, window=rows).eval()
    trunk.network.patch_embed.proj = network(name, **more).patch_embed.proj  # the same patches, of the same pixels
    with torch.no_grad():
        torch.testing.assert_close(trunk(images), expected, rtol=1e-4, atol=1e-4)


def _of_patches(own: Any, images: torch.Tensor) -> torch.Tensor:
    """What timm's own blocks make of patches alone, by its own code."""
    rows, columns = own.patch_embed.grid_size
    with torch.no_grad():
        tokens = own.patch_embed.proj(images).flatten(2).transpose(1, 2)
        if own.pos_embed is not None:
            tokens = tokens + own.pos_embed[:, own.pos_embed.shape[1] - rows * columns :]
        tokens = getattr(own, "norm_pre", nn.Identity())(tokens)
        for block in own.blocks:
            if hasattr(block.attn, "num_prefix_tokens"):
                block.attn.num_prefix_tokens = 0
            if getattr(own, "rope", None) is not None:
                tokens = block(tokens, rope=own.rope.get_embed(shape=[rows, columns]))
            elif getattr(own, "rel_pos_bias", None) is not None:
                tokens = block(tokens, shared_rel_pos_bias=own.rel_pos_bias()[..., 1:, 1:])
            elif getattr(block.attn, "relative_position_bias_table", None) is not None:
                bias = block.attn._get_rel_pos_bias()[:, :, 1:, 1:]
                block.attn.relative_position_bias_table = None
                tokens = block(tokens, shared_rel_pos_bias=bias)
            else:
                tokens = block(tokens)
    return tokens.transpose(1, 2).unflatten(2, (rows, columns))


def test_windows_of_rotary_positions() -> None:
    """Rotary positions of a window are those of any window: a window's tokens are told the same wherever it lies."""
    trunk = Trunk(network("vit_small_patch16_dinov3", depth=1), 128, window=4, everywhere=()).eval()
    grid = torch.randn(1, 4, 4, 96).repeat(1, 2, 2, 1)
    with torch.no_grad():
        said = trunk.network.blocks[0].attn(grid)
    torch.testing.assert_close(said[:, :4, :4], said[:, 4:, 4:])


def test_patches_are_resampled() -> None:
    """Patches of 8 pixels brought to 16 say of an image at twice its size what they said of it."""
    own = timm.create_model("vit_tiny_patch16_224", num_classes=0, patch_size=8, depth=1, embed_dim=96)
    small = torch.randn(1, 3, 8, 8)
    before = own.patch_embed.proj(small)
    large = torch.nn.functional.interpolate(small, size=(16, 16), mode="bicubic", antialias=True)
    torch.testing.assert_close(Trunk(own, 32).network.patch_embed.proj(large), before, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny_patch4_window7_224", "convnext_atto"])
def test_others_are_refused(name: str) -> None:
    """A network that is no plain vision transformer is refused by name."""
    other = timm.create_model(name, num_classes=0)
    assert not fits(other)
    with pytest.raises(UsageError, match=f"{type(other).__name__} is no vision transformer"):
        Trunk(other, 64)
